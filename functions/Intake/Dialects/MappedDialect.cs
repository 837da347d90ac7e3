using System.Globalization;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Any other HR system whose webhooks are JSON under an HMAC: the signature scheme and the places of the facts are settings.
/// <c>Signature:Header</c>, <c>:Algorithm</c> (<c>sha256</c>, <c>sha384</c>, <c>sha512</c>), <c>:Encoding</c> (<c>hex</c>,
/// <c>base64</c>), <c>:Prefix</c>, <c>:Content</c> (default <c>{body}</c>; it may hold <c>{timestamp}</c> and <c>{id}</c>),
/// <c>:TimestampHeader</c>, <c>:IdHeader</c>; <c>Tolerance</c>; the rest is <see cref="PayloadMap"/>.
/// </summary>
public sealed class MappedDialect : HmacDialect
{
    private const int MaxContentLength = 100;
    private readonly PayloadMap _map;

    /// <summary>The dialect before a source configures it: it accepts nothing.</summary>
    public MappedDialect()
        : this(new HmacScheme { SignatureHeader = "X-Signature" }, PayloadMap.None)
    {
    }

    private MappedDialect(HmacScheme scheme, PayloadMap map) => (Scheme, _map) = (scheme, map);

    /// <inheritdoc/>
    public override string Name => "mapped";

    internal override HmacScheme Scheme { get; }

    /// <inheritdoc/>
    public override IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var scheme = ReadScheme(reader.Section("Signature"), ReadTolerance(reader));
        var map = PayloadMap.Read(reader, KindMap.Standard);
        if (!map.TellsEventsApart && scheme.IdHeader is null && !scheme.SignsTime)
        {
            reader.Fault(
                "Map:Id",
                "is missing, and so are Map:OccurredAt, Signature:IdHeader and a signed time: a second leave of the same person would be taken for a repetition");
        }

        return new MappedDialect(scheme, map);
    }

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source)
    {
        var strict = JsonFields.Read(body, static _ => new HrReading());
        return strict.Fault is not null ? strict
            : JsonPayload.Parse(body) is { } root ? _map.Read(root, source)
            : HrReading.Refused("", "The body holds more than can be read here, or a number that is none.");
    }

    /// <summary>Reads a signature scheme; what is wrong is added to the faults.</summary>
    internal static HmacScheme ReadScheme(SettingsReader reader, TimeSpan tolerance)
    {
        var content = reader.Text("Content") ?? HmacScheme.Body;
        var (idHeader, timestampHeader) = (reader.Text("IdHeader"), reader.Text("TimestampHeader"));
        if (content.Length > MaxContentLength || content.Split(HmacScheme.Body).Length != 2)
        {
            reader.Fault("Content", string.Create(CultureInfo.InvariantCulture, $"must hold {{body}} once and have at most {MaxContentLength} characters"));
            content = HmacScheme.Body;
        }

        if (content.Contains(HmacScheme.Timestamp, StringComparison.Ordinal) && timestampHeader is null)
        {
            reader.Fault("TimestampHeader", "is missing while Signature:Content holds {timestamp}");
        }

        if (content.Contains(HmacScheme.Id, StringComparison.Ordinal) && idHeader is null)
        {
            reader.Fault("IdHeader", "is missing while Signature:Content holds {id}");
        }

        return new HmacScheme
        {
            SignatureHeader = reader.Required("Header") is { Length: > 0 } header ? header : "X-Signature",
            Algorithm = reader.Choice("Algorithm", MacAlgorithm.Sha256),
            Encoding = reader.Choice("Encoding", MacEncoding.Hex),
            Prefix = reader.Text("Prefix") ?? "",
            IdHeader = idHeader,
            TimestampHeader = timestampHeader,
            Tolerance = tolerance,
            Content = content,
        };
    }
}
