using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Transfers;

/// <summary>
/// The ledger key (<c>Pseudonyms:LedgerKey</c>). It must outlive the retention period: under another key everybody would be counted
/// anew. What may rotate is the key in Key Vault that wraps it.
/// </summary>
public sealed class PseudonymKey
{
    /// <summary>Bytes that a key must have at least.</summary>
    public const int MinimumBytes = 32;

    private readonly byte[] _key;

    /// <summary>Takes over the key's bytes.</summary>
    /// <exception cref="ArgumentException">There are fewer than 32.</exception>
    public PseudonymKey(ReadOnlySpan<byte> key)
    {
        if (key.Length < MinimumBytes)
        {
            throw new ArgumentException("The ledger key has at least 32 bytes.", nameof(key));
        }

        _key = key.ToArray();
        Span<byte> digest = stackalloc byte[SubjectPseudonym.Size];
        HMACSHA256.HashData(_key, Encoding.ASCII.GetBytes("dingflow ledger key id"), digest);
        Id = Convert.ToHexStringLower(digest[..8]);
    }

    /// <summary>Tells keys apart without telling the key: 16 hexadecimal digits. Frozen in each shard at its first write.</summary>
    public string Id { get; }

    /// <summary>
    /// An id that tells nothing of what it stands for and is the same for the same: 32 hexadecimal digits. A bare hash of a short text
    /// that names a person could be guessed back.
    /// </summary>
    /// <param name="text">What it stands for; begins with what kind of thing that is.</param>
    public string OpaqueId(ReadOnlySpan<byte> text)
    {
        Span<byte> digest = stackalloc byte[SubjectPseudonym.Size];
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        hash.AppendData("dingflow opaque id\n"u8);
        hash.AppendData(text);
        hash.GetHashAndReset(digest);
        return Convert.ToHexStringLower(digest[..16]);
    }

    /// <summary>The same for a text.</summary>
    public string OpaqueId(string text) => OpaqueId(Encoding.UTF8.GetBytes(text));

    /// <summary>A worker that makes pseudonyms under this key.</summary>
    public Pseudonymizer CreatePseudonymizer() => new(IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key));

    /// <summary>The id only.</summary>
    public override string ToString() => $"ledger key {Id}";
}

/// <summary>
/// Makes pseudonyms: HMAC-SHA-256 over <see cref="CanonicalSubject"/>. Keeps the key's state between calls, which makes it several
/// times as fast as hashing from scratch; so one thread at a time.
/// </summary>
public sealed class Pseudonymizer : IDisposable
{
    private readonly IncrementalHash _hash;
    private readonly byte[] _canonical = new byte[CanonicalSubject.MaximumBytes];

    internal Pseudonymizer(IncrementalHash hash) => _hash = hash;

    /// <summary>The pseudonym of an identifier; <see langword="false"/> when the identifier is malformed.</summary>
    /// <param name="type">The kind of identifier.</param>
    /// <param name="identifier">The identifier as sent.</param>
    /// <param name="scope">What it is unique within (<see cref="SubjectTypes.ScopeOf"/>).</param>
    /// <param name="pseudonym">The pseudonym.</param>
    public bool TryPseudonymize(
        SubjectType type, ReadOnlySpan<char> identifier, ReadOnlySpan<char> scope, out SubjectPseudonym pseudonym)
    {
        pseudonym = default;
        return CanonicalSubject.TryWrite(type, identifier, scope, _canonical, out var length) && Digest(length, out pseudonym);
    }

    /// <summary>The same for an identifier of printable ASCII characters, when kind and scope are written already.</summary>
    /// <param name="type">The kind of identifier.</param>
    /// <param name="prefix">What stands before the identifier (<see cref="CanonicalSubject.Prefix"/>).</param>
    /// <param name="identifier">The identifier as sent.</param>
    /// <param name="pseudonym">The pseudonym.</param>
    internal bool TryPseudonymize(SubjectType type, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> identifier, out SubjectPseudonym pseudonym)
    {
        pseudonym = default;
        prefix.CopyTo(_canonical);
        return CanonicalSubject.TryWriteIdentifier(type, identifier, _canonical.AsSpan(prefix.Length), out var length)
            && Digest(prefix.Length + length, out pseudonym);
    }

    private bool Digest(int length, out SubjectPseudonym pseudonym)
    {
        Span<byte> digest = stackalloc byte[SubjectPseudonym.Size];
        var canonical = _canonical.AsSpan(0, length);
        _hash.AppendData(canonical);
        _hash.GetHashAndReset(digest);
        pseudonym = new(digest);
        canonical.Clear();
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();
}
