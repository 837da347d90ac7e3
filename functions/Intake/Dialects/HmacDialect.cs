using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>What dialects share that sign with one HMAC under a secret whose UTF-8 bytes are the key.</summary>
public abstract class HmacDialect : IHrDialect
{
    /// <inheritdoc/>
    public abstract string Name { get; }

    /// <inheritdoc/>
    public virtual bool NeedsSecrets => true;

    /// <inheritdoc/>
    public virtual string BodyForms => "JSON";

    /// <inheritdoc/>
    public virtual bool RetriesAfter4xx => true;

    internal abstract HmacScheme Scheme { get; }

    /// <inheritdoc/>
    public virtual IHrDialect Configure(SettingsReader reader) => this;

    /// <inheritdoc/>
    public virtual byte[]? ReadSecret(SettingsReader reader, string name) => HmacScheme.ReadTextSecret(reader, name);

    /// <inheritdoc/>
    public virtual bool Accepts(string? contentType) => HttpBodies.IsJson(contentType);

    /// <inheritdoc/>
    public virtual HrGreeting Recognise(ReadOnlySpan<byte> body) => HrGreeting.None;

    /// <inheritdoc/>
    public virtual HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        Scheme.Verify(headers, body, secrets, now);

    /// <inheritdoc/>
    public abstract HrReading Read(ReadOnlyMemory<byte> body, string source);

    /// <inheritdoc/>
    public virtual IReadOnlyList<HrFinding> Diagnose(
        IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        SignatureDiagnosis.Of(Scheme, headers, body, secrets, now);

    /// <summary>Reads how far the time of an attempt may lie from ours (<c>Tolerance</c>).</summary>
    internal static TimeSpan ReadTolerance(SettingsReader reader) => reader.Duration("Tolerance", StandardWebhooks.Tolerance);
}
