using System.Diagnostics.Metrics;
using DingFlow.Alerts;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Reports;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Alerts;

/// <summary>
/// A company whose transfers are counted by the real ledger, the timers that watch them and the delivery of alerts, with a clock that the
/// test turns and a receiver that remembers what it was told.
/// </summary>
internal sealed class ThresholdDriver : IAsyncDisposable
{
    private readonly LedgerMemoryStore _store = new();
    private readonly SubjectLedger _ledger;
    private int _handled;

    public ThresholdDriver()
    {
        _ledger = LedgerScenario.Ledger(_store, LedgerScenario.SmallOptions with { ChunkRecords = 20_000, MergeRecords = 64 * 1024 }, time: Time);
        Options = new AlertOptions { Channels = [Channel.Settings] };
    }

    /// <summary>Where the timer's instruments are made.</summary>
    public IMeterFactory Meters { get; } = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 3, 2, 9, 0, 0, TimeSpan.FromHours(8)));

    public Exporter Exporter { get; set; } = new() { Id = LedgerScenario.Exporter };

    public TransfersOptions Transfers { get; set; } = new();

    public AlertOptions Options { get; set; }

    public TestQueue Queue { get; } = new();

    public RecordingChannel Channel { get; } = new();

    public AlertStore Alerts => new(_store, new TestTrail(_store));

    public TierLatch Latch => new(_store, new TestTrail(_store), Time);

    public PeopleFeedOptions Feeds { get; set; } = new(null, new Dictionary<string, IReadOnlyList<PeopleFeed>>(), new Dictionary<string, PeopleFeed>());

    public IncidentStore Incidents => new(_store, new TestTrail(_store));

    public ScenarioStore Scenarios => new(_store, new TestTrail(_store));

    public IEntityStore Store => _store;

    public SubjectLedger Ledger => _ledger;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What people were told on thresholds, in order: <c>rule:percent</c>, or <c>rule:forecast</c>.</summary>
    public IReadOnlyList<string> Told => [.. Channel.Received.SelectMany(static notice => notice.Alerts).Select(Name)];

    public Task SensitiveAsync(string batch, int first, int count) => ExportAsync(batch, first, count, DataClass.Finance);

    public async Task ExportAsync(string batch, int first, int count, DataClass dataClass, ExemptionKind exemption = ExemptionKind.None)
    {
        var at = LegalTime.Of(Time.GetUtcNow()).ToString("O", System.Globalization.CultureInfo.InvariantCulture);
        var records = Enumerable.Range(first, count).Select(number => LedgerScenario.Record(number, at, LedgerScenario.Fact(dataClass: dataClass, exemption: exemption)));
        foreach (var (part, chunk) in records.Chunk(10_000).Index())
        {
            await _ledger.AppendAsync(new(batch, part, chunk), Token);
        }
    }

    public Task VoidAsync(string batch) => _ledger.VoidBatchAsync(LedgerScenario.Exporter, batch, Token);

    /// <summary>The timer fires, and what it sent is delivered.</summary>
    public async Task LookAsync()
    {
        await CheckAsync(_store);
        await PumpAsync();
    }

    /// <summary>The timer fires in a process that sees the store so.</summary>
    public Task CheckAsync(IEntityStore store) => new CheckThresholds(
        Transfers with { Exporters = new Dictionary<string, Exporter> { [Exporter.Id] = Exporter } }, Options,
        new ThresholdReader(RuleEngine.Create(Transfers, new SettingsFaults()), _ledger, new CounterHistory(store, Time), new IncidentStore(store, new TestTrail(store)), Time),
        new TierLatch(store, new TestTrail(store), Time), new ThresholdMemory(store), new AlertStore(store, new TestTrail(store)), new AlertSender(Queue), new ThresholdMetrics(Meters), Time, NullLogger<CheckThresholds>.Instance)
        .InvokeAsync(new TimerTick(false), Token);

    /// <summary>The timer that watches the register fires, and what it sent is delivered.</summary>
    public async Task LookAtFilingsAsync()
    {
        await CheckFilingsAsync(_store);
        await PumpAsync();
    }

    /// <summary>That timer fires in a process that sees the store so.</summary>
    public Task CheckFilingsAsync(IEntityStore store) => new CheckFilings(
        Transfers with { Exporters = new Dictionary<string, Exporter> { [Exporter.Id] = Exporter } }, Options, new ScenarioStore(store, new TestTrail(store)),
        _ledger, new ThresholdMemory(store), new AlertStore(store, new TestTrail(store)), new AlertSender(Queue), Time, NullLogger<CheckFilings>.Instance)
        .InvokeAsync(new TimerTick(false), Token);

    /// <summary>Somebody records a version of a scenario, or withdraws it.</summary>
    public async Task RecordScenarioAsync(string id, string from, ScenarioTerms terms, bool withdrawn = false)
    {
        var register = await Scenarios.ReadAsync(Exporter.Id, Token);
        var version = new ScenarioVersion(
            (register.Find(id)?.Latest.Revision ?? 0) + 1, DateOnly.Parse(from, System.Globalization.CultureInfo.InvariantCulture), withdrawn, terms, "As filed",
            Time.GetUtcNow(), "key:compliance");
        Assert.Equal(ScenarioOutcome.Recorded, await Scenarios.RecordAsync(register, id, version, Token));
    }

    public async Task RepeatAsync()
    {
        await RepeatAsync(_store);
        await PumpAsync();
    }

    public Task RepeatAsync(IEntityStore store) => new RepeatAlerts(Options, new AlertStore(store, new TestTrail(store)), Queue, Time, NullLogger<RepeatAlerts>.Instance)
        .InvokeAsync(new TimerTick(false), Token);

    /// <summary>Delivers what is due.</summary>
    public async Task PumpAsync()
    {
        while (_handled < Queue.Alerts.Count && (Queue.Alerts[_handled].EnqueueAt ?? default) <= Time.GetUtcNow())
        {
            await HandleAsync(Queue.Alerts[_handled++], _store);
        }
    }

    public Task HandleAsync(OutgoingMessage message, IEntityStore store) => new DeliverAlert(
        Options, [Channel], new AlertStore(store, new TestTrail(store)), store, Queue, Time, NullLogger<DeliverAlert>.Instance).InvokeAsync(
        new ReceivedMessage { Queue = "alerts", MessageId = message.MessageId, DeliveryCount = 1, Body = message.Body }, Token);

    /// <summary>How the exporter stands, as the route shows it.</summary>
    public Task<Thresholds> StandingAsync() => new ThresholdReader(
        RuleEngine.Create(Transfers, new SettingsFaults()), _ledger, new CounterHistory(_store, Time), Incidents, Time).ReadAsync(Exporter, Token);

    public async Task<StoredAlert> StoredAsync(string name) =>
        (await Alerts.ListAsync(alert => Name(new(alert.Key, alert.Alert, 1)) == name, 1, null, Token)).Alerts.Single();

    /// <summary>The report on a year.</summary>
    public Task<ExporterReport> ReportAsync(int year, AlertLanguage language = AlertLanguage.English)
    {
        var engine = RuleEngine.Create(Transfers, new SettingsFaults());
        var history = new CounterHistory(_store, Time);
        return new ReportBuilder(
            Transfers, _ledger, history, engine, new ThresholdReader(engine, _ledger, history, Incidents, Time), Latch, Incidents, Scenarios, Feeds,
            new(() => FieldClassifier.Load(Transfers.Profile, Transfers.FieldMap, static (_, _) => { })), Time).BuildAsync(Exporter, year, language, Token);
    }

    public Task AppendAsync(string batch, params IReadOnlyList<SubjectTransfer> records) => _ledger.AppendAsync(new(batch, 0, records), Token);

    public Task OpenAsync(int year, string counter, long count) =>
        _ledger.SetOpeningBalanceAsync(LedgerScenario.Exporter, year, counter, count, "list of 2025", Token);

    public ValueTask DisposeAsync() => _ledger.DisposeAsync();

    private static string Name(TellingOfAlert telling) => telling.Alert.Type switch
    {
        ThresholdAlerts.Forecast => $"{telling.Alert.Details["rule"]}:forecast",
        ThresholdAlerts.Level or ThresholdAlerts.Reached => $"{telling.Alert.Details["rule"]}:{telling.Alert.Details["percent"]}",
        var type => type,
    };
}

/// <summary>A receiver that takes everything, or fails as a test says.</summary>
internal sealed class RecordingChannel : IAlertChannelSender
{
    public AlertChannel Settings { get; } = new WebhookChannel { Name = "ops", Url = new Uri("http://localhost/"), Secret = new byte[32] };

    public AlertChannelType Type => AlertChannelType.Webhook;

    public List<AlertNotice> Received { get; } = [];

    public Func<AlertAttempt> Answer { get; set; } = static () => new(AlertAttemptOutcome.Delivered, "200");

    public bool Serves(AlertChannel channel) => true;

    public Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        var answer = Answer();
        if (answer.Outcome == AlertAttemptOutcome.Delivered)
        {
            Received.Add(notice);
        }

        return Task.FromResult(answer);
    }
}
