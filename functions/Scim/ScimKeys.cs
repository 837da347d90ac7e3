using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Scim;

/// <summary>
/// The keys of provisioned people, from the secret that encrypts deliveries: the inbox's own for what is kept of a person, and by HKDF
/// one more to find people by what only its keeper can hash.
/// </summary>
internal sealed class ScimKeys
{
    private const int HashBytes = 16;

    private readonly InboxKeys _content;
    private readonly Dictionary<string, byte[]> _lookups = new(StringComparer.Ordinal);

    public ScimKeys(InboxOptions options)
    {
        _content = new InboxKeys(options);
        Add(options.EncryptionKey);
        if (!options.PreviousEncryptionKey.IsEmpty)
        {
            Add(options.PreviousEncryptionKey);
        }
    }

    /// <summary>Names the key under which everything new is written.</summary>
    public string CurrentKeyId => _content.CurrentKeyId;

    /// <summary>The keys under which people may have been written: the present one first.</summary>
    public IEnumerable<string> KeyIds => _lookups.Keys.OrderBy(id => id != CurrentKeyId);

    public byte[] Encrypt(ReadOnlySpan<byte> plaintext, string source, string id) => _content.Encrypt(plaintext, Context(source, id));

    public byte[] Decrypt(string keyId, ReadOnlySpan<byte> encrypted, string source, string id) =>
        _content.Decrypt(keyId, encrypted, Context(source, id));

    /// <summary>What stands in a row key for an identifier of a person.</summary>
    /// <exception cref="CryptographicException">The key is not configured any more.</exception>
    public string Hash(string keyId, string source, string kind, string value)
    {
        var key = _lookups.GetValueOrDefault(keyId)
            ?? throw new CryptographicException($"A person was kept under key {keyId}, which is neither Deliveries:EncryptionKey nor Deliveries:PreviousEncryptionKey.");
        return Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{source}\n{kind}\n{value}")).AsSpan(0, HashBytes));
    }

    private void Add(ReadOnlyMemory<byte> secret)
    {
        var key = new byte[HMACSHA256.HashSizeInBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret.Span, key, [], "dingflow/scim/lookups/1"u8);
        var id = new InboxKeys(new InboxOptions { EncryptionKey = secret }).CurrentKeyId;
        _lookups[id] = key;
    }

    private static string Context(string source, string id) => $"scim|{source}|{id}";
}
