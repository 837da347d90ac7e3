using System.Net;
using Azure;
using Azure.Identity;
using DingFlow.Remote;
using Microsoft.Graph.Models.ODataErrors;
using Microsoft.Identity.Client;
using Microsoft.Kiota.Abstractions;

namespace DingFlow.Entra;

/// <summary>What a handler saw of the answer to one request; it travels with the request.</summary>
internal sealed class GraphExchange : IRequestOption
{
    /// <summary>The answer's status; <see langword="null"/> while there is none.</summary>
    public HttpStatusCode? Status { get; set; }

    /// <summary>The answer's status is one of success.</summary>
    public bool IsSuccess => Status is { } status && (int)status is >= 200 and < 300;

    /// <summary>The <c>request-id</c> header.</summary>
    public string? RequestId { get; set; }

    /// <summary>The <c>Retry-After</c> header, as a duration.</summary>
    public TimeSpan? RetryAfter { get; set; }
}

/// <summary>
/// Reads the refusals of Microsoft Graph and of the sign-in before it. Source: "Microsoft Graph error responses and resource types" and
/// "Microsoft Graph throttling guidance", Microsoft Learn.
/// </summary>
internal static class GraphErrors
{
    private const string NotFoundCode = "Request_ResourceNotFound";

    /// <summary>The attempt that ended in this exception; <see langword="false"/> when the exception tells of a fault of ours.</summary>
    /// <param name="exception">What was thrown.</param>
    /// <param name="exchange">What was seen of the answer.</param>
    /// <param name="permissions">The application permissions that the call needs, reported when it is denied.</param>
    /// <param name="attempt">The attempt.</param>
    public static bool TryRead(Exception exception, GraphExchange exchange, IReadOnlyList<string> permissions, out Attempt attempt)
    {
        if (exception is AuthenticationFailedException signIn)
        {
            // No token, no request.
            attempt = new(SignIn(signIn), false);
            return true;
        }

        // With an answer in hand, any other exception is the library's way of saying that it could not make sense of it.
        if (exchange.Status is { } status && exception is not OperationCanceledException)
        {
            var code = exception is ODataError { Error.Code: { Length: > 0 } text } ? text : null;
            attempt = new(Read(status, code, exchange, permissions), MayHaveActed: (int)status is < 400 or >= 500);
            return true;
        }

        return RemoteFailure.TryDescribe(exception, out attempt);
    }

    /// <summary>The result of an answer that the library did not object to but that carries nothing.</summary>
    public static RemoteResult NoResult(GraphExchange exchange) => exchange is { IsSuccess: false, Status: { } status }
        ? Read(status, null, exchange, [])
        : new(RemoteStatus.Unexpected) { Code = "no-result", RequestId = exchange.RequestId };

    private static RemoteResult Read(HttpStatusCode status, string? code, GraphExchange exchange, IReadOnlyList<string> permissions)
    {
        var meaning = (int)status switch
        {
            404 when code == NotFoundCode => RemoteStatus.NotFound,
            401 => RemoteStatus.Unauthenticated,
            403 => RemoteStatus.Denied,
            429 => RemoteStatus.Throttled,
            400 or 409 or 422 => RemoteStatus.Rejected,
            408 or >= 500 => RemoteStatus.Unavailable,
            _ => RemoteStatus.Unexpected,
        };
        return new(meaning)
        {
            Code = RemoteFailure.Plain(code) ?? (int)status switch
            {
                >= 200 and < 300 => "unreadable-answer",
                >= 300 and < 400 => "redirect",
                var number => $"http-{number}",
            },
            RequestId = exchange.RequestId,
            RetryAfter = meaning is RemoteStatus.Throttled or RemoteStatus.Unavailable ? exchange.RetryAfter : null,
            MissingScopes = meaning == RemoteStatus.Denied ? permissions : [],
        };
    }

    private static RemoteResult SignIn(AuthenticationFailedException exception)
    {
        for (Exception? cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is HttpRequestException or IOException or OperationCanceledException
                or RequestFailedException { Status: 0 or 408 or 429 or >= 500 }
                or MsalServiceException { StatusCode: 408 or 429 or >= 500 })
            {
                return new(RemoteStatus.Unavailable) { Code = "sign-in-unavailable" };
            }
        }

        return new(RemoteStatus.Unauthenticated)
        {
            Code = exception is CredentialUnavailableException ? "no-credential" : "sign-in-refused",
        };
    }
}

/// <summary>Notes what an answer says beside its body, and asks for nothing else.</summary>
internal sealed class GraphExchangeHandler(TimeProvider time) : DelegatingHandler
{
    private static readonly HttpRequestOptionsKey<IRequestOption> Key = new(typeof(GraphExchange).FullName!);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (request.Options.TryGetValue(Key, out var option) && option is GraphExchange exchange)
        {
            exchange.Status = response.StatusCode;
            exchange.RequestId = response.Headers.TryGetValues("request-id", out var ids) ? RemoteFailure.Plain(ids.FirstOrDefault()) : null;
            exchange.RetryAfter = response.Headers.RetryAfter switch
            {
                { Delta: { } delta } => delta,
                { Date: { } date } when date > time.GetUtcNow() => date - time.GetUtcNow(),
                _ => null,
            };
        }

        return response;
    }
}
