using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Hosting;

/// <summary>The program in this process, with functions of the test in place of the product's.</summary>
internal sealed class TestProgram : IAsyncDisposable
{
    public const string Key = "test-key";

    private static readonly string KeyHash =
        $"sha256:{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(Key)))}";

    private readonly Dictionary<string, string> _functionJsons = [];
    private readonly List<Action<IServiceCollection>> _services = [];
    private readonly List<string> _arguments = [];
    private readonly bool _ownsDirectory;
    private WebApplication? _app;

    public TestProgram(string? dataDirectory = null)
    {
        _ownsDirectory = dataDirectory is null;
        Root = dataDirectory ?? Directory.CreateTempSubdirectory("dingflow-test-").FullName;
        Setting("DingFlow:DataDirectory", Path.Combine(Root, "data"));
        Setting("DingFlow:Urls", "http://127.0.0.1:0");
        Setting("Auth:ApiKeys:test:Hash", KeyHash);
        Setting("Auth:ApiKeys:test:Roles", Roles.OperationsRead);
    }

    public string Root { get; }

    public WebApplication App => _app ?? throw new InvalidOperationException("Not started.");

    public HttpClient Client { get; private set; } = new();

    public static string HttpJson(string route, params string[] methods) =>
        $$"""
        {"bindings":[
          {"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":[{{string.Join(',', methods.Select(m => $"\"{m}\""))}}],"route":"{{route}}"},
          {"type":"http","direction":"out","name":"res"}]}
        """;

    public static string QueueJson(QueueDefinition queue, string cardinality = "one") =>
        $$"""
        {"bindings":[{"type":"serviceBusTrigger","direction":"in","name":"msg","queueName":"{{queue.Name}}","connection":"ServiceBusConnection",
          "isSessionsEnabled":{{(queue.RequiresSession ? "true" : "false")}},"cardinality":"{{cardinality}}"}]}
        """;

    public static string TimerJson(string schedule) =>
        $$"""{"bindings":[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"{{schedule}}"}]}""";

    public TestProgram Setting(string name, string value)
    {
        _arguments.Add($"--{name}={value}");
        return this;
    }

    public TestProgram Function<TFunction>(string functionJson, TFunction instance, string? role = null)
        where TFunction : class, IFunction
    {
        _functionJsons[typeof(TFunction).Name] = functionJson;
        _services.Add(services =>
        {
            services.AddFunction<TFunction>(role);
            services.AddSingleton(instance);
        });
        return this;
    }

    public TestProgram Services(Action<IServiceCollection> add)
    {
        _services.Add(add);
        return this;
    }

    public async Task<TestProgram> StartAsync()
    {
        var functions = Path.Combine(Root, "functions");
        if (Directory.Exists(functions))
        {
            Directory.Delete(functions, recursive: true);
        }

        foreach (var name in (string[])["GetHealth", "GetOpenApi"])
        {
            _functionJsons[name] = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, name, "function.json"));
        }

        foreach (var (name, json) in _functionJsons)
        {
            Directory.CreateDirectory(Path.Combine(functions, name));
            await File.WriteAllTextAsync(Path.Combine(functions, name, "function.json"), json);
        }

        File.Copy(Path.Combine(AppContext.BaseDirectory, "host.json"), Path.Combine(functions, "host.json"));
        _app = DingFlowProgram.Build([.. _arguments], (services, configuration, faults) =>
        {
            services.AddStorage(configuration, faults);
            _services.ForEach(add => add(services));
        }, functions);
        await _app.StartAsync();
        var addresses = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        Client.Dispose();
        Client = new HttpClient { BaseAddress = new Uri(addresses.First(address => !address.StartsWith("http://unix", StringComparison.Ordinal))) };
        return this;
    }

    public HttpClient CreateOperator()
    {
        var client = new HttpClient { BaseAddress = Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
        return client;
    }

    public HttpClient CreateSocketClient()
    {
        var path = App.Services.GetRequiredService<PrivateSocket>().Path;
        return new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        })
        { BaseAddress = new Uri("http://dingflow") };
    }

    public async Task StopAsync()
    {
        await App.StopAsync();
        await App.DisposeAsync();
        _app = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await StopAsync();
        }

        Client.Dispose();
        if (_ownsDirectory)
        {
            Directory.Delete(Root, recursive: true);
        }
    }
}

/// <summary>An HTTP function that does what the test says.</summary>
internal sealed class HttpProbe(Func<Microsoft.AspNetCore.Http.HttpContext, Task> body) : IHttpFunction
{
    public Task InvokeAsync(Microsoft.AspNetCore.Http.HttpContext context) => body(context);
}

/// <summary>A queue function that does what the test says.</summary>
internal sealed class QueueProbe(Func<ReceivedMessage, CancellationToken, Task> body) : IQueueFunction
{
    public Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken) => body(message, cancellationToken);
}

/// <summary>A timer function that does what the test says.</summary>
internal sealed class TimerProbe(Func<TimerTick, CancellationToken, Task> body) : ITimerFunction
{
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => body(tick, cancellationToken);
}
