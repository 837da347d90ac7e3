using System.Globalization;
using System.Text;
using DingFlow.Intake;

namespace DingFlow.Benchmarks;

/// <summary>Signed webhooks as whole HTTP requests, made before the measuring begins.</summary>
internal sealed class SignedWebhooks
{
    private readonly byte[] _secret = [.. Enumerable.Range(1, 32).Select(static i => (byte)i)];
    private int _made;

    /// <summary>The name of the source in the address.</summary>
    public const string Source = "bench";

    public string Base64Secret => Convert.ToBase64String(_secret);

    /// <summary>Settings for the product: one source, its rate limit out of the way.</summary>
    public Dictionary<string, string> Settings(int port) => new()
    {
        ["DingFlow__Urls"] = $"http://127.0.0.1:{port}",
        ["DingFlow__DataDirectory"] = "data",
        [$"HrSources__{Source}__Dialect"] = "standard",
        [$"HrSources__{Source}__Secrets__0"] = $"whsec_{Base64Secret}",
        [$"HrSources__{Source}__MaxPerMinute"] = "10000000",
    };

    /// <summary>So many webhooks, each about somebody else who leaves at a time far ahead.</summary>
    public byte[][] Many(string path, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => One(path, $"B{Interlocked.Increment(ref _made):D7}", immediate: false))];

    /// <summary>The webhook of one leaver.</summary>
    public byte[] One(string path, string employeeId, bool immediate)
    {
        var now = TimeProvider.System.GetUtcNow();
        var effectiveAt = immediate ? "" : $"\"effectiveAt\":\"{now.AddDays(90):yyyy-MM-ddTHH:mm:sszzz}\",";
        var body = Encoding.UTF8.GetBytes(
            $$$"""{"type":"employee.terminated","timestamp":"{{{now:yyyy-MM-ddTHH:mm:sszzz}}}","data":{"employeeId":"{{{employeeId}}}","email":"{{{employeeId.ToLowerInvariant()}}}@sandbox.example",{{{effectiveAt}}}"reason":"resignation"}}""");
        var id = $"msg_{Guid.NewGuid():N}";
        var seconds = now.ToUnixTimeSeconds();
        var head = string.Create(CultureInfo.InvariantCulture,
            $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {seconds}\r\nwebhook-signature: {StandardWebhooks.Sign(_secret, id, seconds, body)}\r\nContent-Length: {body.Length}\r\n\r\n");
        return [.. Encoding.ASCII.GetBytes(head), .. body];
    }
}
