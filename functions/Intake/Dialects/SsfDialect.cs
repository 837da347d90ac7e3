using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>What a signal about an account does (<c>HrSources:{source}:AccountDisabled</c> and others).</summary>
public enum SsfAction
{
    /// <summary>It is accepted and kept; nothing is done.</summary>
    Record,

    /// <summary>The person's sessions end in DingTalk and Entra; the accounts stay as they are.</summary>
    EndSessions,

    /// <summary>The person is frozen like a leaver.</summary>
    Freeze,
}

/// <summary>What an enabled account does (<c>HrSources:{source}:AccountEnabled</c>).</summary>
public enum SsfReturn
{
    /// <summary>It is accepted and kept; nothing is done.</summary>
    Record,

    /// <summary>It calls off the case that the same source opened.</summary>
    CallOff,
}

/// <summary>What an identifier means that the transmitter alone gives out (<c>HrSources:{source}:SubjectIs</c>).</summary>
public enum SsfSubject
{
    /// <summary>Nothing that can be looked up here. The default: a number that means somebody else would freeze somebody else.</summary>
    None,

    /// <summary>The employee number.</summary>
    EmployeeId,

    /// <summary>The company e-mail address.</summary>
    Email,

    /// <summary>The DingTalk user id.</summary>
    DingTalkUserId,
}

/// <summary>
/// A transmitter of OpenID Shared Signals (SSF 1.0) that pushes Security Event Tokens (RFC 8417) to <c>signals/{source}</c> (RFC 8935).
/// The dialect reads what a token says; its signature is checked where it is received. CAEP 1.0 <c>session-revoked</c> and RISC 1.0
/// <c>account-disabled</c>, <c>account-purged</c> and <c>account-enabled</c> are understood, besides <c>verification</c> and
/// <c>stream-updated</c> of the framework itself; events of other types are kept and need no work.
/// </summary>
/// <remarks>
/// None of these events says that an employment ends. <c>session-revoked</c> comes for a changed password as for a theft, so that it ends
/// sessions at most. What a disabled account means only the company knows: <c>AccountDisabled</c> has no default.
/// </remarks>
public sealed class SsfDialect : IHrDialect
{
    /// <summary>Its name in <c>HrSources:{source}:Dialect</c>.</summary>
    public const string DialectName = "ssf";

    /// <summary>The media type of a token (RFC 8417 section 7.1).</summary>
    public const string MediaType = "application/secevent+jwt";

    private const int ShortestSecret = 16;

    /// <inheritdoc/>
    public string Name => DialectName;

    /// <inheritdoc/>
    public bool IsWebhook => false;

    /// <inheritdoc/>
    public bool CanRead => true;

    /// <inheritdoc/>
    public bool TakesSecrets => true;

    /// <inheritdoc/>
    public bool NeedsSecrets => false;

    /// <inheritdoc/>
    public string BodyForms => MediaType;

    /// <summary><c>iss</c> of its tokens, exactly (<c>Issuer</c>).</summary>
    public string Issuer { get; private init; } = "";

    /// <summary>Of which <c>aud</c> must name one (<c>Audience</c>): what the transmitter calls us.</summary>
    public IReadOnlyList<string> Audiences { get; private init; } = [];

    /// <summary>Where its keys are (<c>JwksUri</c>); <see langword="null"/>: its metadata say it.</summary>
    public Uri? JwksUri { get; private init; }

    /// <summary>Where its metadata are (<c>MetadataUri</c>, or as SSF 1.0 section 7.2 makes it from the issuer).</summary>
    public Uri? MetadataUri { get; private init; }

    /// <summary>The signature algorithms that are accepted (<c>Algorithms</c>).</summary>
    public IReadOnlyList<string> Algorithms { get; private init; } = [];

    /// <summary>How old a token may be (<c>MaxAge</c>); <see langword="null"/>: as long as its repetition would be recognised.</summary>
    public TimeSpan? MaxAge { get; private init; }

    /// <summary>The <c>state</c> that a verification event must carry (<c>VerificationState</c>); <see langword="null"/> for any.</summary>
    public string? VerificationState { get; private init; }

    private SsfAction Disabled { get; init; }

    private SsfAction Purged { get; init; }

    private SsfReturn Enabled { get; init; }

    private SsfAction SessionRevoked { get; init; }

    private SsfSubject Subject { get; init; }

    private string SubjectIssuer { get; init; } = "";

    /// <inheritdoc/>
    public IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var issuer = reader.Required("Issuer");
        var audiences = reader.List("Audience");
        if (audiences.Count == 0)
        {
            reader.Fault("Audience", "is missing: what the transmitter writes into aud for us");
        }

        if (reader.Text("AccountDisabled") is null)
        {
            reader.Fault("AccountDisabled", "is missing: freeze (the person is treated as a leaver), endSessions or record");
        }

        var jwks = reader.Address("JwksUri");
        var metadata = reader.Address("MetadataUri") ?? (jwks is null ? WellKnown(issuer) : null);
        if (jwks is null && metadata is null && issuer.Length > 0)
        {
            reader.Fault("JwksUri", "is missing, and Issuer is no https address from which it could be found");
        }

