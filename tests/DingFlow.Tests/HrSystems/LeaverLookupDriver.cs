using DingFlow.HrSystems;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Remote;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.HrSystems;

/// <summary>The lookup against a stand-in of one HR system, with a clock that the test controls.</summary>
internal sealed class LeaverLookupDriver : IAsyncDisposable
{
    private readonly Dictionary<string, string?> _settings;
    private readonly List<LeaverLookup> _lookups = [];

    private LeaverLookupDriver(RemoteStandIn standIn, Dictionary<string, string?> settings) => (StandIn, _settings, Store) = (standIn, settings, new TestStore(Time));

    public FakeTimeProvider Time { get; } = new(Fixtures.Now);

    public RemoteStandIn StandIn { get; }

    public TestStore Store { get; }

    public List<AlertMessage> Alerts { get; } = [];

    public LogRecorder<LeaverLookup> Logs { get; } = new();

    public static async Task<LeaverLookupDriver> StartAsync(string dialect, params (string Name, string Value)[] settings)
    {
        var standIn = await RemoteStandIn.StartAsync();
        var all = settings.ToDictionary(static s => $"HrSources:acme:{s.Name}", static s => (string?)s.Value);
        all["HrSources:acme:Dialect"] = dialect;
        all.TryAdd("HrSources:acme:Api:BaseUrl", standIn.Address.ToString());
        return new LeaverLookupDriver(standIn, all);
    }

    /// <summary>A lookup with nothing in memory, as a process that has just started has it.</summary>
    public LeaverLookup NewLookup()
    {
        var faults = new SettingsFaults();
        var options = HrSystemOptions.Read(new ConfigurationBuilder().AddInMemoryCollection(_settings).Build(), faults);
        faults.ThrowIfAny();
        var lookup = new LeaverLookup(options, Store, new InboxOptions { EncryptionKey = new byte[32] }, new AlertList(Alerts), Time, Logs);
        _lookups.Add(lookup);
        return lookup;
    }

    public Task<LeaverResolution> AskAsync(
        LookupHint hint, string personId = "67890", int attempt = 0, TimeSpan age = default, LeaverLookup? lookup = null, string source = "hr/acme",
        IReadOnlyList<string>? domains = null) =>
        (lookup ?? (_lookups.Count == 0 ? NewLookup() : _lookups[0])).ResolveAsync(
            new PersonEvent
            {
                Kind = PersonEventKind.Unresolved,
                Source = source,
                EmployeeId = personId,
                OccurredAt = Fixtures.Now,
                EmailDomains = domains,
                Lookup = new PersonLookup(personId, hint),
            },
            new LookupPlace("0123456789abcdef0123456789abcdef", 0, attempt, Time.GetUtcNow() - age), TestContext.Current.CancellationToken);

    /// <summary>Asks and expects an event for the case.</summary>
    public async Task<PersonEvent> ResolveAsync(LookupHint hint, string personId = "67890") =>
        Assert.IsType<LeaverResolution.Resolved>(await AskAsync(hint, personId)).Event;

    public async ValueTask DisposeAsync()
    {
        _lookups.ForEach(static lookup => lookup.Dispose());
        Store.Dispose();
        await StandIn.DisposeAsync();
    }

    private sealed class AlertList(List<AlertMessage> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            alerts.Add(alert);
            return Task.CompletedTask;
        }
    }
}
