using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Transfers;

/// <summary>
/// The ledger key in a file, under a pass phrase: what lets a company count on after its vault or its disk is lost. JSON, so that a
/// person can see what it is; the key inside is encrypted (AES-256-GCM under PBKDF2-HMAC-SHA-256 of the phrase).
/// </summary>
internal sealed record LedgerKeyBackup
{
    public const int ShortestPhrase = 12;

    /// <summary>OWASP's number for PBKDF2-HMAC-SHA-256 (Password Storage Cheat Sheet, 2023).</summary>
    private const int Iterations = 600_000;
    private const int MostIterations = 10_000_000;
    private const int SaltBytes = 16;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const string Kind = "dingflow ledger key backup 1";

    public required string Format { get; init; }

    /// <summary>The key's id, as the ledger keeps it: tells whether this is the key that a ledger was begun with.</summary>
    public required string KeyId { get; init; }

    public required string CreatedAt { get; init; }

    public required int KeyIterations { get; init; }

    public required string Salt { get; init; }

    public required string Sealed { get; init; }

    public static LedgerKeyBackup Of(ReadOnlySpan<byte> ledgerKey, string phrase, DateTimeOffset now)
    {
        var (salt, sealedKey, keyId) = (
            RandomNumberGenerator.GetBytes(SaltBytes), new byte[NonceBytes + TagBytes + ledgerKey.Length], new PseudonymKey(ledgerKey).Id);
        RandomNumberGenerator.Fill(sealedKey.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(KeyOf(phrase, salt, Iterations), TagBytes);
        aes.Encrypt(
            sealedKey.AsSpan(0, NonceBytes), ledgerKey, sealedKey.AsSpan(NonceBytes + TagBytes), sealedKey.AsSpan(NonceBytes, TagBytes), Encoding.ASCII.GetBytes(keyId));
        return new()
        {
            Format = Kind,
            KeyId = keyId,
            CreatedAt = now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            KeyIterations = Iterations,
            Salt = Convert.ToBase64String(salt),
            Sealed = Convert.ToBase64String(sealedKey),
        };
    }

    /// <summary>The key.</summary>
    /// <exception cref="InvalidDataException">The phrase is wrong, or the backup is damaged.</exception>
    public byte[] Open(string phrase)
    {
        try
        {
            var (salt, sealedKey) = (Convert.FromBase64String(Salt), Convert.FromBase64String(Sealed));
            if (Format != Kind || KeyIterations is < 1 or > MostIterations || sealedKey.Length < NonceBytes + TagBytes + PseudonymKey.MinimumBytes)
            {
                throw new InvalidDataException("The file is no backup of a ledger key.");
            }

            var key = new byte[sealedKey.Length - NonceBytes - TagBytes];
            using var aes = new AesGcm(KeyOf(phrase, salt, KeyIterations), TagBytes);
            aes.Decrypt(
                sealedKey.AsSpan(0, NonceBytes), sealedKey.AsSpan(NonceBytes + TagBytes), sealedKey.AsSpan(NonceBytes, TagBytes), key, Encoding.ASCII.GetBytes(KeyId));
            return new PseudonymKey(key).Id == KeyId ? key : throw new InvalidDataException("The backup is damaged.");
        }
        catch (AuthenticationTagMismatchException exception)
        {
            throw new InvalidDataException("The pass phrase is wrong, or the backup is damaged.", exception);
        }
        catch (FormatException exception)
        {
            throw new InvalidDataException("The backup is damaged.", exception);
        }
    }

    public string ToJson() => JsonSerializer.Serialize(this, LedgerKeyBackupJson.Default.LedgerKeyBackup);

    /// <summary>Reads a backup file.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static LedgerKeyBackup Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, LedgerKeyBackupJson.Default.LedgerKeyBackup) ?? throw new InvalidDataException("The file is no backup of a ledger key.");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException("The file is no backup of a ledger key.", exception);
        }
    }

    private static byte[] KeyOf(string phrase, byte[] salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(phrase, salt, iterations, HashAlgorithmName.SHA256, 32);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(LedgerKeyBackup))]
internal sealed partial class LedgerKeyBackupJson : JsonSerializerContext;
