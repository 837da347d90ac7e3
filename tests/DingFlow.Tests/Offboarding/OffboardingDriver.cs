using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Remote;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Offboarding;

/// <summary>
/// Offboarding with the real clients against the sandbox directory and the real store. The offboarding clock is controlled: messages
/// wait in line until the driver lets them through. <see cref="CrashAndRestart"/> loses everything that is not in the store or in line.
/// </summary>
internal sealed class OffboardingDriver : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 11, 23, 1, 0, 0, TimeSpan.Zero);

    private readonly DataDirectory? _data;
    private readonly SqliteDatabase? _database;
    private readonly Dictionary<string, string?> _settings;
    private readonly IReadOnlyList<SandboxServer> _sandboxes;
    private readonly TimeProvider _remoteTime;
    private ServiceProvider _services = null!;
    private int _deliveries;

    private OffboardingDriver(
        IReadOnlyList<SandboxServer> sandboxes, Dictionary<string, string?> settings, FakeTimeProvider time, TimeProvider remoteTime, bool inMemory)
    {
        _remoteTime = remoteTime;
        _sandboxes = sandboxes;
        _settings = settings;
        Time = time;
        if (inMemory)
        {
            Store = new FaultyStore(new MemoryEntityStore());
        }
        else
        {
            _data = new DataDirectory();
            _database = new SqliteDatabase(_data.Path);
            Store = new FaultyStore(new SqliteEntityStore(_database, TimeProvider.System));
        }

        Queue = new LineOfMessages(Time);
        Compose();
    }

    public FakeTimeProvider Time { get; }

    public SandboxServer Sandbox => _sandboxes[0];

    public IReadOnlyList<SandboxServer> Sandboxes => _sandboxes;

    public FaultyStore Store { get; }

    public LineOfMessages Queue { get; }

    /// <summary>What the audit trail was told since the start of the process.</summary>
    public TestTrail Trail { get; private set; } = null!;

    public CapturedLogs Logs { get; } = new();

    public List<AlertMessage> Alerts { get; } = [];

    /// <summary>The sources that are paused now.</summary>
    public HashSet<string> Paused { get; } = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="settings">Settings beside the usual ones.</param>
    /// <param name="tenants">DingTalk organisations.</param>
    /// <param name="remoteTime">The clock by which clients wait, and by which the sandbox is slow; the real one by default.</param>
    /// <param name="inMemory">Without a disk: for tests of thousands of cases.</param>
    public static async Task<OffboardingDriver> StartAsync(
        Dictionary<string, string?>? settings = null, int tenants = 1, TimeProvider? remoteTime = null, bool inMemory = false)
    {
        var time = new FakeTimeProvider(Start);
        var sandboxes = new List<SandboxServer>();
        for (var i = 0; i < tenants; i++)
        {
            sandboxes.Add(await SandboxServer.StartNewAsync(timeProvider: remoteTime is null ? time : new TwoClocks(time, remoteTime), cancellationToken: Cancellation));
        }

        var all = new Dictionary<string, string?>
        {
            ["Entra:TenantId"] = "sandbox",
            ["Entra:BaseUrl"] = sandboxes[0].Graph.ToString(),
            ["Entra:Credential"] = "none",
            ["Offboarding:RetryDelay"] = "00:00:10",
        };
        for (var i = 0; i < tenants; i++)
        {
            var tenant = i == 0 ? "sandbox" : $"tenant{i}";
            all[$"DingTalk:Tenants:{tenant}:CorpId"] = SandboxOptions.CorpId;
            all[$"DingTalk:Tenants:{tenant}:AppKey"] = SandboxOptions.AppKey;
            all[$"DingTalk:Tenants:{tenant}:AppSecret"] = SandboxOptions.AppSecret;
            all[$"DingTalk:Tenants:{tenant}:BaseUrl"] = sandboxes[i].DingTalk.ToString();
            all[$"DingTalk:Tenants:{tenant}:LegacyBaseUrl"] = sandboxes[i].DingTalkLegacy.ToString();
        }

        foreach (var (key, value) in settings ?? [])
        {
            all[key] = value;
        }

        return new OffboardingDriver(sandboxes, all, time, remoteTime ?? TimeProvider.System, inMemory);
    }

    /// <summary>An event arrives, as the inbox hands it over. Returns its delivery id, to deliver it again.</summary>
    public async Task<string> HearAsync(PersonEvent personEvent, string? deliveryId = null)
    {
        deliveryId ??= $"delivery-{++_deliveries}";
        await HandleAsync(personEvent, deliveryId, Time.GetUtcNow());
        return deliveryId;
    }

    /// <summary>A delivery is handled. Returns how long it has to wait when it could not be.</summary>
    public Task<TimeSpan?> HandleAsync(PersonEvent personEvent, string deliveryId, DateTimeOffset receivedAt) =>
        _services.GetRequiredService<CaseEvents>().HandleAsync(
            personEvent,
            new CaseSignal
            {
                DeliveryId = deliveryId, Source = personEvent.Source, Kind = personEvent.Kind, ReceivedAt = receivedAt, OccurredAt = personEvent.OccurredAt,
            },
            Cancellation);

    /// <summary>Handles every message that is due now, and those that they send, until none is due.</summary>
    public async Task SettleAsync()
    {
        while (Queue.TakeDue() is { } message)
        {
            await HandleAsync(message);
        }
    }

    /// <summary>Handles one due message; <see langword="false"/>: there was none.</summary>
    public async Task<bool> HandleNextAsync()
    {
        if (Queue.TakeDue() is not { } message)
        {
            return false;
        }

        await HandleAsync(message);
        return true;
    }

    public async Task PassAsync(TimeSpan duration)
    {
        Time.Advance(duration);
        await SettleAsync();
    }

    /// <summary>Lets time pass to the next message that waits, until none is left or the case is in the state.</summary>
    public async Task<OffboardingCase> PassUntilAsync(string employeeId, CaseState state, int messages = 40)
    {
        for (var i = 0; i < messages; i++)
        {
            await SettleAsync();
            if (await OnlyCaseAsync(employeeId) is var found && found.State == state)
            {
                return found;
            }

            if (Queue.NextDue() is not { } next)
            {
                break;
            }

            Time.Advance(next - Time.GetUtcNow());
        }

        var last = await OnlyCaseAsync(employeeId);
        Assert.Fail($"The case is {last.State}, not {state}: {string.Join(" / ", last.Steps.Select(s => $"{s.Id} {s.Outcome} {s.ReadBack} {s.Detail}"))}");
        return last;
    }

    public Task SweepAsync() => _services.GetRequiredService<SweepOffboarding>().InvokeAsync(new TimerTick(false), Cancellation);

    public async Task<OffboardingCase> OnlyCaseAsync(string employeeId) => Assert.Single(await CasesAsync(employeeId));

    public Task<IReadOnlyList<OffboardingCase>> CasesAsync(string employeeId) =>
        _services.GetRequiredService<CaseStore>().OfEmployeeAsync(employeeId, Cancellation);

    public async Task<IReadOnlyList<OffboardingCase>> AllCasesAsync() =>
        (await _services.GetRequiredService<CaseStore>().ListAsync(_ => true, 1000, null, Cancellation)).Cases;

    public async Task<OffboardingCase> GetAsync(string caseId) =>
        (await _services.GetRequiredService<CaseStore>().FindAsync(caseId, Cancellation))!.Case;

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    /// <summary>The process dies and starts again: what was being handled is delivered again, memory is gone.</summary>
    public void CrashAndRestart()
    {
        _services.Dispose();
        Store.Heal();
        Compose();
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        foreach (var sandbox in _sandboxes)
        {
            await sandbox.DisposeAsync();
        }

        _database?.Dispose();
        _data?.Dispose();
    }

    private async Task HandleAsync(OutgoingMessage message)
    {
        try
        {
            await _services.GetRequiredService<CaseRunner>().RunAsync(OffboardingMessage.Parse(message.Body.Span).CaseId!, Cancellation);
        }
        catch
        {
            Queue.PutBack(message);
            throw;
        }
    }

    private void Compose()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(_settings).Build();
        var faults = new SettingsFaults();
        var services = new ServiceCollection();
        AddLogging(services);
        services.AddMetrics();
        services.AddSingleton<IEntityStore>(Store);
        services.AddSingleton<IAuditTrail>(Trail = new TestTrail(Store));

        // The remotes answer in real time; only offboarding's own clock is controlled.
        var clients = new ServiceCollection();
        AddLogging(clients);
        clients.AddSingleton(_remoteTime).AddSingleton<IEntityStore>(Store).AddSingleton<IConfiguration>(configuration);
        clients.AddAzureCredentials(configuration);
        clients.AddDingTalk(configuration, faults).AddEntra(configuration, faults);
        var remote = clients.BuildServiceProvider();
        services.AddSingleton(_ => remote.GetRequiredService<DingTalkClients>());
        services.AddSingleton(_ => remote.GetRequiredService<DingTalkDirectory>());
        services.AddSingleton(_ => remote.GetRequiredService<EntraDirectory>());

        services.AddSingleton<TimeProvider>(Time).AddSingleton<IMessageQueue>(Queue).AddSingleton<IAlertSender>(new AlertList(Alerts));
        services.AddSingleton<IInboxGate>(new Gate(Paused));
        services.AddOffboarding(configuration, faults);
        faults.ThrowIfAny();
        _services = services.BuildServiceProvider();
    }

    /// <summary>What thousands of cases log nobody reads.</summary>
    private void AddLogging(IServiceCollection services) => services.AddLogging(b =>
    {
        if (_database is not null)
        {
            b.AddProvider(Logs).SetMinimumLevel(LogLevel.Trace);
        }
    });

    private sealed class Gate(HashSet<string> paused) : IInboxGate
    {
        public bool IsHeld(string source) => paused.Contains(source);

        public ValueTask<bool> IsHeldAsync(string source, CancellationToken cancellationToken) => new(IsHeld(source));
    }

    private sealed class AlertList(List<AlertMessage> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            lock (alerts)
            {
                if (!alerts.Exists(a => a.AlertId == alert.AlertId))
                {
                    alerts.Add(alert);
                }
            }

            return Task.CompletedTask;
        }
    }
}

