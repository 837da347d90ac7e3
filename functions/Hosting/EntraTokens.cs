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
internal sealed partial class EntraTokens : IEntraTokens
{
    private readonly ConfigurationManager<OpenIdConnectConfiguration> _metadata;
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };
    private readonly EntraTokenOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public EntraTokens(EntraTokenOptions options, HttpClient client, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        var address = $"{options.Authority.AbsoluteUri.TrimEnd('/')}/.well-known/openid-configuration";
        // Settings admit plain http to the loopback only.
        var documents = new HttpDocumentRetriever(client) { RequireHttps = !options.Authority.IsLoopback };
        _metadata = new(address, new OpenIdConnectConfigurationRetriever(), documents);
    }

    public async Task<(AuthenticationOutcome Outcome, ClaimsPrincipal? User)> ValidateAsync(string token, CancellationToken cancellationToken)
    {
        var result = await ValidateOnceAsync(token, cancellationToken);
        if (result is { IsValid: false, Exception: SecurityTokenSignatureKeyNotFoundException })
        {
            // The keys may have rotated. The manager itself keeps this from becoming a flood of requests.
            _metadata.RequestRefresh();
            result = await ValidateOnceAsync(token, cancellationToken);
        }

        if (result is null)
        {
            return (AuthenticationOutcome.Unavailable, null);
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

    private async Task<TokenValidationResult?> ValidateOnceAsync(string token, CancellationToken cancellationToken)
    {
        OpenIdConnectConfiguration metadata;
        try
        {
            metadata = await _metadata.GetConfigurationAsync(cancellationToken);
        }
        catch (InvalidOperationException exception)
        {
            // What the manager throws when it has never had the metadata and cannot get it.
            Log.NoMetadata(_logger, exception.InnerException?.GetType().Name ?? "no cause");
            return null;
        }

        return await _handler.ValidateTokenAsync(token, new TokenValidationParameters
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
    }

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
