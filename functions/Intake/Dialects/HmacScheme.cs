using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>How a MAC is written in its header.</summary>
internal enum MacEncoding
{
    /// <summary>Hexadecimal digits in any case.</summary>
    Hex,

    /// <summary>Base64 with padding.</summary>
    Base64,
}

/// <summary>The hash of an HMAC (RFC 2104).</summary>
internal enum MacAlgorithm
{
    /// <summary>HMAC-SHA-256.</summary>
    Sha256,

    /// <summary>HMAC-SHA-384.</summary>
    Sha384,

    /// <summary>HMAC-SHA-512.</summary>
    Sha512,
}

/// <summary>
/// How a sender signs: which header, which HMAC over which bytes. Most HR systems differ in nothing else, so that one implementation
/// checks and explains them all.
/// </summary>
internal sealed record HmacScheme
{
    public const string Id = "{id}";
    public const string Timestamp = "{timestamp}";
    public const string Body = "{body}";

    private const int MaxHeaderLength = 2048;
    private const int MaxTimestampLength = 40;
    private const int MaxKeyLength = 512;
    private const int MinKeyLength = 8;

    /// <summary>The header with the signature.</summary>
    public required string SignatureHeader { get; init; }

    /// <summary>The hash.</summary>
    public MacAlgorithm Algorithm { get; init; } = MacAlgorithm.Sha256;

    /// <summary>How the MAC is written.</summary>
    public MacEncoding Encoding { get; init; } = MacEncoding.Hex;

    /// <summary>What stands before the MAC.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>The prefix may be absent.</summary>
    public bool PrefixOptional { get; init; }

    /// <summary>What separates several signatures in the header, of which those with another prefix are passed over; none: there is one.</summary>
    public char? Separator { get; init; }

    /// <summary>The header with the sender's id of the delivery; needed when the id is signed.</summary>
    public string? IdHeader { get; init; }

    /// <summary>The header with the time of the attempt: seconds or milliseconds since 1970, or RFC 3339.</summary>
    public string? TimestampHeader { get; init; }

    /// <summary>How far that time may lie from ours.</summary>
    public TimeSpan Tolerance { get; init; } = StandardWebhooks.Tolerance;

    /// <summary>What is signed: text with <c>{body}</c> once and, as signed, <c>{timestamp}</c> and <c>{id}</c>.</summary>
    public string Content { get; init; } = Body;

    /// <summary>Bytes of a MAC.</summary>
    public int MacBytes => BytesOf(Algorithm);

    /// <summary>The time of the attempt is signed along, so that it proves freshness.</summary>
    public bool SignsTime => TimestampHeader is not null && Content.Contains(Timestamp, StringComparison.Ordinal);

    private bool SignsId => IdHeader is not null && Content.Contains(Id, StringComparison.Ordinal);

    /// <summary>Reads a secret whose UTF-8 bytes are the key, as most HR systems have it.</summary>
    public static byte[]? ReadTextSecret(SettingsReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var text = reader.Required(name);
        if (text.Length == 0)
        {
            return null;
        }

        if (text.Length is < MinKeyLength or > MaxKeyLength)
        {
            reader.Fault(name, string.Create(CultureInfo.InvariantCulture, $"must have {MinKeyLength} to {MaxKeyLength} characters, exactly as the HR system shows it"));
            return null;
        }

        return System.Text.Encoding.UTF8.GetBytes(text);
    }

    /// <summary>Checks a request.</summary>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(headers);
        ArgumentNullException.ThrowIfNull(secrets);
        if (headers[SignatureHeader].Count == 0 || (SignsTime && headers[TimestampHeader!].Count == 0) || (SignsId && headers[IdHeader!].Count == 0))
        {
            return HrVerification.Refused(SignatureVerdict.MissingHeader);
        }

        if (!TryGetId(headers, out var id) || !TryGetTime(headers, out var timestamp, out var signedAt))
        {
            return HrVerification.Refused(SignatureVerdict.MalformedHeader);
        }

        Span<byte> signatures = stackalloc byte[MaxSignatures * HMACSHA512.HashSizeInBytes];
        var count = headers[SignatureHeader] is [{ Length: > 0 and <= MaxHeaderLength } signature] ? ReadSignatures(signature, signatures) : -1;
        if (count < 0)
        {
            return HrVerification.Refused(SignatureVerdict.MalformedHeader);
        }

        if (signedAt is { } at && (now - at).Duration() > Tolerance)
        {
            return HrVerification.Refused(SignatureVerdict.Stale);
        }

