using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using Azure.Core;
using Azure.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Messaging;

/// <summary>One request as it arrived.</summary>
internal sealed record ServiceBusArrival(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => System.Text.Encoding.UTF8.GetString(Body);
}

/// <summary>
/// Stands in for Service Bus on the loopback: keeps every request as it came and answers 201, or what the test scripted for it.
/// </summary>
internal sealed class ServiceBusStandIn : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Func<HttpContext, Task>> _script = new();
    private readonly Channel<ServiceBusArrival> _arrivals = Channel.CreateUnbounded<ServiceBusArrival>();

    private ServiceBusStandIn(WebApplication app) => _app = app;

    public Uri Endpoint => new(_app.Urls.Single());

    public ConcurrentQueue<ServiceBusArrival> Requests { get; } = new();

    public static async Task<ServiceBusStandIn> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listener => listener.Protocols = HttpProtocols.Http1);
            kestrel.Limits.MaxRequestBodySize = null;
        });
        var app = builder.Build();
        var standIn = new ServiceBusStandIn(app);
        app.Run(standIn.AnswerAsync);
        await app.StartAsync(cancellationToken);
        return standIn;
    }

    /// <summary>The next request is answered like this.</summary>
    public ServiceBusStandIn Then(int status, string body = "", params (string Name, string Value)[] headers) => Then(async context =>
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers)
        {
            context.Response.Headers[name] = value;
        }

        await context.Response.WriteAsync(body);
    });

    /// <summary>The next request is read, and the connection cut instead of an answer.</summary>
    public ServiceBusStandIn ThenCut() => Then(context =>
    {
        context.Abort();
        return Task.CompletedTask;
    });

    /// <summary>The next request is read and never answered.</summary>
    public ServiceBusStandIn ThenSilence() => Then(async context =>
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(() => gone.TrySetResult());
        await gone.Task;
    });

    /// <summary>Waits for the next request that was not waited for yet.</summary>
    public async Task<ServiceBusArrival> ArrivalAsync(CancellationToken cancellationToken) => await _arrivals.Reader.ReadAsync(cancellationToken);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private ServiceBusStandIn Then(Func<HttpContext, Task> answer)
    {
        _script.Enqueue(answer);
        return this;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var arrival = new ServiceBusArrival(
            context.Request.Method, $"{context.Request.Path}{context.Request.QueryString}",
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            body.ToArray());
        Requests.Enqueue(arrival);
        await _arrivals.Writer.WriteAsync(arrival, context.RequestAborted);
        if (_script.TryDequeue(out var answer))
        {
            await answer(context);
        }
        else
        {
            context.Response.StatusCode = 201;
        }
    }
}

/// <summary>Hands out numbered tokens: <c>token-1</c>, <c>token-2</c> …</summary>
internal sealed class ServiceBusTestCredential(TimeProvider time) : TokenCredential
{
    public int Asked { get; private set; }

    public List<string> Scopes { get; } = [];

    public TimeSpan Life { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Held until it completes.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public bool Fails { get; set; }

    public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public override async ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken)
    {
        var number = ++Asked;
        Scopes.AddRange(requestContext.Scopes);
        await Gate.WaitAsync(cancellationToken);
        return Fails
            ? throw new CredentialUnavailableException("no identity here")
            : new($"token-{number}", time.GetUtcNow() + Life);
    }
}

/// <summary>A clock that stands still until told, and tells which waits were begun.</summary>
internal sealed class ServiceBusTestTime() : FakeTimeProvider(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero))
{
    private readonly Channel<TimeSpan> _timers = Channel.CreateUnbounded<TimeSpan>();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _timers.Writer.TryWrite(dueTime);
        return timer;
    }

    /// <summary>Waits until somebody waits for less than <paramref name="below"/>, lets that time pass, and returns it.</summary>
    public async Task<TimeSpan> PassNextWaitAsync(TimeSpan below, CancellationToken cancellationToken)
    {
        while (true)
        {
            var due = await _timers.Reader.ReadAsync(cancellationToken);
            if (due >= TimeSpan.Zero && due < below)
            {
                Advance(due);
                return due;
            }
        }
    }
}
