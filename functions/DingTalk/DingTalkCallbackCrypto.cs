using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DingFlow.DingTalk;

/// <summary>How the opening of a callback ended.</summary>
public enum DingTalkCallbackVerdict
{
    /// <summary>Signed, decrypted and meant for this app.</summary>
    Valid,

    /// <summary>The signature is not ours (DingTalk's own code for it: 900005).</summary>
    BadSignature,

    /// <summary>The encrypted text is not base64, or not a whole number of cipher blocks (900008).</summary>
    BadCiphertext,

    /// <summary>The padding is not 1 to 32 equal bytes that say their number: the AES key differs (900008).</summary>
    BadPadding,

    /// <summary>The length field points outside (900009).</summary>
    BadLength,

    /// <summary>It is meant for another app or organisation (900010).</summary>
    OtherOwner,
}

/// <summary>How the opening of a callback ended, and the message of a valid one.</summary>
/// <param name="Verdict">How it ended.</param>
/// <param name="Message">The decrypted message, UTF-8 JSON; empty unless valid.</param>
public readonly record struct DingTalkCallbackResult(DingTalkCallbackVerdict Verdict, ReadOnlyMemory<byte> Message);

/// <summary>An answer to a callback, field by field as DingTalk reads it.</summary>
/// <param name="Signature">Over the other three; <c>msg_signature</c> in JSON.</param>
/// <param name="TimeStamp">Milliseconds since 1970, 13 digits; <c>timeStamp</c> in JSON.</param>
/// <param name="Nonce">16 random characters.</param>
/// <param name="Encrypt">The encrypted message, base64 without line breaks.</param>
public sealed record DingTalkCallbackReply(string Signature, string TimeStamp, string Nonce, string Encrypt);

/// <summary>
/// Signature and encryption of DingTalk's HTTP callbacks (open.dingtalk.com, "callback event message body encryption and decryption"):
/// SHA-1 over the sorted token, timestamp, nonce and ciphertext; AES-256-CBC over 16 random bytes, the length, the message and the
/// owner's key, padded to blocks of 32.
/// </summary>
public sealed class DingTalkCallbackCrypto
{
    private const int AesKeyLength = 43;
    private const int BlockBytes = 16;
    private const int PaddingBlockBytes = 32;
    private const int RandomBytes = 16;
    private const int HeaderBytes = RandomBytes + sizeof(int);
    private const string NonceCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private const int NonceLength = 16;

    private readonly string _token;
    private readonly byte[] _aesKey;
    private readonly byte[] _ownerKey;

    /// <summary>The keys of one subscription.</summary>
    /// <param name="token">The signing token.</param>
    /// <param name="aesKey">43 letters and digits: the AES key in base64 without its last character.</param>
    /// <param name="ownerKey">The suffix of every message: the app key, suite key or corp id, by the kind of subscription.</param>
    /// <exception cref="ArgumentException">A key is not of its form.</exception>
    public DingTalkCallbackCrypto(string token, string aesKey, string ownerKey)
    {
        ArgumentException.ThrowIfNullOrEmpty(token);
        ArgumentException.ThrowIfNullOrEmpty(ownerKey);
        if (aesKey is not { Length: AesKeyLength } || !aesKey.All(char.IsAsciiLetterOrDigit))
        {
            throw new ArgumentException("The callback's AES key must be 43 letters and digits.", nameof(aesKey));
        }

        _token = token;
        _aesKey = Convert.FromBase64String(aesKey + "=");
        _ownerKey = Encoding.UTF8.GetBytes(ownerKey);
    }

    /// <summary>Checks the signature, in constant time, and only then decrypts. Nothing that a sender writes makes it throw.</summary>
    public DingTalkCallbackResult Open(string signature, string timestamp, string nonce, string encrypt)
    {
        ArgumentNullException.ThrowIfNull(signature);
        Span<byte> expected = stackalloc byte[SHA1.HashSizeInBytes];
        Span<byte> given = stackalloc byte[SHA1.HashSizeInBytes];
        HashOf(timestamp, nonce, encrypt, expected);
        return signature.Length == 2 * SHA1.HashSizeInBytes
            && Convert.FromHexString(signature, given, out _, out _) == System.Buffers.OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(expected, given)
            ? Decrypt(encrypt)
            : new(DingTalkCallbackVerdict.BadSignature, default);
    }