        var buffer = Compose(Content, id ?? "", timestamp ?? "", body, out var length);
        try
        {
            var index = FindSecret(buffer.AsSpan(0, length), secrets, signatures[..(count * MacBytes)]);
            return index < 0
                ? HrVerification.Refused(SignatureVerdict.Mismatch)
                : new HrVerification(SignatureVerdict.Valid, index, id) { SignedAt = signedAt };
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The signature header's value for a delivery.</summary>
    public string Sign(byte[] secret, ReadOnlySpan<byte> body, string id = "", string timestamp = "")
    {
        var buffer = Compose(Content, id, timestamp, body, out var length);
        try
        {
            Span<byte> mac = stackalloc byte[HMACSHA512.HashSizeInBytes];
            Hash(Algorithm, secret, buffer.AsSpan(0, length), mac);
            mac = mac[..MacBytes];
            return Prefix + (Encoding == MacEncoding.Hex ? Convert.ToHexStringLower(mac) : Convert.ToBase64String(mac));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a time of an attempt.</summary>
    public static bool TryReadTime(string text, out DateTimeOffset time)
    {
        ArgumentNullException.ThrowIfNull(text);
        time = default;
        if (text.Length is 0 or > MaxTimestampLength)
        {
            return false;
        }

        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? JsonFields.TryReadEpoch(number, out time)
            : PersonFields.TryReadTime(text, out time);
    }

    /// <summary>The signed bytes, in a rented buffer.</summary>
    internal static byte[] Compose(string content, string id, string timestamp, ReadOnlySpan<byte> body, out int length)
    {
        var bodyAt = content.IndexOf(Body, StringComparison.Ordinal);
        var before = Fill(content[..bodyAt], id, timestamp);
        var after = Fill(content[(bodyAt + Body.Length)..], id, timestamp);
        length = before.Length + body.Length + after.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        before.CopyTo(buffer, 0);
        body.CopyTo(buffer.AsSpan(before.Length));
        after.CopyTo(buffer, before.Length + body.Length);
        return buffer;
    }

    internal static int BytesOf(MacAlgorithm algorithm) => algorithm switch
    {
        MacAlgorithm.Sha256 => HMACSHA256.HashSizeInBytes,
        MacAlgorithm.Sha384 => HMACSHA384.HashSizeInBytes,
        _ => HMACSHA512.HashSizeInBytes,
    };

    internal static void Hash(MacAlgorithm algorithm, ReadOnlySpan<byte> key, ReadOnlySpan<byte> content, Span<byte> mac)
    {
        _ = algorithm switch
        {
            MacAlgorithm.Sha256 => HMACSHA256.HashData(key, content, mac),
            MacAlgorithm.Sha384 => HMACSHA384.HashData(key, content, mac),
            _ => HMACSHA512.HashData(key, content, mac),
        };
    }

    private const int MaxSignatures = 16;

    private static byte[] Fill(string part, string id, string timestamp) => part.Length == 0 ? [] : System.Text.Encoding.UTF8.GetBytes(
        part.Replace(Timestamp, timestamp, StringComparison.Ordinal).Replace(Id, id, StringComparison.Ordinal));

    private bool TryGetId(IHeaderDictionary headers, out string? id)
    {
        id = null;
        if (IdHeader is null || (headers[IdHeader].Count == 0 && !SignsId))
        {
            return true;
        }

        id = headers[IdHeader] is [{ } value] && StandardWebhooks.IsId(value) ? value : null;
        return id is not null;
    }

    private bool TryGetTime(IHeaderDictionary headers, out string? timestamp, out DateTimeOffset? signedAt)
    {
        (timestamp, signedAt) = (null, null);
        if (!SignsTime)
        {
            return true;
        }

        if (headers[TimestampHeader!] is not [{ } value] || !TryReadTime(value, out var time))
        {
            return false;
        }

        (timestamp, signedAt) = (value, time);
        return true;
    }

    /// <summary>Decodes the signatures one after another; -1 when there is none or one of them is malformed.</summary>
    private int ReadSignatures(ReadOnlySpan<char> header, Span<byte> signatures)
    {
        if (Separator is not { } separator)
        {
            return TryReadSignature(header, signatures) ? 1 : -1;
        }

        var count = 0;
        foreach (var range in header.Split(separator))
        {
            var signature = header[range].Trim();
            if (Prefix.Length > 0 && !signature.StartsWith(Prefix, StringComparison.Ordinal))
            {
                continue;
            }

            if (count == MaxSignatures || !TryReadSignature(signature, signatures[(count * MacBytes)..]))
            {
                return -1;
            }

            count++;
        }

        return count;
    }

    private bool TryReadSignature(ReadOnlySpan<char> text, Span<byte> mac)
    {
        if (text.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            text = text[Prefix.Length..];
        }
        else if (!PrefixOptional)
        {
            return false;
        }

        return Encoding == MacEncoding.Hex
            ? text.Length == MacBytes * 2 && Convert.FromHexString(text, mac[..MacBytes], out _, out _) == OperationStatus.Done
            : text.Length == (MacBytes + 2) / 3 * 4 && Convert.TryFromBase64Chars(text, mac, out var written) && written == MacBytes;
    }

    private int FindSecret(ReadOnlySpan<byte> content, IReadOnlyList<byte[]> secrets, ReadOnlySpan<byte> signatures)
    {
        Span<byte> buffer = stackalloc byte[HMACSHA512.HashSizeInBytes];
        var found = -1;
        for (var index = 0; index < secrets.Count; index++)
        {
            Hash(Algorithm, secrets[index], content, buffer);
            for (var offset = 0; offset < signatures.Length; offset += MacBytes)
            {
                if (CryptographicOperations.FixedTimeEquals(buffer[..MacBytes], signatures.Slice(offset, MacBytes)) && found < 0)
                {
                    found = index;
                }
            }
        }

        return found;
    }
}
