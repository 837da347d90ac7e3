using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Messaging;

/// <summary>
/// The keys of the inbox: AES-256-GCM for what a delivery says, HMAC-SHA-256 for the sessions of people. Both come from the configured
/// secret by HKDF-SHA-256 (RFC 5869), so that no key serves two ends and a secret longer than 32 bytes counts in full.
/// </summary>
internal sealed class InboxKeys
{
    private const int KeyBytes = 32;
    private const int KeyIdBytes = 4;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    /// <summary>What a ciphertext is longer than its plaintext.</summary>
    public const int Overhead = NonceBytes + TagBytes;

    private readonly byte[] _sessionKey;
    private readonly (string Id, byte[] Key)[] _deliveryKeys;

    public InboxKeys(InboxOptions options)
    {
        _sessionKey = Derive(options.EncryptionKey.Span, "dingflow/sessions/1"u8);
        var current = DeliveryKey(options.EncryptionKey.Span);
        _deliveryKeys = options.PreviousEncryptionKey.IsEmpty ? [current] : [current, DeliveryKey(options.PreviousEncryptionKey.Span)];
    }

    /// <summary>Names the key that encrypts now; it tells nothing about the key.</summary>
    public string CurrentKeyId => _deliveryKeys[0].Id;

    /// <summary>Nonce, tag and ciphertext. <paramref name="context"/> must be given again to decrypt: a row moved to another place does not open.</summary>
    public byte[] Encrypt(ReadOnlySpan<byte> plaintext, string context)
    {
        var output = new byte[Overhead + plaintext.Length];
        RandomNumberGenerator.Fill(output.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(_deliveryKeys[0].Key, TagBytes);
        aes.Encrypt(
            output.AsSpan(0, NonceBytes), plaintext, output.AsSpan(Overhead), output.AsSpan(NonceBytes, TagBytes), Encoding.UTF8.GetBytes(context));
        return output;
    }

    /// <summary>What <see cref="Encrypt"/> was given.</summary>
    /// <exception cref="CryptographicException">The key is not configured any more, or the bytes were changed.</exception>
    public byte[] Decrypt(string keyId, ReadOnlySpan<byte> encrypted, string context)
    {
        var key = Array.Find(_deliveryKeys, candidate => candidate.Id == keyId).Key
            ?? throw new CryptographicException($"A delivery was encrypted under key {keyId}, which is neither Deliveries:EncryptionKey nor Deliveries:PreviousEncryptionKey.");
        if (encrypted.Length < Overhead)
        {
            throw new CryptographicException("An encrypted delivery is too short.");
        }

        var plaintext = new byte[encrypted.Length - Overhead];
        using var aes = new AesGcm(key, TagBytes);
        aes.Decrypt(
            encrypted[..NonceBytes], encrypted[Overhead..], encrypted.Slice(NonceBytes, TagBytes), plaintext, Encoding.UTF8.GetBytes(context));
        return plaintext;
    }

    /// <summary>
    /// The session in which the events of one person from one source stand in order. It is keyed: session ids appear in the queue's
    /// own diagnostics, and user ids could be guessed from a plain hash.
    /// </summary>
    public string SessionOf(PersonEvent personEvent)
    {
        var person = personEvent.EmployeeId is { } employeeId ? $"e|{employeeId}"
            : personEvent.DingTalkUserId is { } userId ? $"u|{userId}"
            : $"m|{personEvent.Email?.ToLowerInvariant()}";
        return Convert.ToHexStringLower(HMACSHA256.HashData(_sessionKey, Encoding.UTF8.GetBytes($"{personEvent.Source}|{person}")).AsSpan(0, 16));
    }

    private static (string Id, byte[] Key) DeliveryKey(ReadOnlySpan<byte> secret) =>
        (Convert.ToHexStringLower(Derive(secret, "dingflow/deliveries/1/id"u8).AsSpan(0, KeyIdBytes)), Derive(secret, "dingflow/deliveries/1"u8));

    private static byte[] Derive(ReadOnlySpan<byte> secret, ReadOnlySpan<byte> purpose)
    {
        var key = new byte[KeyBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, [], purpose);
        return key;
    }
}
