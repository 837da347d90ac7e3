using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Workday has no webhook of its own: an outbound integration step or a notification posts what the customer lets it post, XML or JSON,
/// with a user and password (Basic), a client certificate, or a signature that the integration computes (<c>Signature:Header</c> and the
/// others, as in the dialect <c>mapped</c>). The elements or properties are looked for anywhere by the names that Workday uses; the
/// settings <c>Map:…</c> name other places, where XML is read as the same tree without namespaces.
/// </summary>
/// <remarks>
/// (k) The usual names are <c>Event_ID</c>, <c>Event_Type</c>, <c>Event_Time</c>, <c>Worker_ID</c>, <c>Email_Address</c> and
/// <c>Effective_Date</c>; what an integration really sends is the customer's choice.
/// </remarks>
public sealed class WorkdayDialect : IHrDialect
{
    private static readonly Dictionary<string, string> UsualPaths = new(StringComparer.Ordinal)
    {
        ["Id"] = "$..Event_ID",
        ["Kind"] = "$..Event_Type",
        ["OccurredAt"] = "$..Event_Time",
        ["EmployeeId"] = "$..Worker_ID",
        ["Email"] = "$..Email_Address",
        ["EffectiveAt"] = "$..Effective_Date",
    };

    private readonly HmacScheme? _scheme;
    private readonly SenderCredentials _credentials;
    private readonly PayloadMap _map;

    /// <summary>The dialect before a source configures it: it accepts nobody.</summary>
    public WorkdayDialect()
        : this(null, SenderCredentials.None, PayloadMap.None)
    {
    }

    private WorkdayDialect(HmacScheme? scheme, SenderCredentials credentials, PayloadMap map) => (_scheme, _credentials, _map) = (scheme, credentials, map);

    /// <inheritdoc/>
    public string Name => "workday";

    /// <inheritdoc/>
    public bool NeedsSecrets => !_credentials.HasCertificates;

    /// <inheritdoc/>
    public string BodyForms => "XML or JSON";

    /// <inheritdoc/>
    public IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var signature = reader.Section("Signature");
        var scheme = signature.Text("Header") is null ? null : MappedDialect.ReadScheme(signature, HmacDialect.ReadTolerance(reader));
        var map = PayloadMap.Read(reader, KindMap.Workday, UsualPaths);
        return new WorkdayDialect(scheme, SenderCredentials.Read(reader), map);
    }

    /// <inheritdoc/>
    public byte[]? ReadSecret(SettingsReader reader, string name) =>
        _scheme is null ? SenderCredentials.ReadSecret(reader, name) : HmacScheme.ReadTextSecret(reader, name);

    /// <inheritdoc/>
    public bool Accepts(string? contentType) => HttpBodies.IsJson(contentType) || XmlPayload.IsXml(contentType);

    /// <inheritdoc/>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        _scheme?.Verify(headers, body, secrets, now) ?? _credentials.Verify(headers, secrets, now);

    /// <inheritdoc/>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        _scheme is null ? _credentials.Diagnose(headers, secrets, now) : SignatureDiagnosis.Of(_scheme, headers, body, secrets, now);

    /// <inheritdoc/>
    public HrReading Read(ReadOnlyMemory<byte> body, string source)
    {
        if (body.Span.TrimStart("\uFEFF \t\r\n"u8) is not [(byte)'<', ..])
        {
            var strict = JsonFields.Read(body, static _ => new HrReading());
            return strict.Fault is not null ? strict
                : JsonPayload.Parse(body) is { } root ? _map.Read(root, source)
                : HrReading.Refused("", "The body holds more than can be read here, or a number that is none.");
        }

        return XmlPayload.Parse(body) is { } xml ? _map.Read(XmlPayload.ToJson(xml), source) : HrReading.Refused("", XmlPayload.Rule);
    }
}
