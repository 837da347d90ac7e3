using System.Diagnostics.CodeAnalysis;
using System.Text;
using Azure;
using Azure.Core;
using Azure.Core.Pipeline;

namespace DingFlow.Tests.Storage;

/// <summary>What happens to one request.</summary>
public enum TransportFault
{
    /// <summary>It goes through.</summary>
    None,

    /// <summary>It reaches the service, and the answer is lost.</summary>
    AnswerLost,

    /// <summary>It is lost on the way, which looks the same from here.</summary>
    RequestLost,

    /// <summary>No connection can be made, so nothing was sent.</summary>
    NoConnection,

    /// <summary>The service turns it away as busy.</summary>
    ServerBusy,

    /// <summary>The service fails without saying whether it did the work; it did not.</summary>
    InternalError,

    /// <summary>The identity may not.</summary>
    Forbidden,
}

/// <summary>The real transport with faults: one per request from a script, then none.</summary>
internal sealed class TablesFaultyTransport(params TransportFault[] script) : HttpPipelineTransport, IDisposable
{
    private readonly HttpClientTransport _inner = new();
    private readonly Queue<TransportFault> _script = new(script);
    private readonly Lock _gate = new();

    /// <summary>Runs before each request that goes through.</summary>
    public Func<CancellationToken, Task>? Before { get; init; }

    /// <summary>Repeats the last fault for ever.</summary>
    public bool Forever { get; init; }

    /// <summary>Method and path of the requests so far.</summary>
    public List<string> Requests { get; } = [];

    public override Request CreateRequest() => _inner.CreateRequest();

    public override void Process(HttpMessage message) => throw new NotSupportedException();

    public override async ValueTask ProcessAsync(HttpMessage message)
    {
        TransportFault fault;
        lock (_gate)
        {
            Requests.Add($"{message.Request.Method} {message.Request.Uri.Path}");
            fault = !_script.TryPeek(out var next) ? TransportFault.None : Forever && _script.Count == 1 ? next : _script.Dequeue();
        }

        switch (fault)
        {
            case TransportFault.RequestLost:
                throw new RequestFailedException("lost", new IOException("reset"));
            case TransportFault.NoConnection:
                throw new RequestFailedException("refused", new HttpRequestException(HttpRequestError.ConnectionError));
            case TransportFault.ServerBusy:
                message.Response = new CannedResponse(message, 503, "ServerBusy");
                return;
            case TransportFault.InternalError:
                message.Response = new CannedResponse(message, 500, "InternalError");
                return;
            case TransportFault.Forbidden:
                message.Response = new CannedResponse(message, 403, "AuthorizationPermissionMismatch");
                return;
        }

        if (Before is not null)
        {
            await Before(message.CancellationToken);
        }

        await _inner.ProcessAsync(message);
        if (fault == TransportFault.AnswerLost)
        {
            throw new RequestFailedException("lost", new IOException("reset"));
        }
    }

    public void Dispose() => _inner.Dispose();

    private sealed class CannedResponse(HttpMessage message, int status, string code) : Response
    {
        private readonly Dictionary<string, string> _headers = new(StringComparer.OrdinalIgnoreCase) { ["Content-Type"] = "application/json" };

        public override int Status => status;

        public override string ReasonPhrase => code;

        public override Stream? ContentStream { get; set; } = new MemoryStream(Encoding.UTF8.GetBytes(
            $$"""{"odata.error":{"code":"{{code}}","message":{"lang":"en-US","value":"secret-row"} } }"""));

        public override string ClientRequestId { get; set; } = message.Request.ClientRequestId;

        public override void Dispose() => ContentStream?.Dispose();

        protected override bool ContainsHeader(string name) => _headers.ContainsKey(name);

        protected override IEnumerable<HttpHeader> EnumerateHeaders() => _headers.Select(pair => new HttpHeader(pair.Key, pair.Value));

        protected override bool TryGetHeader(string name, [NotNullWhen(true)] out string? value) => _headers.TryGetValue(name, out value);

        protected override bool TryGetHeaderValues(string name, [NotNullWhen(true)] out IEnumerable<string>? values)
        {
            values = _headers.TryGetValue(name, out var value) ? [value] : null;
            return values is not null;
        }
    }
}

/// <summary>A clock on which every wait is over at once; it remembers how long each should have been.</summary>
internal sealed class TablesInstantTime : TimeProvider
{
    public List<TimeSpan> Waits { get; } = [];

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        lock (Waits)
        {
            Waits.Add(dueTime);
        }

        return System.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
