using System.Security.Claims;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Infrastructure;

/// <summary>
/// Every feature of the product as the program wires it, with the real audit trail, over a store that a test can let die at any operation,
/// on a clock and a queue that the test controls. Nothing runs by itself: the test calls functions, delivers messages and starts sweeps.
/// <see cref="RestartAsync"/> loses everything that is not in the store or in the queue.
/// </summary>
internal sealed class CrashWorld : IAsyncDisposable
{
    public const string Exporter = "acme-zhuhai";
    public const string HrSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private readonly Dictionary<string, string?> _settings;
    private readonly DataDirectory _data = new();
    private ServiceProvider _services = null!;
    private Dictionary<Type, FunctionRegistration> _registrations = [];

    private CrashWorld(Dictionary<string, string?> settings, SandboxServer? sandbox)
    {
        _settings = settings;
        Sandbox = sandbox;
        Queue = new(Time);
    }

    public static DateTimeOffset Start { get; } = new(2026, 11, 23, 1, 0, 0, TimeSpan.Zero);

    public FakeTimeProvider Time { get; } = new(Start);

    /// <summary>The store itself, which never fails.</summary>
    public MemoryEntityStore Real { get; } = new();

    /// <summary>The store as the present process sees it.</summary>
    public FaultyStore Store { get; private set; } = null!;

    public DurableQueue Queue { get; }

