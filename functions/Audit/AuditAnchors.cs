using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
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

/// <summary>A valid time stamp: its own time is what it proves.</summary>
/// <param name="At">When the authority made it, UTC.</param>
/// <param name="Authority">The name in the authority's certificate. Whoever relies on it compares the fingerprint.</param>
/// <param name="Fingerprint">SHA-256 of the certificate, hex.</param>
public sealed record AuditStamp(DateTimeOffset At, string Authority, string Fingerprint);

/// <summary>
/// The ends of all chains at a moment. It says of entries that are not sealed yet that they were there: whoever removes the newest ones,
/// which no later entry remembers, is found out by it.
/// </summary>
/// <param name="At">When.</param>
/// <param name="Chains">The end of each chain.</param>
public sealed record AuditHeads(DateTimeOffset At, IReadOnlyList<AuditHeadNote> Chains);

/// <summary>The end of a chain.</summary>
/// <param name="Chain">The chain.</param>
/// <param name="Sequence">The number of its last entry.</param>
/// <param name="Hash">The hash of that entry, hex.</param>
public sealed record AuditHeadNote(string Chain, long Sequence, string Hash);

/// <summary>Anchors of days, and of the ends of chains in between.</summary>
public interface IAuditAnchors
{
    /// <summary>There is no place for anchors.</summary>
    bool IsNone { get; }

    /// <summary>The ends of chains that were anchored on a day (UTC, <c>yyyy-MM-dd</c>) and later, the earliest first.</summary>
    IAsyncEnumerable<AuditHeads> HeadsAsync(string fromDay, CancellationToken cancellationToken);

    /// <summary>The last day that was anchored; <see langword="null"/> when none was.</summary>
    Task<string?> LastDayAsync(CancellationToken cancellationToken);

    /// <summary>The anchor of a day; <see langword="null"/> when there is none.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    Task<AuditAnchor?> ReadAsync(string day, CancellationToken cancellationToken);
}

/// <summary>Anchors as files: what is read of them.</summary>
public class AnchorReader(IAuditFiles files) : IAuditAnchors
{
    private protected const string HeadsPrefix = "heads/";
    private protected const string Suffix = ".json";
    private const string RootsPrefix = "anchors/";

    /// <inheritdoc/>
    public bool IsNone => files is NoFiles;

    /// <inheritdoc/>
    public async Task<string?> LastDayAsync(CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (var name in files.ListFirstAsync(RootsPrefix, cancellationToken))
        {
            last = Path.GetFileNameWithoutExtension(name) is var day && AuditDay.IsValid(day) ? day : last;
        }

        return last;
    }

    /// <summary>The root that was anchored for a day; <see langword="null"/> when none was.</summary>
    public async Task<string?> FindAsync(string day, CancellationToken cancellationToken) => (await ReadAsync(day, cancellationToken))?.Root;

    /// <inheritdoc/>
    public async Task<AuditAnchor?> ReadAsync(string day, CancellationToken cancellationToken)
    {
        await using var file = await files.OpenFirstAsync(NameOf(day), cancellationToken);
        try
        {
            return file is null ? null : await JsonSerializer.DeserializeAsync(file, AuditSealJson.Default.AuditAnchor, cancellationToken);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"The anchor of {day} is damaged.", exception);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<AuditHeads> HeadsAsync(string fromDay, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var name in files.ListFirstAsync(HeadsPrefix, cancellationToken))
        {
            if (string.CompareOrdinal(name, HeadsPrefix + fromDay) < 0 || await files.OpenFirstAsync(name, cancellationToken) is not { } file)
            {
                continue;
            }

            await using (file)
            {
                if (await ReadHeadsAsync(file, name, cancellationToken) is { } heads)
                {
                    yield return heads;
                }
            }
        }
    }

    private protected static string NameOf(string day) => RootsPrefix + day + Suffix;

    private static async Task<AuditHeads?> ReadHeadsAsync(Stream file, string name, CancellationToken cancellationToken)
    {
        try
        {
            var heads = await JsonSerializer.DeserializeAsync(file, AuditSealJson.Default.AuditHeads, cancellationToken);
            return heads?.Chains?.All(static note => note?.Chain is not null && note.Hash is not null) == true ? heads : throw new InvalidDataException($"The anchor {name} is damaged.");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"The anchor {name} is damaged.", exception);
        }
    }
}

/// <summary>Anchors as files that are written, with a time stamp when an authority is configured.</summary>
public sealed class AuditAnchors(IAuditFiles files, AuditOptions options, HttpClient http, TimeProvider time) : AnchorReader(files)
{
    private const int MaximumToken = 64 * 1024;

    private readonly IAuditFiles _files = files;

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
        await _files.CreateAsync(NameOf(seal.Day), content, cancellationToken);
    }

    /// <summary>Anchors the ends of chains, at most once in an hour.</summary>
    public async Task PutHeadsAsync(IReadOnlyList<AuditHeadNote> chains, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var name = HeadsPrefix + now.UtcDateTime.ToString("yyyy-MM-dd'T'HH", CultureInfo.InvariantCulture) + Suffix;
        if (IsNone || chains.Count == 0)
        {
            return;
        }

        using var content = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(new AuditHeads(now, chains), AuditSealJson.Default.AuditHeads));
        await _files.CreateAsync(name, content, cancellationToken);
    }

    /// <summary>Whether the token is a valid time stamp over the root; the signer's chain is for whoever relies on it to check.</summary>
    public static bool IsStampOf(ReadOnlyMemory<byte> token, string root) => StampOf(token, root) is not null;

    /// <summary>When and by whom a token was made that is a valid time stamp over the root; <see langword="null"/> when it is none.</summary>
    public static AuditStamp? StampOf(ReadOnlyMemory<byte> token, string root)
    {
        try
        {
            return Rfc3161TimestampToken.TryDecode(token, out var decoded, out _)
                && decoded.VerifySignatureForHash(Convert.FromHexString(root), HashAlgorithmName.SHA256, out var signer)
                ? new(decoded.TokenInfo.Timestamp.ToUniversalTime(), signer.Subject, signer.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant())
                : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private async Task<byte[]> StampAsync(Uri authority, byte[] root, CancellationToken cancellationToken)
    {
        var request = Rfc3161TimestampRequest.CreateFromHash(
            root, HashAlgorithmName.SHA256, nonce: RandomNumberGenerator.GetBytes(8), requestSignerCertificates: true);
        using var content = new ByteArrayContent(request.Encode());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/timestamp-query");
        try
        {
            using var asking = new HttpRequestMessage(HttpMethod.Post, authority) { Content = content };
            using var response = await http.SendAsync(asking, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            response.EnsureSuccessStatusCode();
            await response.Content.LoadIntoBufferAsync(MaximumToken, cancellationToken);
            return request.ProcessResponse(await response.Content.ReadAsByteArrayAsync(cancellationToken), out _).AsSignedCms().Encode();
        }
        catch (Exception exception) when (
            exception is HttpRequestException or CryptographicException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new IOException("The time stamping authority gave no valid time stamp.", exception);
        }
    }
}
