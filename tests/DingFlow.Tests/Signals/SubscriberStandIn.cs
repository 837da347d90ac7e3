using System.Text;
using System.Text.Json;
using DingFlow.Tests.EndToEnd;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Signals;

/// <summary>A subscriber on the loopback: it keeps what is pushed and answers as it is told.</summary>
internal sealed class SubscriberStandIn : IAsyncDisposable
{
    private readonly Queue<(int Status, string? Body, string? RetryAfter)> _answers = new();
    private readonly List<PushedToken> _received = [];
    private LoopbackServer _server = null!;

    public Uri Address => new(_server.Address, "/events");

    public IReadOnlyList<PushedToken> Received
    {
        get
        {
            lock (_received)
            {
                return [.. _received];
            }
        }
    }

    public static async Task<SubscriberStandIn> StartAsync()
    {
        var subscriber = new SubscriberStandIn();
        subscriber._server = await LoopbackServer.StartAsync(subscriber.AnswerAsync);
        return subscriber;
    }

    /// <summary>Answers the next push so; without an order it is 202.</summary>
    public void Next(int status, string? body = null, string? retryAfter = null, int times = 1)
    {
        for (var i = 0; i < times; i++)
        {
            _answers.Enqueue((status, body, retryAfter));
        }
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var body = Encoding.ASCII.GetString(await LoopbackServer.BodyOfAsync(context));
        lock (_received)
        {
            _received.Add(new PushedToken(body, context.Request.ContentType, context.Request.Headers.Authorization));
        }

        if (!_answers.TryDequeue(out var answer))
        {
            answer = (202, null, null);
        }

        context.Response.StatusCode = answer.Status;
        context.Response.Headers.RetryAfter = answer.RetryAfter;
        if (answer.Body is not null)
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(answer.Body);
        }
    }
}

/// <summary>A token as it arrived.</summary>
internal sealed record PushedToken(string Token, string? ContentType, string? Authorization)
{
    public JsonElement Header => Part(0);

    public JsonElement Claims => Part(1);

    private JsonElement Part(int index) => JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(Token.Split('.')[index])).RootElement;
}
