using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Settings;

/// <summary>
/// The ledger key in the settings (<c>Pseudonyms:LedgerKey</c>): as it is, in base64, or wrapped under a key that may rotate
/// (<c>Pseudonyms:WrappingKeys:0…</c>, base64 of 32 bytes). The ledger key itself must never change: everybody would be counted anew.
/// </summary>
/// <remarks>
/// A wrapped key reads <c>wrapped:1:{id of the wrapping key}:{base64 of nonce, tag and ciphertext}</c>: AES-256-GCM, with the version and
/// the id as associated data. Two wrapping keys may be set at once, so that the wrapped value and the key can be replaced one after the other.
/// </remarks>
public static class LedgerKeySetting
{
    /// <summary>The setting.</summary>
    public const string Name = "Pseudonyms:LedgerKey";

    /// <summary>Bytes that the ledger key must have at least.</summary>
    public const int MinimumBytes = 32;

    /// <summary>Bytes of a wrapping key.</summary>
    public const int WrappingKeyBytes = 32;

    private const string Prefix = "wrapped:1:";
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    /// <summary>The ledger key, unwrapped; <see langword="null"/> when it is absent (a fault only if <paramref name="required"/>) or cannot be had, which is a fault.</summary>
    public static byte[]? Read(IConfiguration configuration, SettingsFaults faults, bool required)
    {
        var reader = new SettingsReader(configuration, "Pseudonyms", faults);
        var text = reader.Text("LedgerKey");
        if (text is null)
        {
            if (required && !reader.IsSet("LedgerKey"))
            {
                reader.Fault("LedgerKey", "is missing");
            }

            return null;
        }

        return text.StartsWith(Prefix, StringComparison.Ordinal) ? Unwrap(text, reader) : reader.Key("LedgerKey", MinimumBytes);
    }

    /// <summary>The wrapping keys, the first being the one to wrap with; malformed ones are faults.</summary>
    public static IReadOnlyList<byte[]> ReadWrappingKeys(IConfiguration configuration, SettingsFaults faults) =>
        WrappingKeys(new SettingsReader(configuration, "Pseudonyms", faults));

    /// <summary>Wraps the ledger key.</summary>
    public static string Wrap(ReadOnlySpan<byte> ledgerKey, ReadOnlySpan<byte> wrappingKey)
    {
        var id = IdOf(wrappingKey);
        var sealedKey = new byte[NonceBytes + TagBytes + ledgerKey.Length];
        var nonce = sealedKey.AsSpan(0, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(wrappingKey, TagBytes);
        aes.Encrypt(nonce, ledgerKey, sealedKey.AsSpan(NonceBytes + TagBytes), sealedKey.AsSpan(NonceBytes, TagBytes), AssociatedData(id));
        return $"{Prefix}{id}:{Convert.ToBase64String(sealedKey)}";
    }

    /// <summary>The value is wrapped.</summary>
    public static bool IsWrapped(string value) => value is not null && value.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Tells wrapping keys apart without telling them: 8 hexadecimal digits.</summary>
    public static string IdOf(ReadOnlySpan<byte> wrappingKey) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(wrappingKey, "dingflow wrapping key id"u8).AsSpan(0, 4));

    private static byte[]? Unwrap(string text, SettingsReader reader)
    {
        var keys = WrappingKeys(reader);
        var parts = text[Prefix.Length..].Split(':');
        var sealedKey = new byte[text.Length];
        if (parts is not [{ Length: 8 } id, var base64] || !Convert.TryFromBase64String(base64, sealedKey, out var length)
            || length < NonceBytes + TagBytes + MinimumBytes)
        {
            reader.Fault("LedgerKey", "is no wrapped key: wrapped:1:{id}:{base64}");
            return null;
        }

        if (keys.FirstOrDefault(key => IdOf(key) == id) is not { } wrappingKey)
        {
            reader.Fault("LedgerKey", $"is wrapped under the key {id}, which is none of Pseudonyms:WrappingKeys:0…");
            return null;
        }

        var ledgerKey = new byte[length - NonceBytes - TagBytes];
        using var aes = new AesGcm(wrappingKey, TagBytes);
        try
        {
            aes.Decrypt(
                sealedKey.AsSpan(0, NonceBytes), sealedKey.AsSpan(NonceBytes + TagBytes, ledgerKey.Length), sealedKey.AsSpan(NonceBytes, TagBytes), ledgerKey,
                AssociatedData(id));
            return ledgerKey;
        }
        catch (AuthenticationTagMismatchException)
        {
            reader.Fault("LedgerKey", "is damaged: its wrapping key does not open it");
            return null;
        }
    }

    private static List<byte[]> WrappingKeys(SettingsReader reader)
    {
        List<byte[]> keys = [];
        foreach (var index in reader.Children("WrappingKeys"))
        {
            if (reader.Key($"WrappingKeys:{index}", WrappingKeyBytes) is not { } key)
            {
                continue;
            }

            if (key.Length == WrappingKeyBytes)
            {
                keys.Add(key);
            }
            else
            {
                reader.Fault($"WrappingKeys:{index}", "must be base64 of 32 bytes");
            }
        }

        return keys;
    }

    private static byte[] AssociatedData(string id) => Encoding.ASCII.GetBytes(Prefix + id);
}