    /// <summary>The signature in lower-case hexadecimal.</summary>
    public string Sign(string timestamp, string nonce, string encrypt)
    {
        Span<byte> hash = stackalloc byte[SHA1.HashSizeInBytes];
        HashOf(timestamp, nonce, encrypt, hash);
        return Convert.ToHexStringLower(hash);
    }

    /// <summary>Encrypts and signs an answer with random bytes and a nonce of its own.</summary>
    public DingTalkCallbackReply Seal(string message, DateTimeOffset now)
    {
        var encrypt = Encrypt(message, RandomNumberGenerator.GetBytes(RandomBytes));
        var timestamp = now.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
        var nonce = RandomNumberGenerator.GetString(NonceCharacters, NonceLength);
        return new DingTalkCallbackReply(Sign(timestamp, nonce, encrypt), timestamp, nonce, encrypt);
    }

    /// <summary>Encrypts with the given 16 random bytes.</summary>
    internal string Encrypt(string message, ReadOnlySpan<byte> random)
    {
        var length = Encoding.UTF8.GetByteCount(message);
        var content = HeaderBytes + length + _ownerKey.Length;
        var padding = PaddingBlockBytes - (content % PaddingBlockBytes);
        var plaintext = new byte[content + padding];
        random[..RandomBytes].CopyTo(plaintext);
        BinaryPrimitives.WriteInt32BigEndian(plaintext.AsSpan(RandomBytes), length);
        Encoding.UTF8.GetBytes(message, plaintext.AsSpan(HeaderBytes));
        _ownerKey.CopyTo(plaintext, HeaderBytes + length);
        plaintext.AsSpan(content).Fill((byte)padding);
        using var aes = CreateAes();
        return Convert.ToBase64String(aes.EncryptCbc(plaintext, _aesKey.AsSpan(0, BlockBytes), PaddingMode.None));
    }

    /// <summary>Decrypts; the signature must have been checked before.</summary>
    internal DingTalkCallbackResult Decrypt(string encrypt)
    {
        var ciphertext = new byte[((encrypt.Length / 4) + 1) * 3];
        if (!Convert.TryFromBase64String(encrypt, ciphertext, out var written) || written == 0 || written % BlockBytes != 0)
        {
            return new(DingTalkCallbackVerdict.BadCiphertext, default);
        }

        using var aes = CreateAes();
        var plaintext = aes.DecryptCbc(ciphertext.AsSpan(0, written), _aesKey.AsSpan(0, BlockBytes), PaddingMode.None);
        // The platform's own PKCS #7 stops at the cipher's block of 16; DingTalk pads to 32.
        int padding = plaintext[^1];
        if (padding is 0 or > PaddingBlockBytes || padding > plaintext.Length || plaintext.AsSpan(plaintext.Length - padding).ContainsAnyExcept((byte)padding))
        {
            return new(DingTalkCallbackVerdict.BadPadding, default);
        }

        var content = plaintext.AsSpan(0, plaintext.Length - padding);
        if (content.Length < HeaderBytes)
        {
            return new(DingTalkCallbackVerdict.BadLength, default);
        }

        var length = BinaryPrimitives.ReadInt32BigEndian(content[RandomBytes..]);
        if (length < 0 || length > content.Length - HeaderBytes)
        {
            return new(DingTalkCallbackVerdict.BadLength, default);
        }

        return CryptographicOperations.FixedTimeEquals(content[(HeaderBytes + length)..], _ownerKey)
            ? new(DingTalkCallbackVerdict.Valid, plaintext.AsMemory(HeaderBytes, length))
            : new(DingTalkCallbackVerdict.OtherOwner, default);
    }

    [SuppressMessage("Security", "CA5401", Justification = "The protocol derives the IV from the key; 16 random bytes precede the message instead.")]
    private Aes CreateAes()
    {
        var aes = Aes.Create();
        aes.Key = _aesKey;
        return aes;
    }

    /// <summary>The order is that of the bytes: with a culture's order the signature comes out wrong.</summary>
    [SuppressMessage("Security", "CA5350", Justification = "The protocol prescribes SHA-1.")]
    private void HashOf(string timestamp, string nonce, string encrypt, Span<byte> hash)
    {
        string[] parts = [_token, timestamp, nonce, encrypt];
        Array.Sort(parts, StringComparer.Ordinal);
        SHA1.HashData(Encoding.UTF8.GetBytes(string.Concat(parts)), hash);
    }
}
