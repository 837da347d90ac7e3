using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>An HR system that signs by Standard Webhooks 1.0.0, written from the standard and not from our code.</summary>
internal sealed class HrSender(HttpClient client, string source, params string[] secrets)
{
    public static string NewSecret() => $"whsec_{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";

    public static string NewId() => $"msg_{Guid.NewGuid():N}";

    public static string Leaver(string employeeId, string type = "employee.terminated", Action<JObject>? change = null)
    {
        var data = new JObject
        {
            ["employeeId"] = employeeId,
            ["email"] = DingFlow.Tests.Leaver.EmailOf(employeeId),
            ["dingTalkUserId"] = DingFlow.Tests.Leaver.UserIdOf(employeeId),
            ["effectiveAt"] = "2026-11-22T09:00:00+08:00",
            ["immediate"] = true,
            ["reason"] = "resignation",
        };
        change?.Invoke(data);
        return new JObject { ["type"] = type, ["timestamp"] = "2026-11-22T09:00:00+08:00", ["data"] = data }
            .ToString(Formatting.None);
    }

    public static string Sign(string secret, string id, string timestamp, ReadOnlySpan<byte> body)
    {
        var key = Convert.FromBase64String(secret["whsec_".Length..]);
        byte[] content = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
        return $"v1,{Convert.ToBase64String(HMACSHA256.HashData(key, content))}";
    }

    public static string Timestamp(TimeSpan fromNow = default) =>
        (TimeProvider.System.GetUtcNow() + fromNow).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);

    /// <summary>A signed request; <paramref name="change"/> spoils it.</summary>
    public HttpRequestMessage Request(string body, string? id = null, string? timestamp = null, Action<HttpRequestMessage>? change = null)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        id ??= NewId();
        timestamp ??= Timestamp();
        var request = new HttpRequestMessage(HttpMethod.Post, $"/api/hr/{source}") { Content = new ByteArrayContent(bytes) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.Add("webhook-signature", string.Join(' ', secrets.Select(secret => Sign(secret, id, timestamp, bytes))));
        change?.Invoke(request);
        return request;
    }

    public async Task<Answer> SendAsync(
        string body, string? id = null, string? timestamp = null, Action<HttpRequestMessage>? change = null)
    {
        using var request = Request(body, id, timestamp, change);
        return await client.AskAsync(request);
    }

    /// <summary>Sends and expects it to be accepted.</summary>
    public async Task<string> AcceptedAsync(string body, string? id = null)
    {
        var answer = await SendAsync(body, id);
        Assert.Equal(202, answer.Status);
        return (string)answer.Json["deliveryId"]!;
    }
}

/// <summary>An answer, read to its end.</summary>
internal sealed record Answer(int Status, string? MediaType, IReadOnlyDictionary<string, string> Headers, string Text)
{
    public JObject Json => (JObject)Parse(Text);

    /// <summary>Reads JSON and leaves times the texts that they are.</summary>
    public static JToken Parse(string text)
    {
        using var reader = new JsonTextReader(new StringReader(text)) { DateParseHandling = DateParseHandling.None };
        return JToken.ReadFrom(reader);
    }

    /// <summary>It is a problem of this kind (RFC 9457), with a request id and without anything that was sent.</summary>
    public void IsProblem(int status, string slug)
    {
        Assert.Equal((status, "application/problem+json"), (Status, MediaType));
        Assert.Equal($"urn:dingflow:problem:{slug}", (string?)Json["type"]);
        Assert.Equal(status, (int)Json["status"]!);
        Assert.False(string.IsNullOrEmpty((string?)Json["title"]));
        Assert.Equal(Headers["x-request-id"], (string?)Json["requestId"]);
    }
}

/// <summary>Short ways to ask over HTTP.</summary>
internal static class Asking
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<Answer> AskAsync(this HttpClient client, HttpRequestMessage request)
    {
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseContentRead, Cancellation);
        var headers = response.Headers.Concat(response.Content.Headers)
            .ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase);
        return new(
            (int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, headers, await response.Content.ReadAsStringAsync(Cancellation));
    }

    public static async Task<Answer> AskAsync(this HttpClient client, HttpMethod method, string path, string? json = null)
    {
        using var request = new HttpRequestMessage(method, path)
        {
            Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"),
        };
        return await client.AskAsync(request);
    }
}
