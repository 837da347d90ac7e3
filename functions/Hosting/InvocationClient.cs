using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;

namespace DingFlow.Hosting;

/// <summary>Invokes functions over the private socket, and judges the answers as the Functions host does.</summary>
internal sealed class InvocationClient : IDisposable
{
    /// <summary>Stands for the private socket in addresses.</summary>
    public const string HostName = "dingflow";

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly HttpClient _http;

    /// <param name="socket">The private socket.</param>
    /// <param name="timeout">How long one invocation may take.</param>
    public InvocationClient(PrivateSocket socket, TimeSpan timeout)
    {
        var endpoint = new UnixDomainSocketEndPoint(socket.Path);
        var handler = new SocketsHttpHandler
        {
            // The host's requests carry no trace context either; a message carries that of its sender.
            ActivityHeadersPropagator = null,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await connection.ConnectAsync(endpoint, cancellationToken);
                    return new NetworkStream(connection, ownsSocket: true);
                }
                catch
                {
                    connection.Dispose();
                    throw;
                }
            },
        };
        _http = new HttpClient(handler) { BaseAddress = new Uri($"http://{HostName}"), Timeout = timeout, MaxResponseContentBufferSize = 1024 * 1024 };
    }

    /// <summary>Invokes a function. Returns <see langword="null"/> when it succeeded, else why it did not.</summary>
    /// <exception cref="OperationCanceledException">Cancelled from outside; whether the function succeeded is not known.</exception>
    public async Task<string?> InvokeAsync(string functionName, byte[] invocation, CancellationToken cancellationToken)
    {
        try
        {
            using var content = new ByteArrayContent(invocation) { Headers = { ContentType = Json } };
            using var response = await _http.PostAsync($"/{functionName}", content, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                return $"{functionName} answered {(int)response.StatusCode}";
            }

            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            return HttpBodies.IsJson(response.Content.Headers.ContentType?.MediaType) && IsObject(body) ? null : $"{functionName} answered no JSON object";
        }
        catch (HttpRequestException exception)
        {
            return $"{functionName} did not answer ({exception.HttpRequestError})";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{functionName} took longer than {_http.Timeout}";
        }
    }

    public void Dispose() => _http.Dispose();

    private static bool IsObject(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
