using Azure.Core;
using Azure.Identity;
using DingFlow.Remote;
using Microsoft.Graph;
using Microsoft.Graph.Models;
using Microsoft.Kiota.Abstractions.Authentication;
using Microsoft.Kiota.Authentication.Azure;

namespace DingFlow.Entra;

/// <summary>
/// The calls of Microsoft Graph. All that touches its library is here, so that it is loaded with the first call and not with the program.
/// </summary>
internal sealed partial class GraphCalls : IDisposable
{
    private const string ReadPermission = "User.Read.All";
    private const string Smtp = "smtp:";
    private const int MaxPages = 20;
    private const int MaxPagesOfAll = 2000;
    private const int LargestPage = 999;

    private static readonly string[] Properties =
    [
        "id", "userPrincipalName", "mail", "employeeId", "accountEnabled", "onPremisesSyncEnabled", "signInSessionsValidFromDateTime",
        "deletedDateTime", "proxyAddresses",
    ];

    private readonly GraphServiceClient _graph;
    private readonly RemotePipeline _pipeline;
    private readonly Uri _baseUrl;
    private readonly TokenCredential? _credential;
    private readonly string _scope;

    public GraphCalls(EntraOptions options, Lazy<TokenCredential> credential, TimeProvider time, ILogger logger)
    {
        _baseUrl = options.BaseUrl;
        _pipeline = new("entra", time, logger);
        _credential = CredentialOf(options, credential);
        _scope = $"{EntraOptions.DefaultBaseUrl(options.Cloud).GetLeftPart(UriPartial.Authority)}/.default";

        // Our own HTTP client carries none of the library's handlers: redirects stay off, and retrying is the pipeline's business alone.
        _graph = new(
            RemoteHttp.CreateClient(new GraphExchangeHandler(time)), Authentication(), options.BaseUrl.AbsoluteUri.TrimEnd('/'));
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => _graph.Dispose();

    /// <summary>All live users.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> ListAsync(CancellationToken cancellationToken) => ListAsync(
        "users.list",
        (exchange, token) => _graph.Users.GetAsync(
            request =>
            {
                request.QueryParameters.Top = LargestPage;
                request.QueryParameters.Select = [.. Properties, "userType"];
                request.Options.Add(exchange);
            },
            token),
        cancellationToken);

    /// <summary>All deleted users.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> ListDeletedAsync(CancellationToken cancellationToken)
    {
        var first = $"{_baseUrl.AbsoluteUri.TrimEnd('/')}/directory/deletedItems/microsoft.graph.user?$top={LargestPage}&$select={string.Join(',', Properties)},userType";
        return ListAsync(
            "deletedItems.list", (exchange, token) => _graph.Users.WithUrl(first).GetAsync(request => request.Options.Add(exchange), token), cancellationToken);
    }

    private async Task<RemoteResult<IReadOnlyList<EntraUser>>> ListAsync(
        string operation, Func<GraphExchange, CancellationToken, Task<UserCollectionResponse?>> first, CancellationToken cancellationToken)
    {
        // Each page is a call of its own, with its own time and its own repetitions: a large directory takes minutes.
        var users = new List<EntraUser>();
        string? next = null;
        for (var pages = 0; pages < MaxPagesOfAll; pages++)
        {
            var address = next;
            var page = await CallAsync(operation, [ReadPermission], async (exchange, token) => address is null
                ? await first(exchange, token)
                : await _graph.Users.WithUrl(address).GetAsync(request => request.Options.Add(exchange), token), cancellationToken);
            if (!page.IsOk)
            {
                return RemoteResult<IReadOnlyList<EntraUser>>.From(page);
            }

            users.AddRange((page.Value!.Value ?? []).Where(static user => user.Id is not null).Select(Read));
            if (page.Value.OdataNextLink is not { } link)
            {
                return new(RemoteStatus.Ok, users) { RequestId = page.RequestId };
            }

            if (!IsOurs(link))
            {
                break;
            }

            next = link;
        }

        return new(RemoteStatus.Unexpected, null) { Code = "endless-pages" };
    }

