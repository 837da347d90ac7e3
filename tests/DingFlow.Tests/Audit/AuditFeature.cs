using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Audit;

/// <summary>The feature over the store of a <see cref="TrailDriver"/>: sealing, search, verification, retention, archive.</summary>
internal sealed class AuditFeature : IDisposable
{
    public static readonly AuditKind LegalKind = new("tests.lawful", AuditRetention.Legal, "Something that the law wants kept.");

    private readonly DataDirectory _files = new();
    private readonly HttpClient _http = new();

    public AuditFeature(TrailDriver driver, AuditOptions? options = null, IEntityStore? store = null, IAuditFiles? files = null, IAuditFiles? anchors = null)
    {
        Driver = driver;
        Store = store ?? driver.Real;
        Options = options ?? new AuditOptions();
        Trail = driver.Open("main", Store);
        Seals = new(Store);
        Search = new(Store, Seals);
        Sealer = new(Store, Seals, driver.Time, NullLogger<AuditSealer>.Instance);
        Anchors = new(anchors ?? new FolderFiles(AnchorPath), Options, _http, driver.Time);
        Policy = new(Options, Search, driver.Time);
        Archive = new(Store, files ?? new FolderFiles(ArchivePath));
        Verifier = new(Store, Seals, Policy, Anchors, Archive, driver.Time);
        Rounds = new(Store, Seals, Verifier, Policy, driver.Time);
        Holds = new(Store, Trail, Seals, Search);
        Expiry = new(Store, Trail, Seals, Holds, Policy, Archive, driver.Time, NullLogger<AuditExpiry>.Instance);
    }

    public TrailDriver Driver { get; }

    public IEntityStore Store { get; }

    public AuditOptions Options { get; }

    public AuditTrail Trail { get; }

    public AuditSeals Seals { get; }

    public AuditSearch Search { get; }

    public AuditSealer Sealer { get; }

    public AuditAnchors Anchors { get; }

    public AuditRetentionPolicy Policy { get; }

    public AuditVerifier Verifier { get; }

    public AuditRounds Rounds { get; }

    public AuditHolds Holds { get; }

    public AuditArchive Archive { get; }

    public AuditExpiry Expiry { get; }

    public string AnchorPath => Path.Combine(_files.Path, "anchors");

    public string ArchivePath => Path.Combine(_files.Path, "archive");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Three sealed days of two writers, and some entries that are not sealed yet.</summary>
    public static async Task<AuditFeature> WithThreeDaysAsync(
        TrailDriver driver, AuditOptions? options = null, IEntityStore? store = null, IAuditFiles? files = null, IAuditFiles? anchors = null)
    {
        var feature = new AuditFeature(driver, options, store, files, anchors);
        var other = driver.Open("other", driver.Real);
        for (var day = 0; day < 3; day++)
        {
            for (var i = 0; i < 5; i++)
            {
                await feature.Trail.AppendAsync(
                    TrailDriver.Event($"main {day}.{i}") with { CaseId = $"case-{day}", Exporter = i == 0 ? "acme-zhuhai" : null }, Cancellation);
                driver.Time.Advance(TimeSpan.FromMinutes(1));
                await other.AppendAsync(TrailDriver.Event($"other {day}.{i}", LegalKind), Cancellation);
            }

            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(day + 1));
        }

        await feature.SealAsync();
        await feature.Trail.AppendAsync(TrailDriver.Event("open 1"), Cancellation);
        await feature.Trail.AppendAsync(TrailDriver.Event("open 2"), Cancellation);
        return feature;
    }

    /// <summary>The hourly timer, as the program runs it.</summary>
    public SealAudit SealTimer(IAlertSender alerts) =>
        new(Sealer, Seals, Archive, Anchors, Verifier, Rounds, Store, Trail, alerts, Driver.Time, NullLogger<SealAudit>.Instance);

    public async Task<IReadOnlyList<AuditSeal>> SealAsync()
    {
        var made = await Sealer.SealAsync(Cancellation);
        foreach (var seal in made)
        {
            await Archive.PutAsync(seal, Cancellation);
            await Anchors.PutAsync(seal, Cancellation);
        }

        return made;
    }

    public async Task<AuditVerification> VerifyAsync(string? from = null, string? to = null) => await Verifier.VerifyAsync(from, to, Cancellation);

    public async Task<IReadOnlyList<string?>> FindAsync(AuditFilter filter)
    {
        List<string?> reasons = [];
        await foreach (var found in Search.ReadAsync(filter, new(), Cancellation))
        {
            reasons.Add(found.Content?.Reason);
        }

        return reasons;
    }

    public void Dispose()
    {
        _http.Dispose();
        _files.Dispose();
    }
}

/// <summary>What people would be told.</summary>
internal sealed class SentAlerts : List<AlertMessage>, IAlertSender
{
    public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
    {
        Add(alert);
        return Task.CompletedTask;
    }
}
