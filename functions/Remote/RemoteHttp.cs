using System.Diagnostics;

namespace DingFlow.Remote;

/// <summary>Makes the HTTP clients of the remote systems.</summary>
internal static class RemoteHttp
{
    /// <summary>The longest answer that is read unless the call says otherwise.</summary>
    public const int DefaultAnswerBytes = 1024 * 1024;

    /// <summary>The longest answer that this request may get, in bytes after decompression.</summary>
    public static HttpRequestOptionsKey<int> AnswerBytes { get; } = new("DingFlow.AnswerBytes");

    /// <summary>
    /// A client of its own connections. It follows no redirect and keeps no cookie, so that a token goes nowhere but where it was sent;
    /// it neither logs nor traces addresses; it sets no time limit, which is the business of <see cref="RemotePipeline"/>.
    /// </summary>
    /// <param name="outer">A handler to put around the connection, or <see langword="null"/>.</param>
    public static HttpClient CreateClient(DelegatingHandler? outer = null)
    {
        var connections = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = System.Net.DecompressionMethods.GZip | System.Net.DecompressionMethods.Brotli,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            ConnectTimeout = TimeSpan.FromSeconds(5),
            // Turns off the runtime's own tracing, which shows addresses, and sends no trace header to outsiders.
            ActivityHeadersPropagator = null,
        };
        HttpMessageHandler handler = new RemoteHandler { InnerHandler = connections };
        if (outer is not null)
        {
            outer.InnerHandler = handler;
            handler = outer;
        }

        var client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        client.DefaultRequestHeaders.UserAgent.Add(new("DingFlow", typeof(RemoteHttp).Assembly.GetName().Version?.ToString(2)));
        return client;
    }

    /// <summary>Traces a request by its route, and reads the whole answer within its limit so that one cut short fails here.</summary>
    private sealed class RemoteHandler : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            using var activity = HttpTelemetry.Source.StartActivity(request.Method.Method, ActivityKind.Client);
            if (activity is not null)
            {
                activity.SetTag("http.request.method", request.Method.Method);
                activity.SetTag("server.address", request.RequestUri!.Host);
                activity.SetTag("server.port", request.RequestUri.Port);
                HttpTelemetry.Redact(activity, request.RequestUri);
            }

            HttpResponseMessage? response = null;
            try
            {
                response = await base.SendAsync(request, cancellationToken);
                activity?.SetTag("http.response.status_code", (int)response.StatusCode);
                var limit = request.Options.TryGetValue(AnswerBytes, out var bytes) ? bytes : DefaultAnswerBytes;
                await response.Content.LoadIntoBufferAsync(limit, cancellationToken);
                return response;
            }
            catch (Exception exception)
            {
                response?.Dispose();
                activity?.SetTag("error.type", exception.GetType().FullName);
                activity?.SetStatus(ActivityStatusCode.Error);
                throw;
            }
        }
    }
}
