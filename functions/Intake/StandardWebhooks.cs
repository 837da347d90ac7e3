using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Intake;

/// <summary>
/// The signatures of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks): HMAC-SHA-256 over
/// <c>{id}.{timestamp}.{raw body}</c>, several signatures in one header so that a secret can be rotated.
/// </summary>
public static class StandardWebhooks
{
    /// <summary>The header with the sender's id of the message, the same for every attempt.</summary>
    public const string IdHeader = "webhook-id";

    /// <summary>The header with the time of the attempt in seconds since 1970.</summary>
    public const string TimestampHeader = "webhook-timestamp";

    /// <summary>The header with the signatures, separated by spaces.</summary>
    public const string SignatureHeader = "webhook-signature";

    /// <summary>Characters that an id may have.</summary>
    public const int MaxIdLength = 128;

    private const string SecretPrefix = "whsec_";
    private const int MinSecretBytes = 24;
    private const int MaxSecretBytes = 64;
    private const int MaxTimestampLength = 12;
    private const int MaxSignatureHeaderLength = 2048;
    private const int MaxSignatures = 16;
    private const int MacBytes = HMACSHA256.HashSizeInBytes;
    private const int MacBase64Length = 44;
    private static readonly SearchValues<char> IdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:~+/=|");

    /// <summary>How far the time of an attempt may lie from ours.</summary>
    public static TimeSpan Tolerance { get; } = TimeSpan.FromMinutes(5);

    /// <summary>What a secret must look like, for a setting's fault.</summary>
    public static string SecretRule { get; } = string.Create(
        CultureInfo.InvariantCulture, $"must be {SecretPrefix} followed by base64 of {MinSecretBytes} to {MaxSecretBytes} bytes");

    /// <summary>The key of a <c>whsec_…</c> secret, or <see langword="null"/> when it is none.</summary>
    public static byte[]? DecodeSecret(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
        {
            return null;
        }

        var buffer = new byte[secret.Length];
        return Convert.TryFromBase64Chars(secret.AsSpan(SecretPrefix.Length), buffer, out var written) && written is >= MinSecretBytes and <= MaxSecretBytes
            ? buffer[..written]
            : null;
    }

    /// <summary>Whether a text may stand in the id header: short, printable and safe in a log.</summary>
    public static bool IsId(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        return id.Length is > 0 and <= MaxIdLength && !id.AsSpan().ContainsAnyExcept(IdCharacters);
    }

    /// <summary>The signature of a message: <c>v1,</c> and the MAC in base64.</summary>
    /// <param name="secret">The key, as <see cref="DecodeSecret"/> gave it.</param>
    /// <param name="id">The message's id.</param>
    /// <param name="timestamp">The time of the attempt, seconds since 1970.</param>
    /// <param name="body">The body as it will be sent.</param>
    public static string Sign(ReadOnlySpan<byte> secret, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        ArgumentNullException.ThrowIfNull(id);
        Span<byte> mac = stackalloc byte[MacBytes];
        using var content = SignedContent.Of(id, timestamp.ToString(CultureInfo.InvariantCulture), body);
        HMACSHA256.HashData(secret, content.Span, mac);
        return $"v1,{Convert.ToBase64String(mac)}";
    }

    /// <summary>Checks the three headers against the body. Signatures of other versions are passed over.</summary>
    public static HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(headers);
        ArgumentNullException.ThrowIfNull(secrets);
        var (ids, timestamps, lists) = (headers[IdHeader], headers[TimestampHeader], headers[SignatureHeader]);
        if (ids.Count == 0 || timestamps.Count == 0 || lists.Count == 0)
        {
            return HrVerification.Refused(SignatureVerdict.MissingHeader);
        }

        if (ids.Count > 1 || timestamps.Count > 1 || lists.Count > 1
            || ids[0] is not { } id || !IsId(id)
            || timestamps[0] is not { } timestamp || !TryReadTimestamp(timestamp, out var seconds)
            || lists[0] is not { Length: > 0 and <= MaxSignatureHeaderLength } list)
        {
            return HrVerification.Refused(SignatureVerdict.MalformedHeader);
        }

        if (Math.Abs(now.ToUnixTimeSeconds() - seconds) > Tolerance.TotalSeconds)
        {
            return HrVerification.Refused(SignatureVerdict.Stale);
        }

        Span<byte> signatures = stackalloc byte[MaxSignatures * MacBytes];
        var count = ReadSignatures(list, signatures);
        if (count < 0)
        {
            return HrVerification.Refused(SignatureVerdict.MalformedHeader);
        }

        using var content = SignedContent.Of(id, timestamp, body);
        var index = FindSecret(content.Span, secrets, signatures[..(count * MacBytes)]);
        return index < 0 ? HrVerification.Refused(SignatureVerdict.Mismatch) : new HrVerification(SignatureVerdict.Valid, index, id);
    }

    private static bool TryReadTimestamp(string text, out long seconds)
    {
        seconds = 0;
        return text.Length is > 0 and <= MaxTimestampLength
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seconds);
    }

    /// <summary>Decodes the <c>v1</c> signatures one after another; -1 when one of them is malformed or there are too many.</summary>
    private static int ReadSignatures(ReadOnlySpan<char> list, Span<byte> signatures)
    {
        var count = 0;
        foreach (var range in list.Split(' '))
        {
            var signature = list[range];
            if (!signature.StartsWith("v1,", StringComparison.Ordinal))
            {
                continue;
            }

            var mac = signature[3..];
            if (count == MaxSignatures || mac.Length != MacBase64Length
                || !Convert.TryFromBase64Chars(mac, signatures[(count * MacBytes)..], out var written) || written != MacBytes)
            {
                return -1;
            }

            count++;
        }

        return count;
    }

    private static int FindSecret(ReadOnlySpan<byte> content, IReadOnlyList<byte[]> secrets, ReadOnlySpan<byte> signatures)
    {
        Span<byte> mac = stackalloc byte[MacBytes];
        var found = -1;
        for (var index = 0; index < secrets.Count; index++)
        {
            HMACSHA256.HashData(secrets[index], content, mac);
            for (var offset = 0; offset < signatures.Length; offset += MacBytes)
            {
                if (CryptographicOperations.FixedTimeEquals(mac, signatures.Slice(offset, MacBytes)) && found < 0)
                {
                    found = index;
                }
            }
        }

        return found;
    }

    /// <summary>The signed bytes in one piece, in a rented buffer.</summary>
    private readonly ref struct SignedContent(byte[] buffer, int length)
    {
        public ReadOnlySpan<byte> Span => buffer.AsSpan(0, length);

        public static SignedContent Of(string id, string timestamp, ReadOnlySpan<byte> body)
        {
            var length = Encoding.UTF8.GetByteCount(id) + timestamp.Length + 2 + body.Length;
            var buffer = ArrayPool<byte>.Shared.Rent(length);
            var position = Encoding.UTF8.GetBytes(id, buffer);
            buffer[position++] = (byte)'.';
            position += Encoding.UTF8.GetBytes(timestamp, buffer.AsSpan(position));
            buffer[position++] = (byte)'.';
            body.CopyTo(buffer.AsSpan(position));
            return new SignedContent(buffer, length);
        }

        public void Dispose() => ArrayPool<byte>.Shared.Return(buffer);
    }
}
