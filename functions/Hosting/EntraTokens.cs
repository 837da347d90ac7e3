using System.Security.Claims;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace DingFlow.Hosting;

/// <summary>
/// Validates access tokens of Microsoft Entra (versions 1.0 and 2.0) against the tenant's published keys, which are fetched on first
/// use and again when a token is signed with one that is not known yet.
/// </summary>
/// <remarks>
/// The library's own keeper of metadata refreshes them behind the request's back, so that the first tokens under a rotated key would be
/// refused. Here the request that meets a new key waits for the keys; whatever comes in, they are fetched at most once in
/// <see cref="LeastInterval"/>.
/// </remarks>
internal sealed partial class EntraTokens : IEntraTokens, IDisposable
{
    private static readonly TimeSpan LeastInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(12);

    /// <summary>How long known keys count while the tenant does not give them out.</summary>
    private static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(2);

    private readonly SemaphoreSlim _fetching = new(1);
    private readonly HttpDocumentRetriever _documents;
    private readonly string _address;
    private Known? _known;
    private DateTimeOffset _loadedAt;
    private DateTimeOffset _refreshedAt;
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };
    private readonly EntraTokenOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public EntraTokens(EntraTokenOptions options, HttpClient client, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        _address = $"{options.Authority.AbsoluteUri.TrimEnd('/')}/.well-known/openid-configuration";
        // Settings admit plain http to the loopback only.
        _documents = new HttpDocumentRetriever(client) { RequireHttps = !options.Authority.IsLoopback };
    }

    private sealed record Known(OpenIdConnectConfiguration Metadata, DateTimeOffset FetchedAt);

    public async Task<(AuthenticationOutcome Outcome, ClaimsPrincipal? User)> ValidateAsync(string token, CancellationToken cancellationToken)
    {
        if (await MetadataAsync(forNewKey: false, cancellationToken) is not { } metadata)
        {
            return (AuthenticationOutcome.Unavailable, null);
        }

        var result = await ValidateAsync(token, metadata);
        if (result is { IsValid: false, Exception: SecurityTokenSignatureKeyNotFoundException }
            && await MetadataAsync(forNewKey: true, cancellationToken) is { } fresh && fresh != metadata)
        {
            result = await ValidateAsync(token, fresh);
        }

        // The object id names a person or a service within the tenant for good; sub differs from application to application.
        if (!result.IsValid || result.ClaimsIdentity.FindFirst("oid")?.Value is not { Length: > 0 } objectId)
        {
            Log.Refused(_logger, result.Exception?.GetType().Name ?? "no object id");
            return (AuthenticationOutcome.Refused, null);
        }

        var claims = result.ClaimsIdentity.FindAll("roles").Select(role => new Claim(BearerAuthentication.RoleClaim, role.Value))
            .Append(new Claim(BearerAuthentication.PrincipalClaim, $"entra:{objectId}"));
        return (AuthenticationOutcome.Accepted, new ClaimsPrincipal(new ClaimsIdentity(claims, "Entra")));
    }

    public void Dispose() => _fetching.Dispose();

    /// <summary>
    /// The tenant's metadata with its keys: those of before while they are young; for a key that is not among them, new ones, unless they
    /// were fetched for that too short a time ago. <see langword="null"/>: they cannot be had.
    /// </summary>
    private async Task<OpenIdConnectConfiguration?> MetadataAsync(bool forNewKey, CancellationToken cancellationToken)
    {
        var before = _known;
        if (!forNewKey && IsYounger(before, Lifetime))
        {
            return before!.Metadata;
        }

        await _fetching.WaitAsync(cancellationToken);
        try
        {
            var now = _time.GetUtcNow();
            // Somebody else may have fetched them while this one waited.
            if (_known == before && now - (forNewKey ? _refreshedAt : _loadedAt) >= (forNewKey ? LeastInterval : RetryInterval))
            {
                (_loadedAt, _refreshedAt) = forNewKey ? (_loadedAt, now) : (now, _refreshedAt);
                _known = new(await OpenIdConnectConfigurationRetriever.GetAsync(_address, _documents, cancellationToken), now);
            }
        }
        catch (Exception exception) when (exception is IOException or InvalidOperationException or ArgumentException or HttpRequestException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Log.NoMetadata(_logger, exception.InnerException?.GetType().Name ?? exception.GetType().Name);
        }
        finally
        {
            _fetching.Release();
        }

        return IsYounger(_known, LongestLifetime) ? _known!.Metadata : null;
    }

    private bool IsYounger(Known? known, TimeSpan age) => known is not null && _time.GetUtcNow() - known.FetchedAt < age;

    private Task<TokenValidationResult> ValidateAsync(string token, OpenIdConnectConfiguration metadata) =>
        _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = metadata.Issuer,
            IssuerSigningKeys = metadata.SigningKeys,
            ValidAudiences = _options.Audiences,
            ValidAlgorithms = [SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512],
            ValidTypes = ["JWT", "at+jwt"],
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            LifetimeValidator = IsAlive,
        });

    private bool IsAlive(DateTime? notBefore, DateTime? expires, SecurityToken token, TokenValidationParameters parameters)
    {
        var now = _time.GetUtcNow().UtcDateTime;
        var skew = TimeSpan.FromMinutes(2);
        return expires is { } end && now < end + skew && (notBefore is not { } start || now >= start - skew);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "An access token was refused: {Reason}")]
        public static partial void Refused(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Error, "The metadata of Auth:Authority cannot be read: {Reason}")]
        public static partial void NoMetadata(ILogger logger, string reason);
    }
}