    /// <summary>DingTalk and Entra, where the test asked for them.</summary>
    public SandboxServer? Sandbox { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="settings">Settings beside the usual ones.</param>
    /// <param name="withRemotes">With DingTalk and Entra.</param>
    public static async Task<CrashWorld> StartAsync(IReadOnlyDictionary<string, string?>? settings = null, bool withRemotes = false)
    {
        var sandbox = withRemotes ? await SandboxServer.StartNewAsync(cancellationToken: Cancellation) : null;
        const string Tenant = "DingTalk:Tenants:sandbox:";
        var all = new Dictionary<string, string?>
        {
            [Tenant + "CorpId"] = SandboxOptions.CorpId,
            [Tenant + "AppKey"] = SandboxOptions.AppKey,
            [Tenant + "AppSecret"] = SandboxOptions.AppSecret,
            [Tenant + "BaseUrl"] = sandbox?.DingTalk.ToString() ?? "http://127.0.0.1:9/",
            [Tenant + "LegacyBaseUrl"] = sandbox?.DingTalkLegacy.ToString() ?? "http://127.0.0.1:9/",
            [Tenant + "MaxCallsPerSecond"] = "1000",
            ["Entra:TenantId"] = "sandbox",
            ["Entra:BaseUrl"] = sandbox?.Graph.ToString() ?? "http://127.0.0.1:9/",
            ["Entra:Credential"] = "none",
            ["Deliveries:EncryptionKey"] = Convert.ToBase64String(new byte[32]),
            ["Pseudonyms:LedgerKey"] = Convert.ToBase64String(Enumerable.Range(1, 32).Select(static n => (byte)n).ToArray()),
            ["HrSources:acme:Dialect"] = "standard",
            ["HrSources:acme:Secrets:0"] = HrSecret,
            [$"Exporters:{Exporter}:Name"] = "Acme Zhuhai",
            ["Exporters:acme-sg:Name"] = "Acme Singapore",
            ["Recipients:acme-sg:Country"] = "SG",
            ["Transfers:Shards"] = "1",
            ["Offboarding:RetryDelay"] = "00:00:10",
        };
        foreach (var (name, value) in settings ?? new Dictionary<string, string?>())
        {
            all[name] = value;
        }

        var world = new CrashWorld(all, sandbox);
        world.Compose();
        return world;
    }

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    /// <summary>Calls an HTTP function, whose caller has been let in. An exception is what makes the program answer 5xx.</summary>
    public async Task<(int Status, string Body)> CallAsync<TFunction>(
        string? body = null, IReadOnlyDictionary<string, string>? route = null, string query = "", string principal = "key:ops", Action<HttpRequest>? prepare = null)
        where TFunction : IHttpFunction
    {
        var context = new DefaultHttpContext { RequestServices = _services, RequestAborted = Cancellation };
        context.User = new(new ClaimsIdentity([new(BearerAuthentication.PrincipalClaim, principal), .. Roles.All.Select(static role => new Claim(BearerAuthentication.RoleClaim, role))]));
        context.Request.Method = "POST";
        context.Request.QueryString = new(query);
        foreach (var (name, value) in route ?? new Dictionary<string, string>())
        {
            context.Request.RouteValues[name] = value;
        }

        if (body is not null)
        {
            var bytes = Encoding.UTF8.GetBytes(body);
            (context.Request.ContentType, context.Request.ContentLength, context.Request.Body) = ("application/json", bytes.Length, new MemoryStream(bytes));
        }

        prepare?.Invoke(context.Request);
        using var answer = new MemoryStream();
        context.Response.Body = answer;
        await Get<TFunction>().InvokeAsync(context);
        await Get<RequestAudit>().EndedAsync(context, _registrations[typeof(TFunction)]);
        return (context.Response.StatusCode, Encoding.UTF8.GetString(answer.ToArray()));
    }

    /// <summary>A timer function fires.</summary>
    public Task TickAsync<TFunction>()
        where TFunction : ITimerFunction => Get<TFunction>().InvokeAsync(new(false), Cancellation);

    /// <summary>Delivers what is due in a queue to a function, until nothing is. A message that fails is delivered again, later.</summary>
    public async Task PumpAsync<TFunction>(QueueDefinition queue)
        where TFunction : IQueueFunction
    {
        while (Queue.TakeDue(queue) is { } message)
        {
            try
            {
                await Get<TFunction>().InvokeAsync(
                    new()
                    {
                        Queue = queue.Name, MessageId = message.MessageId, SessionId = message.SessionId, Subject = message.Subject, TraceParent = message.TraceParent,
                        DeliveryCount = 1, Body = message.Body,
                    },
                    Cancellation);
            }
            catch
            {
                Queue.PutBack(queue, message);
                throw;
            }
        }
    }

    /// <summary>The process dies, if it has not, and another one starts on the same store.</summary>
    public async Task RestartAsync()
    {
        Store.DieAfter(0, loseAnswer: false);
        await EndAsync();
        Compose();
    }

    /// <summary>What the timers do for the trail: later than any lease, so that whatever was left behind is anybody's.</summary>
    public async Task SweepTrailAsync()
    {
        Time.Advance(TimeSpan.FromMinutes(4));
        await Get<AuditTrail>().SweepAsync(Cancellation);
        await Get<ChangeJournal>().SettleAsync(Cancellation);
        await Get<AuditTrail>().DrainAsync(Cancellation);
        await Get<AuditTrail>().SweepAsync(Cancellation);
    }

    /// <summary>Every entry of the trail, in its order.</summary>
    public async Task<IReadOnlyList<AuditEntry>> EntriesAsync()
    {
        List<AuditEntry> entries = [];
        await foreach (var entry in AuditChainReader.ReadAsync(Real, "main", 1, long.MaxValue - 1, Cancellation))
        {
            entries.Add(entry);
        }

        return entries;
    }

    /// <summary>The rows of a partition, without those that wait for the trail.</summary>
    public async Task<IReadOnlyList<Entity>> RowsAsync(string table, string partition, string prefix = "")
    {
        List<Entity> rows = [];
        string? continuation = null;
        do
        {
            var page = await Real.QueryAsync(
                table, partition, prefix.Length == 0 ? AuditOutbox.RowsBefore() : RowKeyRange.StartingWith(prefix), 1000, continuation, Cancellation);
            rows.AddRange(page.Entities);
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return rows;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        if (Sandbox is not null)
        {
            await Sandbox.DisposeAsync();
        }

        _data.Dispose();
    }

    private async Task EndAsync()
    {
        try
        {
            await _services.DisposeAsync();
        }
        catch (EntityStoreException) when (Store.Dead)
        {
            // What it still wanted to write when it ended, nobody wrote.
        }
    }

    private void Compose()
    {
        Store = new(Real);
        var (configuration, faults, services) = (new ConfigurationManager(), new SettingsFaults(), new ServiceCollection());
        configuration.AddInMemoryCollection(_settings);
        configuration["DingFlow:DataDirectory"] = _data.Path;
        services.AddLogging().AddMetrics();
        services.AddSingleton<IConfiguration>(configuration);
        services.AddSingleton<TimeProvider>(new TwoClocks(Time, TimeProvider.System));
        var hosting = HostingOptions.Read(configuration, faults);
        services.AddSingleton(hosting).AddSingleton(AuthOptions.Read(configuration, hosting.Mode, faults)).AddSingleton<HealthState>();
        DingFlowProgram.AddFeatures(services, configuration, faults);
        faults.ThrowIfAny();
        services.Replace(ServiceDescriptor.Singleton<IEntityStore>(Store));
        services.Replace(ServiceDescriptor.Singleton<IMessageQueue>(Queue));
        _registrations = services.Select(static service => service.ImplementationInstance).OfType<FunctionRegistration>().ToDictionary(static function => function.Type);
        _services = services.BuildServiceProvider();
    }
}

/// <summary>A queue that outlives the process: in order, deduplicated by id, delivered when the test says so.</summary>
internal sealed class DurableQueue(TimeProvider time) : IMessageQueue
{
    private readonly Lock _gate = new();
    private readonly List<(string Queue, OutgoingMessage Message)> _line = [];
    private readonly HashSet<(string Queue, string Id)> _seen = [];

    public Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _line.AddRange(messages.Where(message => _seen.Add((queue.Name, message.MessageId))).Select(message => (queue.Name, message)));
        }

        return Task.CompletedTask;
    }

    public OutgoingMessage? TakeDue(QueueDefinition queue)
    {
        lock (_gate)
        {
            var index = _line.FindIndex(waiting => waiting.Queue == queue.Name && (waiting.Message.EnqueueAt ?? default) <= time.GetUtcNow());
            if (index < 0)
            {
                return null;
            }

            var message = _line[index].Message;
            _line.RemoveAt(index);
            return message;
        }
    }

    public void PutBack(QueueDefinition queue, OutgoingMessage message)
    {
        lock (_gate)
        {
            _line.Insert(0, (queue.Name, message));
        }
    }
}
