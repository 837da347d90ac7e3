using System.Net.Http.Headers;
using System.Text;
using DingFlow.Sandbox;
using Microsoft.Extensions.Time.Testing;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Sandbox;

/// <summary>A sandbox and a plain HTTP client that speaks to it as the real clients would.</summary>
internal sealed class SandboxCaller : IAsyncDisposable
{
    private readonly HttpClient _http = new();

    private SandboxCaller(SandboxServer server, FakeTimeProvider clock) => (Server, Clock) = (server, clock);

    public static DateTimeOffset Start { get; } = new(2026, 11, 22, 1, 0, 0, 250, TimeSpan.Zero);

    public SandboxServer Server { get; }

    public FakeTimeProvider Clock { get; }

    public string? Token { get; set; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<SandboxCaller> CreateAsync(string? dataDirectory = null)
    {
        var clock = new FakeTimeProvider(Start);
        var server = await SandboxServer.StartNewAsync(new SandboxOptions { DataDirectory = dataDirectory }, clock, Cancel);
        var caller = new SandboxCaller(server, clock);
        caller.Token = (string?)(await caller.DingTalkAsync(
            HttpMethod.Post, "v1.0/oauth2/accessToken", $$"""{"appKey":"{{SandboxOptions.AppKey}}","appSecret":"{{SandboxOptions.AppSecret}}"}""")).Body!["accessToken"];
        return caller;
    }

    public Task<Answer> DingTalkAsync(HttpMethod method, string path, string? body = null) =>
        SendAsync(method, $"{Server.DingTalk}/{path}", body, request =>
        {
            if (Token is not null)
            {
                request.Headers.Add("x-acs-dingtalk-access-token", Token);
            }
        });

    public Task<Answer> LegacyAsync(string path, string? body = "{}") =>
        SendAsync(body is null ? HttpMethod.Get : HttpMethod.Post, $"{Server.DingTalkLegacy}/{path}?access_token={Token}", body);

    public Task<Answer> GraphAsync(HttpMethod method, string path, string? body = null, params (string Name, string Value)[] headers) =>
        SendAsync(method, $"{Server.Graph}/{path}", body, request =>
        {
            foreach (var (name, value) in headers)
            {
                request.Headers.Add(name, value);
            }
        });

    public Task<Answer> GetAsync(string url) => SendAsync(HttpMethod.Get, url, null);

    public Task<Answer> SendAsync(HttpMethod method, string url, string? body, Action<HttpRequestMessage>? change = null) =>
        SendAsync(_http, method, url, body, change);

    public static async Task<Answer> SendAsync(HttpClient http, HttpMethod method, string url, string? body, Action<HttpRequestMessage>? change = null)
    {
        using var request = new HttpRequestMessage(method, url);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        }

        change?.Invoke(request);
        using var response = await http.SendAsync(request, Cancel);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        return new Answer((int)response.StatusCode, text, response.Headers, response.Content.Headers.ContentType);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await Server.DisposeAsync();
    }
}

internal sealed record Answer(int Status, string Text, HttpResponseHeaders Headers, MediaTypeHeaderValue? ContentType)
{
    public JObject? Body => Text.StartsWith('{') ? JObject.Parse(Text) : null;

    public string? this[string path] => (string?)Body?.SelectToken(path);

    /// <summary>The names of the body's properties, in order.</summary>
    public string Keys => string.Join(',', Body!.Properties().Select(property => property.Name));
}

/// <summary>A directory that goes away with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("sandbox-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
