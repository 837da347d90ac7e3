using System.Collections.Concurrent;
using DingFlow.Intake;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Alerts;

/// <summary>A receiver of webhooks on the loopback that checks every signature with the code that checks those of HR systems.</summary>
internal sealed class AlertReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Func<DateTimeOffset> _now;

    private AlertReceiver(Func<DateTimeOffset> now)
    {
        _now = now;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(ReceiveAsync);
    }

    /// <summary>What came, in order.</summary>
    public ConcurrentQueue<(string Path, string Id, SignatureVerdict Verdict, byte[] Body)> Received { get; } = new();

    /// <summary>How to answer.</summary>
    public Func<HttpContext, Task> Answer { get; set; } = static context =>
    {
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    };

    public string Secret { get; } = IntakeSecret;

    public Uri Url { get; private set; } = null!;

    private static string IntakeSecret => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    public static async Task<AlertReceiver> StartAsync(Func<DateTimeOffset> now, CancellationToken cancellationToken)
    {
        var receiver = new AlertReceiver(now);
        await receiver._app.StartAsync(cancellationToken);
        var addresses = receiver._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
        receiver.Url = new Uri(addresses.Addresses.Single() + "/alerts");
        return receiver;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        var verification = StandardWebhooks.Verify(context.Request.Headers, body.ToArray(), [StandardWebhooks.DecodeSecret(Secret)!], _now());
        Received.Enqueue((context.Request.Path, context.Request.Headers[StandardWebhooks.IdHeader].ToString(), verification.Verdict, body.ToArray()));
        await Answer(context);
    }
}