/// <summary>What time it is by one clock; waits by another.</summary>
internal sealed class TwoClocks(TimeProvider now, TimeProvider waits) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => now.GetUtcNow();

    public override long GetTimestamp() => waits.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => waits.CreateTimer(callback, state, dueTime, period);
}

/// <summary>The queue of one test: in order, deduplicated by id, and delivered when the driver says so.</summary>
internal sealed class LineOfMessages(TimeProvider time) : IMessageQueue
{
    private readonly List<OutgoingMessage> _line = [];
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);

    public IReadOnlyList<OutgoingMessage> Waiting => _line;

    public Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken)
    {
        Assert.Same(Queues.Offboarding, queue);
        lock (_line)
        {
            _line.AddRange(messages.Where(m => _seen.Add(m.MessageId)));
        }

        return Task.CompletedTask;
    }

    public OutgoingMessage? TakeDue()
    {
        var due = _line.Where(m => (m.EnqueueAt ?? default) <= time.GetUtcNow()).MinBy(m => m.EnqueueAt ?? default);
        if (due is not null)
        {
            _line.Remove(due);
        }

        return due;
    }

    public void PutBack(OutgoingMessage message) => _line.Insert(0, message);

    public void LoseAll() => _line.Clear();

    public DateTimeOffset? NextDue() => _line.Min(m => m.EnqueueAt);
}

