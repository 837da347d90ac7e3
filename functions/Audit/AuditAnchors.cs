using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.Pkcs;
using System.Text.Json;

namespace DingFlow.Audit;

/// <summary>
/// The root of a day, kept where the writer of the trail cannot change it: whoever rewrites the whole trail, seals included, is found out
/// by it.
/// </summary>
/// <param name="Day">The day.</param>
/// <param name="Root">Its root.</param>
/// <param name="AnchoredAt">When it was anchored.</param>
/// <param name="Timestamp">The token of the time stamping authority over the root's 32 bytes (RFC 3161), base64, when one is configured.</param>
public sealed record AuditAnchor(string Day, string Root, DateTimeOffset AnchoredAt, byte[]? Timestamp);

/// <summary>Anchors of days.</summary>
public interface IAuditAnchors
{
    /// <summary>The root that was anchored for a day; <see langword="null"/> when none was.</summary>
    Task<string?> FindAsync(string day, CancellationToken cancellationToken);
}

/// <summary>Anchors as files, with a time stamp when an authority is configured.</summary>
public sealed class AuditAnchors(IAuditFiles files, AuditOptions options, HttpClient http, TimeProvider time) : IAuditAnchors
{
    private const int MaximumToken = 64 * 1024;

    /// <summary>Nothing is configured.</summary>
    public bool IsNone => files is NoFiles;

    /// <inheritdoc/>
    public async Task<string?> FindAsync(string day, CancellationToken cancellationToken) => (await ReadAsync(day, cancellationToken))?.Root;

    /// <summary>The anchor of a day.</summary>
    public async Task<AuditAnchor?> ReadAsync(string day, CancellationToken cancellationToken)
    {
        await using var file = await files.OpenAsync(NameOf(day), cancellationToken);
        return file is null ? null : await JsonSerializer.DeserializeAsync(file, AuditSealJson.Default.AuditAnchor, cancellationToken);
    }

    /// <summary>Anchors a seal, once: an anchor that is there is never replaced.</summary>
    public async Task PutAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(seal);
        if (IsNone || await FindAsync(seal.Day, cancellationToken) is not null)
        {
            return;
        }

        var token = options.TimestampUrl is null ? null : await StampAsync(options.TimestampUrl, Convert.FromHexString(seal.Root), cancellationToken);
        var anchor = JsonSerializer.SerializeToUtf8Bytes(
            new AuditAnchor(seal.Day, seal.Root, time.GetUtcNow(), token), AuditSealJson.Default.AuditAnchor);
        using var content = new MemoryStream(anchor);
        await files.PutAsync(NameOf(seal.Day), content, cancellationToken);
    }

    /// <summary>Whether the token is a valid time stamp over the root; the signer's chain is for whoever relies on it to check.</summary>
    public static bool IsStampOf(ReadOnlyMemory<byte> token, string root) =>
        Rfc3161TimestampToken.TryDecode(token, out var decoded, out _)
        && decoded.VerifySignatureForHash(Convert.FromHexString(root), HashAlgorithmName.SHA256, out _);

    private static string NameOf(string day) => $"anchors/{day}.json";

    private async Task<byte[]> StampAsync(Uri authority, byte[] root, CancellationToken cancellationToken)
    {
        var request = Rfc3161TimestampRequest.CreateFromHash(
            root, HashAlgorithmName.SHA256, nonce: RandomNumberGenerator.GetBytes(8), requestSignerCertificates: true);
        using var content = new ByteArrayContent(request.Encode());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/timestamp-query");
        try
        {
            using var response = await http.PostAsync(authority, content, cancellationToken);
            response.EnsureSuccessStatusCode();
            await response.Content.LoadIntoBufferAsync(MaximumToken, cancellationToken);
            return request.ProcessResponse(await response.Content.ReadAsByteArrayAsync(cancellationToken), out _).AsSignedCms().Encode();
        }
        catch (Exception exception) when (exception is HttpRequestException or CryptographicException)
        {
            throw new IOException("The time stamping authority gave no valid time stamp.", exception);
        }
    }
}
