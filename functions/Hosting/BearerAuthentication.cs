using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>How the authentication of a caller ended.</summary>
internal enum AuthenticationOutcome
{
    /// <summary>There are no bearer credentials.</summary>
    Missing,

    /// <summary>The credentials are not accepted.</summary>
    Refused,

    /// <summary>The caller is known.</summary>
    Accepted,

    /// <summary>The keys of the token's issuer cannot be had.</summary>
    Unavailable,
}

/// <summary>Authenticates callers of the management routes by API key or by access token of Microsoft Entra.</summary>
internal sealed class BearerAuthentication(AuthOptions options, Func<EntraTokenOptions, IEntraTokens> createTokens)
{
    public const string RoleClaim = "roles";
    public const string PrincipalClaim = "dingflow.principal";
    public const string ExporterClaim = "dingflow.exporter";
    public const string SourceClaim = "dingflow.source";

    private const string Scheme = "Bearer ";

    // Loads the token libraries, which nobody needs who uses API keys only.
    private readonly Lazy<IEntraTokens?> _tokens = new(() => options.Entra is null ? null : createTokens(options.Entra));

    /// <summary>
    /// Lets the caller pass who holds the role, or the other one if there is one; otherwise answers 401, 403 or 503 and returns <see langword="false"/>.
    /// </summary>
    public async Task<bool> AuthorizeAsync(HttpContext context, string role, string? orRole = null)
    {
        switch (await AuthenticateAsync(context))
        {
            case AuthenticationOutcome.Accepted when context.User.HasClaim(RoleClaim, role) || (orRole is not null && context.User.HasClaim(RoleClaim, orRole)):
                return true;
            case AuthenticationOutcome.Accepted:
                await context.ProblemAsync(ProblemCode.Forbidden, orRole is null ? $"The role {role} is needed." : $"The role {role} or {orRole} is needed.");
                return false;
            case AuthenticationOutcome.Unavailable:
                await context.ProblemAsync(ProblemCode.Unavailable, "The token cannot be checked at present.");
                return false;
            case var outcome:
                context.Response.Headers.WWWAuthenticate = outcome == AuthenticationOutcome.Missing ? "Bearer" : "Bearer error=\"invalid_token\"";
                await context.ProblemAsync(ProblemCode.Unauthorized);
                return false;
        }
    }

    /// <summary>Finds out who calls, and remembers it as the request's user.</summary>
    public async Task<AuthenticationOutcome> AuthenticateAsync(HttpContext context)
    {
        var headers = context.Request.Headers.Authorization;
        if (headers.Count == 0)
        {
            return AuthenticationOutcome.Missing;
        }

        if (headers is not [{ } header] || !header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return AuthenticationOutcome.Refused;
        }

        var token = header[Scheme.Length..].Trim();
        if (FindKey(token) is { } key)
        {
            context.User = new ClaimsPrincipal(new ClaimsIdentity(
            [
                new Claim(PrincipalClaim, $"key:{key.Name}"),
                .. key.Roles.Select(role => new Claim(RoleClaim, role)),
                .. key.Exporters.Select(exporter => new Claim(ExporterClaim, exporter)),
                .. key.Sources.Select(source => new Claim(SourceClaim, source)),
            ], "ApiKey"));
            return AuthenticationOutcome.Accepted;
        }

        if (_tokens.Value is not { } tokens || token.AsSpan().Count('.') != 2)
        {
            return AuthenticationOutcome.Refused;
        }

        var (outcome, user) = await tokens.ValidateAsync(token, context.RequestAborted);
        if (user is not null)
        {
            context.User = user;
        }

        return outcome;
    }

    /// <summary>Compares with every key, so that the time tells nothing of which one came close.</summary>
    private ApiKey? FindKey(string token)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(token), hash);
        ApiKey? found = null;
        foreach (var key in options.ApiKeys)
        {
            found = CryptographicOperations.FixedTimeEquals(hash, key.Hash.Span) ? key : found;
        }

        return found;
    }
}

/// <summary>Validates access tokens.</summary>
internal interface IEntraTokens
{
    /// <summary>The caller of a valid token.</summary>
    Task<(AuthenticationOutcome Outcome, ClaimsPrincipal? User)> ValidateAsync(string token, CancellationToken cancellationToken);
}

/// <summary>Who calls.</summary>
public static class Callers
{
    /// <summary>
    /// The authenticated caller as the audit names it: <c>key:{name}</c> or <c>entra:{object id}</c>; <see langword="null"/> on routes
    /// that ask for no role.
    /// </summary>
    public static string? Principal(this HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.User.FindFirst(BearerAuthentication.PrincipalClaim)?.Value;
    }

    /// <summary>The authenticated caller, for entries of the audit trail.</summary>
    public static AuditActor AuditActor(this HttpContext context) =>
        context.Principal() is { } principal ? Messaging.AuditActor.Principal(principal) : Messaging.AuditActor.Unknown;

    /// <summary>The caller holds the role.</summary>
    public static bool HasRole(this HttpContext context, string role)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.User.HasClaim(BearerAuthentication.RoleClaim, role);
    }

    /// <summary>The caller may act for the exporter: its key is confined to none (<c>Auth:ApiKeys:{name}:Exporters</c>), or to this one among others.</summary>
    /// <param name="context">The request.</param>
    /// <param name="exporter">The exporter's id; case does not matter.</param>
    public static bool MayUseExporter(this HttpContext context, string exporter)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(exporter);
        return !context.User.HasClaim(static claim => claim.Type == BearerAuthentication.ExporterClaim)
            || context.User.HasClaim(BearerAuthentication.ExporterClaim, exporter.ToLowerInvariant());
    }

    /// <summary>
    /// The exporters that the caller's key is confined to, in lower case; <see langword="null"/> when it is confined to none. Whatever belongs
    /// to no exporter, or to all, is not for a key that is confined.
    /// </summary>
    public static IReadOnlySet<string>? ConfinedExporters(this HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var exporters = context.User.FindAll(BearerAuthentication.ExporterClaim).Select(static claim => claim.Value).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return exporters.Count == 0 ? null : exporters;
    }

    /// <summary>The caller may act for the HR source: its key is confined to none (<c>Auth:ApiKeys:{name}:Sources</c>), or to this one among others.</summary>
    /// <param name="context">The request.</param>
    /// <param name="source">The source's name; case does not matter.</param>
    public static bool MayUseSource(this HttpContext context, string source)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(source);
        return !context.User.HasClaim(static claim => claim.Type == BearerAuthentication.SourceClaim)
            || context.User.HasClaim(BearerAuthentication.SourceClaim, source.ToLowerInvariant());
    }
}
