using System.Buffers;

namespace DingFlow.Remote;

/// <summary>Turns what goes wrong on the way to a remote into results.</summary>
internal static class RemoteFailure
{
    private const int LongestCode = 128;

    private static readonly SearchValues<char> CodeCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:");

    /// <summary>No answer in time: it may or may not have happened.</summary>
    public static RemoteResult Timeout { get; } = new(RemoteStatus.Unavailable) { Code = "timeout" };

    /// <summary>The result of an attempt that ended in this exception; <see langword="false"/> when it tells of a fault of ours.</summary>
    public static bool TryDescribe(Exception exception, out Attempt attempt)
    {
        attempt = exception switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } =>
                new(new(RemoteStatus.Unexpected) { Code = "answer-too-large" }, true),
            HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => NotSent("name-not-resolved"),
            HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.ProxyTunnelError } =>
                NotSent("connection-refused"),
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => NotSent("tls-failed"),
            HttpRequestException or IOException => new(new(RemoteStatus.Unavailable) { Code = "connection-lost" }, true),
            // Only a connection that could not be made in time ends in an inner TimeoutException: no request had left.
            OperationCanceledException { InnerException: TimeoutException } => NotSent("connect-timeout"),
            OperationCanceledException => new(Timeout, true),
            _ => default,
        };
        return attempt.Result is not null;

        static Attempt NotSent(string code) => new(new(RemoteStatus.Unavailable) { Code = code }, false);
    }

    /// <summary>
    /// A code, request id or scope as far as it can be shown: these come from outside and end in logs and evidence, so that anything but
    /// a short plain word is dropped.
    /// </summary>
    public static string? Plain(string? text) => string.IsNullOrWhiteSpace(text) ? null
        : text.Length <= LongestCode && !text.AsSpan().ContainsAnyExcept(CodeCharacters) ? text
        : "unreadable";
}