/// <summary>The process's store, which a test can let die: from then on every operation fails, as in a process that is no more.</summary>
internal sealed class FaultyStore(IEntityStore inner) : IEntityStore
{
    private int _operationsLeft = int.MaxValue;
    private int _answersLeft = int.MaxValue;

    public bool IsExclusive => inner.IsExclusive;

    public int Operations { get; private set; }

    /// <summary>Lets so many more operations happen. With <paramref name="loseAnswer"/> the last of them happens, but its answer is lost.</summary>
    public void DieAfter(int operations, bool loseAnswer)
    {
        _operationsLeft = operations;
        LosesAnswer = loseAnswer;
    }

    public bool LosesAnswer { get; private set; }

    public bool Dead { get; private set; }

    /// <summary>Loses the answer of one operation, after so many others: it happens, and the process lives on.</summary>
    public void LoseAnswerAfter(int operations) => _answersLeft = operations;

    /// <summary>The fault that was asked for has happened.</summary>
    public bool HasFailed { get; private set; }

    public void Heal()
    {
        _operationsLeft = int.MaxValue;
        _answersLeft = int.MaxValue;
        Dead = false;
    }

    public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
        CountAsync(() => inner.GetAsync(table, partitionKey, rowKey, cancellationToken));

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
        CountAsync(() => inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken));

    public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        Weigh([transaction]);
        return CountAsync(() => inner.SubmitAsync(transaction, cancellationToken));
    }

    public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        Weigh(transactions);
        return CountAsync(() => inner.SubmitManyAsync(transactions, cancellationToken));
    }

    /// <summary>Transactions on tables that are not the ledger's.</summary>
    public int MainTransactions { get; private set; }

    /// <summary>Rows that these put in or replaced.</summary>
    public int MainEntities { get; private set; }

    private void Weigh(IReadOnlyList<EntityTransaction> transactions)
    {
        lock (this)
        {
            var main = transactions.Where(static transaction => !transaction.Table.StartsWith("Ledger", StringComparison.Ordinal)).ToList();
            MainTransactions += main.Count;
            MainEntities += main.Sum(static transaction => transaction.Operations.Count(static operation => operation.Kind != EntityOperationKind.Delete));
        }
    }

    private async Task<T> CountAsync<T>(Func<Task<T>> operation)
    {
        bool last, isLost;
        lock (this)
        {
            if (Dead || _operationsLeft-- <= 0)
            {
                Dead = HasFailed = true;
                throw new EntityStoreException("The process died.");
            }

            last = _operationsLeft == 0 && LosesAnswer;
            isLost = _answersLeft-- == 0;
            Operations++;
        }

        var result = await operation();
        if (isLost)
        {
            HasFailed = true;
            throw new EntityStoreException("The answer was lost.");
        }

        if (last)
        {
            Dead = HasFailed = true;
            throw new EntityStoreException("The process died after the write.");
        }

        return result;
    }
}

/// <summary>Everything that was logged.</summary>
internal sealed class CapturedLogs : ILoggerProvider
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<string> _lines = new();

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

    public void Dispose()
    {
    }

    private sealed class Logger(string category, System.Collections.Concurrent.ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue($"{category}: {formatter(state, exception)} {exception}");
    }
}
