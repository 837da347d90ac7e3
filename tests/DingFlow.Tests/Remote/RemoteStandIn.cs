using System.Collections.Concurrent;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DingFlow.Tests.Remote;

/// <summary>A request as a remote got it.</summary>
internal sealed record ReceivedRequest(string Method, string Path, string Query, IHeaderDictionary Headers, string Body)
{
    public string Route => $"{Method} {Path}";
}

/// <summary>How the stand-in answers one request.</summary>
internal delegate Task Answer(HttpContext context);

/// <summary>Answers for <see cref="RemoteStandIn"/>.</summary>
internal static class Answers
{
    /// <summary>Cuts the connection without an answer.</summary>
    public static Answer Lost { get; } = context =>
    {
        context.Abort();
        return Task.CompletedTask;
    };

    /// <summary>Answers nothing until the caller gives up.</summary>
    public static Answer Hang { get; } = async context =>
    {
        var gone = new TaskCompletionSource();
        await using var registration = context.RequestAborted.Register(gone.SetResult);
        await gone.Task;
    };

    public static Answer Json(string body, int status = 200, params (string Name, string Value)[] headers) =>
        Text("application/json", body, status, headers);

    public static Answer Text(string contentType, string body, int status = 200, params (string Name, string Value)[] headers) => context =>
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        foreach (var (name, value) in headers)
        {
            context.Response.Headers[name] = value;
        }

        return context.Response.WriteAsync(body, context.RequestAborted);
    };

    public static Answer Status(int status, params (string Name, string Value)[] headers) => context =>
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers)
        {
            context.Response.Headers[name] = value;
        }

        return Task.CompletedTask;
    };

    /// <summary>Announces more than it sends, then cuts the connection.</summary>
    public static Answer CutShort(string body) => async context =>
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = Encoding.UTF8.GetByteCount(body) + 100;
        await context.Response.WriteAsync(body, context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        context.Abort();
    };
}

/// <summary>
/// A remote system on the loopback that answers what a test scripted, route by route in order, and keeps what it was asked. What was not
/// scripted is answered 418 and makes <see cref="DisposeAsync"/> fail.
/// </summary>
internal sealed class RemoteStandIn : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Answer>> _script = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Answer> _always = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<ReceivedRequest> _received = new();
    private readonly ConcurrentQueue<string> _unexpected = new();
    private readonly Channel<ReceivedRequest> _arrivals = Channel.CreateUnbounded<ReceivedRequest>();

    /// <summary>Where an answer finds the body of its request, as text.</summary>
    public static object BodyItem { get; } = new();

    private RemoteStandIn(WebApplication app) => _app = app;

    /// <summary>Its address, without a slash at the end.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Everything it was asked, in order of arrival.</summary>
    public IReadOnlyList<ReceivedRequest> Received => [.. _received];

    public static async Task<RemoteStandIn> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var standIn = new RemoteStandIn(builder.Build());
        standIn._app.Run(standIn.HandleAsync);
        await standIn._app.StartAsync(TestContext.Current.CancellationToken);
        standIn.Address = new(standIn._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return standIn;
    }

    /// <summary>Answers the next requests of a route, one each.</summary>
    public RemoteStandIn On(string route, params ReadOnlySpan<Answer> answers)
    {
        var queue = _script.GetOrAdd(route, static _ => new());
        foreach (var answer in answers)
        {
            queue.Enqueue(answer);
        }

        return this;
    }

    /// <summary>Answers every request of a route for which nothing else is scripted.</summary>
    public RemoteStandIn Always(string route, Answer answer)
    {
        _always[route] = answer;
        return this;
    }

    public IReadOnlyList<ReceivedRequest> ReceivedAt(string route) => [.. _received.Where(r => r.Route == route)];

    /// <summary>Waits for the next request that has not been waited for.</summary>
    public async Task<ReceivedRequest> NextAsync(string route)
    {
        while (true)
        {
            var request = await _arrivals.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            if (request.Route == route)
            {
                return request;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Assert.Empty(_unexpected);
    }

    private async Task HandleAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        var headers = new HeaderDictionary(context.Request.Headers.ToDictionary(StringComparer.OrdinalIgnoreCase));
        var request = new ReceivedRequest(context.Request.Method, context.Request.Path, context.Request.QueryString.Value ?? "", headers, body);
        context.Items[BodyItem] = body;
        _received.Enqueue(request);
        _arrivals.Writer.TryWrite(request);
        if ((_script.TryGetValue(request.Route, out var queue) && queue.TryDequeue(out var answer)) || _always.TryGetValue(request.Route, out answer))
        {
            await answer(context);
            return;
        }

        _unexpected.Enqueue(request.Route);
        context.Response.StatusCode = 418;
    }
}
