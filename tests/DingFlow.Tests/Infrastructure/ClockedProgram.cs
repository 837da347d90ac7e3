using System.Net.Http.Headers;
using System.Net.Sockets;
using DingFlow.Hosting;
using DingFlow.Tests.EndToEnd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Tests.Infrastructure;

/// <summary>
/// The whole product standalone in this process, with its own listener, schedules and queue, on a clock that starts when the test says.
/// Another one on the same data directory goes on where this one ended, at whatever moment.
/// </summary>
internal sealed class ClockedProgram : IAsyncDisposable
{
    public const string Key = "key-of-the-tests-with-a-clock-0123456789";

    private const string AllRoles =
        "transfers.write,compliance.read,compliance.write,subjects.read,operations.read,operations.write,audit.read,roster.write";

    private readonly WebApplication _app;

    private ClockedProgram(WebApplication app)
    {
        _app = app;
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses
            .First(static known => !known.StartsWith("http://unix", StringComparison.Ordinal)));
        Client = new() { BaseAddress = address };
        Operator = CreateOperator();
    }

    public HttpClient Client { get; }

    /// <summary>May do everything that tests do.</summary>
    public HttpClient Operator { get; }

    /// <summary>Another client of the same rights, for those who dispose of theirs.</summary>
    public HttpClient CreateOperator()
    {
        var client = new HttpClient { BaseAddress = Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
        return client;
    }

    public IServiceProvider Services => _app.Services;

    public static async Task<ClockedProgram> StartAsync(string dataDirectory, string now, IReadOnlyDictionary<string, string>? settings = null)
    {
        var time = new ShiftedClock(DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture) - TimeProvider.System.GetUtcNow());
        var all = new Dictionary<string, string>
        {
            ["DingFlow:DataDirectory"] = dataDirectory,
            ["DingFlow:Urls"] = "http://127.0.0.1:0",
            ["Auth:ApiKeys:all:Hash"] = ConfiguredProgram.HashOf(Key),
            ["Auth:ApiKeys:all:Roles"] = AllRoles,
        };
        foreach (var (name, value) in settings ?? new Dictionary<string, string>())
        {
            all[name] = value;
        }

        var app = DingFlowProgram.Build(
            [.. all.Select(static setting => $"--{setting.Key}={setting.Value}")],
            (services, configuration, faults) =>
            {
                services.Replace(ServiceDescriptor.Singleton<TimeProvider>(time));
                DingFlowProgram.AddFeatures(services, configuration, faults);
            });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new(app);
    }

    /// <summary>A timer function is invoked as its schedule would.</summary>
    public async Task TickAsync(string function)
    {
        var path = Services.GetRequiredService<PrivateSocket>().Path;
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var client = new HttpClient(handler) { BaseAddress = new Uri("http://dingflow") };
        using var content = new StringContent(FunctionsHostStandIn.Tick(function));
        using var answer = await client.PostAsync("/" + function, content, TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, $"{function}: {answer.StatusCode}");
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        Operator.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }
}

/// <summary>The machine's clock, set to another date.</summary>
internal sealed class ShiftedClock(TimeSpan shift) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + shift;
}
