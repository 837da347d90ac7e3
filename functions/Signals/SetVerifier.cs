using System.Buffers;
using System.Text;
using DingFlow.Intake.Dialects;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace DingFlow.Signals;

/// <summary>How the check of a Security Event Token ended.</summary>
internal enum SetVerdict
{
    /// <summary>The transmitter signed it for us.</summary>
    Valid,

    /// <summary>It is not a signed token in its compact form, or asks for an extension that is not understood.</summary>
    Malformed,

    /// <summary>Its <c>typ</c> is not <c>secevent+jwt</c>: a token made for another end must not count as an event.</summary>
    WrongType,

    /// <summary>Its algorithm is not one that the source's settings accept.</summary>
    WrongAlgorithm,

    /// <summary>The transmitter has no key of its <c>kid</c>.</summary>
    UnknownKey,

    /// <summary>Its key is not known, and the transmitter was asked too short a time ago to be asked again.</summary>
    AskLater,

    /// <summary>The transmitter's keys cannot be had at present.</summary>
    KeysUnavailable,

    /// <summary>The key did not make this signature.</summary>
    WrongSignature,

    /// <summary>Its issuer is not the source's.</summary>
    WrongIssuer,

    /// <summary>It is not meant for us.</summary>
    WrongAudience,

    /// <summary>It has expired; SSF tokens have no <c>exp</c>, but one that has it means it.</summary>
    Expired,
}

/// <summary>How the check of a token ended.</summary>
/// <param name="Verdict">How.</param>
/// <param name="RetryAfter">When to try again, for the verdicts that time may change.</param>
internal sealed record SetVerification(SetVerdict Verdict, TimeSpan? RetryAfter = null);

/// <summary>
/// Checks tokens of one transmitter: algorithm pinned, key of the transmitter's own set, signature, <c>typ</c>, <c>iss</c>, <c>aud</c>. What a
/// token says of where its key is (<c>jku</c>, <c>jwk</c>, <c>x5c</c>, <c>x5u</c>) is never looked at.
/// </summary>
internal sealed class SetVerifier(SsfDialect dialect, TransmitterKeys keys, TimeProvider time)
{
    private const int LongestHeader = 4096;
    private const int LongestKeyId = 256;

    private static readonly SearchValues<byte> CompactCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."u8);

    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(2);

    private readonly CryptoProviderFactory _cryptography = new() { CacheSignatureProviders = false };
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = Messaging.Inbox.MaxBodyBytes };

    /// <summary>Checks a token in its compact form.</summary>
    public async Task<SetVerification> VerifyAsync(ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        if (Read(body) is not { } token)
        {
            return new(SetVerdict.Malformed);
        }

        if (!dialect.Algorithms.Contains(token.Alg, StringComparer.Ordinal))
        {
            return new(SetVerdict.WrongAlgorithm);
        }

        var keyId = string.IsNullOrEmpty(token.Kid) ? null : token.Kid;
        if (keyId?.Length > LongestKeyId)
        {
            return new(SetVerdict.Malformed);
        }

        var found = await keys.FindAsync(keyId, token.Alg, cancellationToken);
        return found.Search switch
        {
            KeySearch.Unknown => new(SetVerdict.UnknownKey),
            KeySearch.AskLater => new(SetVerdict.AskLater, found.RetryAfter),
            KeySearch.Unavailable => new(SetVerdict.KeysUnavailable, found.RetryAfter),
            _ => await ValidateAsync(token, found.Keys),
        };
    }

    /// <summary>The token's parts, or <see langword="null"/> when it has no such form. Nothing of it is believed yet.</summary>
    internal static JsonWebToken? Read(ReadOnlyMemory<byte> body)
    {
        var span = body.Span;
        if (span.ContainsAnyExcept(CompactCharacters) || span.Count((byte)'.') != 2 || span.IndexOf((byte)'.') is <= 0 or > LongestHeader || span[^1] == (byte)'.')
        {
            return null;
        }

        try
        {
            var token = new JsonWebToken(Encoding.ASCII.GetString(span));
            // RFC 7515 section 4.1.11: an extension that must be understood, and is not.
            return token.TryGetHeaderValue<object>("crit", out _) ? null : token;
        }
        catch (Exception exception) when (exception is ArgumentException or SecurityTokenException or FormatException or System.Text.Json.JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private async Task<SetVerification> ValidateAsync(JsonWebToken token, IReadOnlyList<SecurityKey> candidates)
    {
        var result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidAlgorithms = dialect.Algorithms,
            IssuerSigningKeys = candidates,
            // The library's cache is shared by the whole process: keys of one transmitter have no business in it.
            CryptoProviderFactory = _cryptography,
            TryAllIssuerSigningKeys = true,
            RequireSignedTokens = true,
            ValidTypes = ["secevent+jwt", SsfDialect.MediaType],
            ValidIssuer = dialect.Issuer,
            ValidAudiences = dialect.Audiences,
            RequireExpirationTime = false,
            LifetimeValidator = IsAlive,
            LogValidationExceptions = false,
        });
        if (result.IsValid)
        {
            return new(SetVerdict.Valid);
        }

        return new(result.Exception switch
        {
            SecurityTokenInvalidTypeException => SetVerdict.WrongType,
            SecurityTokenInvalidIssuerException => SetVerdict.WrongIssuer,
            SecurityTokenInvalidAudienceException => SetVerdict.WrongAudience,
            SecurityTokenInvalidLifetimeException => SetVerdict.Expired,
            SecurityTokenInvalidSignatureException or SecurityTokenInvalidAlgorithmException => SetVerdict.WrongSignature,
            _ => SetVerdict.Malformed,
        });
    }

    private bool IsAlive(DateTime? notBefore, DateTime? expires, SecurityToken token, TokenValidationParameters parameters) =>
        expires is not { } end || time.GetUtcNow().UtcDateTime < end + Skew;
}