        var disabled = reader.Choice("AccountDisabled", SsfAction.Record);
        var sessions = reader.Choice("SessionRevoked", SsfAction.EndSessions);
        if (sessions == SsfAction.Freeze)
        {
            reader.Fault("SessionRevoked", "must be endSessions or record: a session that ended makes nobody a leaver");
        }

        return new SsfDialect
        {
            Issuer = issuer,
            Audiences = audiences,
            JwksUri = jwks,
            MetadataUri = metadata,
            Algorithms = ReadAlgorithms(reader),
            MaxAge = reader.Text("MaxAge") is null ? null : reader.Duration("MaxAge", TimeSpan.FromDays(1)),
            VerificationState = reader.Text("VerificationState"),
            Disabled = disabled,
            Purged = reader.Choice("AccountPurged", disabled),
            Enabled = reader.Choice("AccountEnabled", SsfReturn.CallOff),
            SessionRevoked = sessions,
            Subject = reader.Choice("SubjectIs", SsfSubject.None),
            SubjectIssuer = reader.Text("SubjectIssuer") ?? issuer,
        };
    }

    /// <summary>A bearer token that the transmitter sends along (<c>authorization_header</c> of its stream, SSF 1.0 section 8.1.1).</summary>
    public byte[]? ReadSecret(SettingsReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var text = reader.Required(name);
        if (text.Length is > 0 and < ShortestSecret || text.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            reader.Fault(name, "must be a bearer token of at least 16 printable characters without spaces");
            return null;
        }

        return text.Length == 0 ? null : System.Text.Encoding.ASCII.GetBytes(text);
    }

    /// <inheritdoc/>
    public bool Accepts(string? contentType)
    {
        var media = contentType.AsSpan();
        var end = media.IndexOf(';');
        return (end < 0 ? media : media[..end]).Trim().Equals(MediaType, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Nothing that comes by <c>hr/{source}</c> is accepted.</summary>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        HrVerification.Refused(SignatureVerdict.Mismatch);

    /// <summary>What is wrong with a token is told at its own route.</summary>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        [new("no-webhook", "This source sends Security Event Tokens: test it at signals/{source}/test.")];

    /// <inheritdoc/>
    public HrReading Read(ReadOnlyMemory<byte> body, string source)
    {
        var reading = ReadToken(body, source);
        return new HrReading { Events = reading.Events, EventTime = reading.OccurredAt, SenderId = reading.Jti, Fault = reading.Fault };
    }

    /// <summary>Reads the claims of a token in its compact form, whose signature was checked before.</summary>
    internal SsfReading ReadToken(ReadOnlyMemory<byte> token, string source)
    {
        if (SetToken.PayloadOf(token) is not { } payload)
        {
            return SsfReading.Refused("", "The body is not a signed token in its compact form.");
        }

        SsfReading? reading = null;
        var outcome = JsonFields.Read(payload, root =>
        {
            reading = ReadClaims(root, source);
            return new HrReading();
        });
        return reading ?? new SsfReading { Fault = outcome.Fault };
    }

    private SsfReading ReadClaims(JsonElement root, string source)
    {
        if (root.Text("jti") is not { Length: > 0 and <= 256 } jti || jti.AsSpan().ContainsAnyInRange('\0', '\x1F'))
        {
            return SsfReading.Refused("/jti", "must be a text of 1 to 256 characters");
        }

        if (!TryReadSeconds(root.Find("iat"), out var issuedAt))
        {
            return SsfReading.Refused("/iat", "must be seconds since 1970, between 2000 and 2200");
        }

        DateTimeOffset occurredAt = issuedAt;
        if (root.Find("toe") is { } toe && !TryReadSeconds(toe, out occurredAt))
        {
            return SsfReading.Refused("/toe", "must be seconds since 1970, between 2000 and 2200");
        }

        if (root.Find("events") is not { ValueKind: JsonValueKind.Object } events)
        {
            return SsfReading.Refused("/events", "must be an object");
        }

        var reading = new SsfReading { Jti = jti, IssuedAt = issuedAt, OccurredAt = occurredAt };
        var any = false;
        foreach (var @event in events.EnumerateObject())
        {
            any = true;
            if (@event.Value.ValueKind != JsonValueKind.Object)
            {
                return SsfReading.Refused("/events", "must hold objects only");
            }

            reading = ReadEvent(reading, root, @event.Name, @event.Value, source);
            if (reading.Fault is not null)
            {
                return reading;
            }
        }

        return any ? reading : SsfReading.Refused("/events", "must hold an event");
    }

    private SsfReading ReadEvent(SsfReading reading, JsonElement root, string type, JsonElement @event, string source)
    {
        var occurredAt = reading.OccurredAt;
        if (@event.Find("event_timestamp") is { } stamp && !TryReadSeconds(stamp, out occurredAt))
        {
            return SsfReading.Refused("/events", "must give event_timestamp in seconds since 1970, between 2000 and 2200");
        }

        switch (type)
        {
            case SsfEvents.Verification:
                return reading with { Verifies = true, VerificationState = @event.Text("state") };
            case SsfEvents.StreamUpdated:
                return @event.Text("status") is { Length: <= 32 } status && status.All(char.IsAsciiLetter)
                    ? reading with { StreamStatus = status }
                    : SsfReading.Refused("/events", "must give the status of the stream");
        }

        PersonEventKind? kind = type switch
        {
            SsfEvents.AccountDisabled => KindOf(Disabled),
            SsfEvents.AccountPurged => KindOf(Purged),
            SsfEvents.AccountEnabled => Enabled == SsfReturn.CallOff ? PersonEventKind.AccountEnabled : null,
            SsfEvents.SessionRevoked => KindOf(SessionRevoked),
            _ => null,
        };
        if (kind is null)
        {
            return reading;
        }

        // Before SSF 1.0 was final the subject stood in the event.
        if ((root.Find("sub_id") ?? @event.Find("subject")) is not { ValueKind: JsonValueKind.Object } subject)
        {
            return SsfReading.Refused("/sub_id", "must be an object");
        }

        var person = SsfSubjects.Find(subject, Subject, SubjectIssuer, narrow: kind == PersonEventKind.SessionsRevoked);
        if (person is null)
        {
            return reading with { HasUnknownSubject = true };
        }

        return reading with
        {
            Events =
            [
                .. reading.Events,
                person with
                {
                    Kind = kind.Value,
                    Source = source,
                    Immediate = true,
                    OccurredAt = occurredAt,
                    Reason = kind == PersonEventKind.AccountDisabled ? ReasonOf(type, @event) : null,
                },
            ],
        };
    }

    private static PersonEventKind? KindOf(SsfAction action) => action switch
    {
        SsfAction.Freeze => PersonEventKind.AccountDisabled,
        SsfAction.EndSessions => PersonEventKind.SessionsRevoked,
        _ => null,
    };

    /// <summary>Which event it was, and RISC's reason, so that the case shows that this may be no leave at all.</summary>
    private static string ReasonOf(string type, JsonElement @event)
    {
        var name = type[(type.LastIndexOf('/') + 1)..];
        return @event.Text("reason") is "hijacking" or "bulk-account" ? $"{name}: {@event.Text("reason")}" : name;
    }

    private static bool TryReadSeconds(JsonElement? element, out DateTimeOffset time)
    {
        time = default;
        // NumericDate may have a fraction (RFC 7519 section 2).
        return element is { ValueKind: JsonValueKind.Number } number && number.TryGetDouble(out var seconds)
            && seconds is > 0 and < 10_000_000_000 && JsonFields.TryReadEpoch((long)seconds, out time);
    }

    private static List<string> ReadAlgorithms(SettingsReader reader)
    {
        var algorithms = reader.List("Algorithms");
        if (algorithms.Any(static name => !SsfEvents.Algorithms.Contains(name)))
        {
            reader.Fault("Algorithms", $"must be of {string.Join(", ", SsfEvents.Algorithms)}");
        }

        return algorithms.Count == 0 ? [SsfEvents.Algorithms[0]] : [.. algorithms];
    }

    private static Uri? WellKnown(string issuer) =>
        Uri.TryCreate(issuer, UriKind.Absolute, out var address) && (address.Scheme == Uri.UriSchemeHttps || (address.IsLoopback && address.Scheme == Uri.UriSchemeHttp))
            ? new Uri(address, $"/.well-known/ssf-configuration{address.AbsolutePath.TrimEnd('/')}")
            : null;
}

/// <summary>Names of Shared Signals.</summary>
internal static class SsfEvents
{
    public const string Verification = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    public const string StreamUpdated = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated";
    public const string SessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    public const string AccountDisabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";
    public const string AccountEnabled = "https://schemas.openid.net/secevent/risc/event-type/account-enabled";
    public const string AccountPurged = "https://schemas.openid.net/secevent/risc/event-type/account-purged";

    /// <summary>The signature algorithms that there are; the first is what the CAEP interoperability profile asks for.</summary>
    public static IReadOnlyList<string> Algorithms { get; } = ["RS256", "PS256", "ES256"];
}

/// <summary>What a token says.</summary>
internal sealed record SsfReading
{
    public string Jti { get; init; } = "";

    public DateTimeOffset IssuedAt { get; init; }

    public DateTimeOffset OccurredAt { get; init; }

    public IReadOnlyList<PersonEvent> Events { get; init; } = [];

    /// <summary>An event that should be acted on is about somebody who cannot be told from its subject.</summary>
    public bool HasUnknownSubject { get; init; }

    /// <summary>It asks whether the stream works.</summary>
    public bool Verifies { get; init; }

    public string? VerificationState { get; init; }

    /// <summary>What the transmitter did to the stream.</summary>
    public string? StreamStatus { get; init; }

    public HrFault? Fault { get; init; }

    public static SsfReading Refused(string path, string detail) => new() { Fault = new HrFault(path, detail) };
}
