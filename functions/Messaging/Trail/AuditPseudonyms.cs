using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Messaging;

/// <summary>
/// Names people in the trail without naming them: HMAC-SHA-256 under <c>Pseudonyms:LedgerKey</c>. The same identifier has the same
/// pseudonym in every feature, so that an access request can be answered from the trail.
/// </summary>
public sealed class AuditPseudonyms
{
    private readonly byte[]? _key;

    /// <summary>Takes the ledger key; without one nobody is named.</summary>
    public AuditPseudonyms(ReadOnlySpan<byte> ledgerKey) =>
        // A key of its own, so that the trail's pseudonyms cannot be matched with the ledger's.
        _key = ledgerKey.IsEmpty ? null : HMACSHA256.HashData(ledgerKey, "dingflow audit subjects"u8);

    /// <summary>The pseudonym: 64 hexadecimal digits; <see langword="null"/> without an identifier or key.</summary>
    /// <param name="type">What kind of identifier: <c>employeeId</c>, <c>email</c>, <c>dingTalkUserId</c>, <c>entraObjectId</c>, <c>mobile</c> …</param>
    /// <param name="identifier">The identifier; case and outer spaces do not matter.</param>
    public string? Of(string type, string? identifier) => _key is null || string.IsNullOrWhiteSpace(identifier)
        ? null
        : Convert.ToHexStringLower(HMACSHA256.HashData(
            _key, Encoding.UTF8.GetBytes($"{type}\n{identifier.Trim().Normalize(NormalizationForm.FormKC).ToLowerInvariant()}")));
}
