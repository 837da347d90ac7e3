using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Senders that deliver through Svix: Standard Webhooks under the header names <c>svix-id</c>, <c>svix-timestamp</c> and
/// <c>svix-signature</c>. Their bodies are those of the dialect <c>standard</c>. Svix tries again for 27 hours and gives an address up
/// after failing for five days.
/// </summary>
public sealed class SvixDialect : HmacDialect
{
    private static readonly StandardDialect Standard = new();

    /// <inheritdoc/>
    public override string Name => "svix";

    internal override HmacScheme Scheme { get; } = StandardDialect.SchemeOf("svix-id", "svix-timestamp", "svix-signature");

    /// <inheritdoc/>
    public override byte[]? ReadSecret(SettingsReader reader, string name) => Standard.ReadSecret(reader, name);

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) => Standard.Read(body, source);
}
