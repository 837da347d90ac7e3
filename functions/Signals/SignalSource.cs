using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary>A source that pushes Security Event Tokens, with its keys and its pace.</summary>
internal sealed class SignalSource : IDisposable
{
    /// <summary>How far a transmitter's clock may run ahead of ours.</summary>
    private static readonly TimeSpan Ahead = TimeSpan.FromMinutes(5);

    private readonly TransmitterKeys _keys;
    private readonly TimeSpan _maxAge;

    public SignalSource(HrSource source, InboxOptions inbox, TimeProvider time, ILogger logger)
    {
        (Source, Dialect) = (source, (SsfDialect)source.Dialect);
        _keys = new TransmitterKeys(source.Name, Dialect, time, logger);
        // An older one could have been removed from the inbox, so that its repetition would not be recognised.
        _maxAge = Dialect.MaxAge ?? inbox.Retention;
        Verifier = new SetVerifier(Dialect, _keys, time);
        Limiter = new RateLimiter(source.MaxPerMinute, time);
    }

    public HrSource Source { get; }

    public SsfDialect Dialect { get; }

    public SetVerifier Verifier { get; }

    /// <summary>Counts tokens with a valid signature.</summary>
    public RateLimiter Limiter { get; }

    /// <summary>Whether a token of that <c>iat</c> is one of now, or of the time within which its repetition would be recognised.</summary>
    public bool IsTimely(DateTimeOffset issuedAt, DateTimeOffset now) => issuedAt <= now + Ahead && issuedAt > now - _maxAge;

    public void Dispose() => _keys.Dispose();
}

/// <summary>The sources that push Security Event Tokens.</summary>
internal sealed class SignalSources : IDisposable
{
    private readonly Dictionary<string, SignalSource> _sources;

    public SignalSources(IntakeOptions intake, InboxOptions inbox, TimeProvider time, ILogger<SignalSources> logger) =>
        _sources = intake.Sources.Values.Where(static source => source.Dialect is SsfDialect)
            .ToDictionary(static source => source.Name, source => new SignalSource(source, inbox, time, logger), StringComparer.OrdinalIgnoreCase);

    /// <summary>The source of a request's route, or <see langword="null"/>.</summary>
    public SignalSource? Find(HttpContext context) => context.Request.RouteValues["source"] is string name ? _sources.GetValueOrDefault(name) : null;

    public void Dispose()
    {
        foreach (var source in _sources.Values)
        {
            source.Dispose();
        }
    }
}
