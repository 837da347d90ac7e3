using DingFlow.Settings;

namespace DingFlow.Intake;

/// <summary>
/// An identity provider that provisions by SCIM 2.0 (<c>scim/v2/{source}</c>) with a bearer token. It has no webhook; the dialect says
/// only that the source is of this kind.
/// </summary>
public sealed class ScimDialect : IHrDialect
{
    /// <summary>Its name in <c>HrSources:{source}:Dialect</c>.</summary>
    public const string DialectName = "scim";

    /// <inheritdoc/>
    public string Name => DialectName;

    /// <inheritdoc/>
    public bool IsWebhook => false;

    /// <inheritdoc/>
    public byte[]? ReadSecret(SettingsReader reader, string name) => null;

    /// <inheritdoc/>
    public bool Accepts(string? contentType) => false;

    /// <summary>Nothing that is sent as a webhook is accepted.</summary>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        HrVerification.Refused(SignatureVerdict.Mismatch);

    /// <summary>Nothing that is sent as a webhook is read.</summary>
    public HrReading Read(ReadOnlyMemory<byte> body, string source) => HrReading.Refused("", "This source has no webhook.");

    /// <summary>There is no signature that could be wrong.</summary>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        [new("no-webhook", "This source has no webhook.")];
}