    /// <summary>All live users for whom a filter holds.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindAsync(string filter, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<EntraUser>>("users.find", [ReadPermission], async (exchange, token) => await AllPagesAsync(
            await _graph.Users.GetAsync(
                request =>
                {
                    request.QueryParameters.Filter = filter;
                    request.QueryParameters.Select = Properties;
                    request.Options.Add(exchange);
                },
                token),
            (next, more) => _graph.Users.WithUrl(next).GetAsync(request => request.Options.Add(exchange), more),
            token), cancellationToken);

    /// <summary>All deleted users for whom a filter holds.</summary>
    /// <param name="filter">The filter.</param>
    /// <param name="advanced">The filter needs Graph's advanced queries, which see recent changes a little late.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindDeletedAsync(string filter, bool advanced, CancellationToken cancellationToken)
    {
        // The library's own address casts with an alias (graph.user); this is the form that Graph documents.
        var first = $"{_baseUrl.AbsoluteUri.TrimEnd('/')}/directory/deletedItems/microsoft.graph.user"
            + $"?$filter={Uri.EscapeDataString(filter)}&$select={string.Join(',', Properties)}{(advanced ? "&$count=true" : "")}";
        return CallAsync<IReadOnlyList<EntraUser>>("deletedItems.find", [ReadPermission], async (exchange, token) =>
        {
            return await AllPagesAsync(await PageAsync(first, token), PageAsync, token);

            Task<UserCollectionResponse?> PageAsync(string address, CancellationToken token) =>
                _graph.Directory.DeletedItems.GraphUser.WithUrl(address).GetAsync(
                    request =>
                    {
                        request.Options.Add(exchange);
                        if (advanced)
                        {
                            request.Headers.Add("ConsistencyLevel", "eventual");
                        }
                    },
                    token);
        }, cancellationToken);
    }

    /// <summary>Reads a user. An answer that does not say whether sign-in is allowed proves nothing and is Unexpected.</summary>
    public Task<RemoteResult<EntraUser>> GetAsync(string id, CancellationToken cancellationToken) =>
        CallAsync("users.get", [ReadPermission], async (exchange, token) =>
        {
            var user = await _graph.Users[id].GetAsync(
                request =>
                {
                    request.QueryParameters.Select = Properties;
                    request.Options.Add(exchange);
                },
                token);
            return user is { AccountEnabled: not null } ? Read(user) : null;
        }, cancellationToken);

    /// <summary>Allows or forbids sign-in.</summary>
    public async Task<RemoteResult> SetEnabledAsync(string id, bool enabled, CancellationToken cancellationToken) => Plain(await CallAsync(
        enabled ? "users.enable" : "users.disable", [ReadPermission, "User.EnableDisableAccount.All"], async (exchange, token) =>
        {
            await _graph.Users[id].PatchAsync(new User { AccountEnabled = enabled }, request => request.Options.Add(exchange), token);
            return Done.Value;
        }, cancellationToken));

    /// <summary>Voids refresh tokens and sessions.</summary>
    public async Task<RemoteResult> RevokeSessionsAsync(string id, CancellationToken cancellationToken) => Plain(await CallAsync(
        "users.revokeSessions", ["User.RevokeSessions.All"], async (exchange, token) =>
        {
            var answer = await _graph.Users[id].RevokeSignInSessions.PostAsRevokeSignInSessionsPostResponseAsync(
                request => request.Options.Add(exchange), token);
            return answer?.Value == true ? Done.Value : null;
        }, cancellationToken));

    /// <summary>Makes a call. What answers nothing is not done.</summary>
    private async Task<RemoteResult<T>> CallAsync<T>(
        string operation, IReadOnlyList<string> permissions, Func<GraphExchange, CancellationToken, Task<T?>> call, CancellationToken cancellationToken,
        CallKind kind = CallKind.Repeatable)
        where T : class
    {
        var result = await _pipeline.ExecuteAsync(operation, kind, AttemptAsync, cancellationToken);
        return result as RemoteResult<T> ?? RemoteResult<T>.From(result);

        async Task<Attempt> AttemptAsync(CancellationToken token)
        {
            var exchange = new GraphExchange();
            try
            {
                var value = await call(exchange, token);

                // The library takes some answers for success that are none, such as redirects.
                return new(
                    exchange.IsSuccess && value is not null
                        ? new RemoteResult<T>(RemoteStatus.Ok, value) { RequestId = exchange.RequestId }
                        : GraphErrors.NoResult(exchange),
                    true);
            }
            catch (Exception exception) when (GraphErrors.TryRead(exception, exchange, permissions, out var failed))
            {
                return failed;
            }
        }
    }

    private async Task<IReadOnlyList<EntraUser>?> AllPagesAsync(
        UserCollectionResponse? page, Func<string, CancellationToken, Task<UserCollectionResponse?>> next, CancellationToken cancellationToken)
    {
        var users = new List<EntraUser>();
        for (var pages = 0; page?.Value is { } found && pages < MaxPages; pages++)
        {
            users.AddRange(found.Where(static user => user.Id is not null).Select(Read));
            if (page.OdataNextLink is not { } link)
            {
                return users;
            }

            // The address of the next page comes from the answer: nowhere but to Graph itself.
            if (!IsOurs(link))
            {
                return null;
            }

            page = await next(link, cancellationToken);
        }

        return null;
    }

    private bool IsOurs(string link) => Uri.TryCreate(link, UriKind.Absolute, out var address)
        && Uri.Compare(address, _baseUrl, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static EntraUser Read(User user) => new()
    {
        Id = user.Id!,
        UserPrincipalName = user.UserPrincipalName,
        Mail = user.Mail,
        EmployeeId = user.EmployeeId,
        Aliases = [.. (user.ProxyAddresses ?? []).Where(static address => address.StartsWith(Smtp, StringComparison.OrdinalIgnoreCase)).Select(static address => address[Smtp.Length..])],
        // Silence is not proof of being disabled.
        AccountEnabled = user.AccountEnabled ?? true,
        OnPremisesSyncEnabled = user.OnPremisesSyncEnabled ?? false,
        SignInSessionsValidFrom = user.SignInSessionsValidFromDateTime,
        DeletedAt = user.DeletedDateTime,
        IsGuest = string.Equals(user.UserType, "Guest", StringComparison.OrdinalIgnoreCase),
    };

    private static RemoteResult Plain(RemoteResult result) => new(result.Status)
    {
        Code = result.Code, RequestId = result.RequestId, RetryAfter = result.RetryAfter, MissingScopes = result.MissingScopes,
    };

    private static TokenCredential? CredentialOf(EntraOptions options, Lazy<TokenCredential> credential) => options.Credential switch
    {
        EntraCredential.None => null,
        EntraCredential.ClientSecret => new ClientSecretCredential(options.TenantId, options.ClientId, options.ClientSecret, new ClientSecretCredentialOptions
        {
            AuthorityHost = options.Cloud == EntraCloud.China ? AzureAuthorityHosts.AzureChina : AzureAuthorityHosts.AzurePublicCloud,
        }),
        _ => credential.Value,
    };

    private IAuthenticationProvider Authentication() => _credential is null
        ? new AnonymousAuthenticationProvider()
        : new BaseBearerTokenAuthenticationProvider(new AzureIdentityAccessTokenProvider(_credential, [_baseUrl.Host], null, true, _scope));

    /// <summary>What a call returns that has nothing to return.</summary>
    private sealed class Done
    {
        public static Done Value { get; } = new();
    }
}
