namespace DingFlow.Intake.Dialects;

/// <summary>
/// Anything homemade that signs as GitHub does: <c>X-Hub-Signature-256: sha256=</c> and the hexadecimal HMAC-SHA-256 of the body, the
/// delivery's id in <c>X-GitHub-Delivery</c>. Nothing signs the time, so that only the delivery's id keeps a repetition out. Its bodies
/// are those of the dialect <c>standard</c>. Source: GitHub Docs, "Validating webhook deliveries".
/// </summary>
public sealed class GitHubDialect : HmacDialect
{
    private static readonly StandardDialect Standard = new();

    /// <inheritdoc/>
    public override string Name => "github";

    internal override HmacScheme Scheme { get; } = new()
    {
        SignatureHeader = "X-Hub-Signature-256", Prefix = "sha256=", IdHeader = "X-GitHub-Delivery",
    };

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) => Standard.Read(body, source);
}
