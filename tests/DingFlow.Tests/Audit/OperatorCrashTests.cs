using System.Globalization;
using System.Text;
using DingFlow.Alerts;
using DingFlow.Audit;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Parking;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;

namespace DingFlow.Tests.Audit;

/// <summary>Wherever the process dies: alerts, tiers, incidents, holds, pauses, replays and parked messages, and the trail that tells of them.</summary>
public sealed class OperatorCrashTests
{
    private const string Tier = "2026-cn-2024-SC_OR_CERT";
    private static readonly Dictionary<string, string> HrRoute = new() { ["source"] = "acme" };
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task An_alert_is_told_as_raised_and_the_one_before_it_as_over() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => RaiseAsync(world, 1),
        Act = static world => RaiseAsync(world, 2),
        State = AlertsAsync,
        Told = AlertsTold,
        Final = static async world => Assert.Equal(["raised", "raised", "resolved"], (await AlertsAsync(world)).Order()),
    });

    [Fact]
    public Task An_acknowledgement_is_told_exactly_when_it_is_there() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => RaiseAsync(world, 1),
        Act = static world => world.CallAsync<AcknowledgeAlert>("""{"reason":"filed"}""", new Dictionary<string, string> { ["id"] = KeyOf(1) }),
        State = AlertsAsync,
        Told = AlertsTold,
        Final = static async world => Assert.Equal(["acknowledged", "raised"], (await AlertsAsync(world)).Order()),
    });

    [Fact]
    public Task A_silence_is_told_exactly_when_it_is_there() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => RaiseAsync(world, 1),
        // Silenced once more it is silent until another moment, which is another change: the state shows the last.
        Act = static world => world.CallAsync<SilenceAlert>("""{"until":"2026-12-24T00:00:00Z","reason":"over Christmas"}""", new Dictionary<string, string> { ["id"] = KeyOf(1) }),
        State = AlertsAsync,
        Told = static entries => AlertsTold(entries).Distinct(),
        Final = static async world => Assert.Equal(["raised", "silenced"], (await AlertsAsync(world)).Order()),
    });

    [Fact]
    public Task A_tier_is_told_exactly_when_it_is_latched_and_when_it_is_reviewed() => CrashPoints.EveryAsync(new()
    {
        Act = static async world =>
        {
            var standing = RuleEngine.Create(new TransfersOptions(), new SettingsFaults()).Evaluate(
                new Exporter { Id = CrashWorld.Exporter }, new Dictionary<string, long> { ["cn.counted.sensitive"] = 1 }, world.Time.GetUtcNow());
            await world.Get<TierLatch>().ObserveAsync(standing, told: true, Cancellation);
            await world.CallAsync<ReviewTier>(
                """{"reason":"Filed as SC-2026-7."}""", new Dictionary<string, string> { ["exporter"] = CrashWorld.Exporter, ["tier"] = Tier });
        },
        State = static async world => (await world.Get<TierLatch>().ListAsync(CrashWorld.Exporter, Cancellation))
            .SelectMany(static tier => tier.Review is null ? (string[])["reached"] : ["reached", "reviewed"]),
        Told = static entries => Words(entries, ("thresholds.tier_reached", "reached"), ("thresholds.tier_reviewed", "reviewed")),
        Final = static async world => Assert.NotNull(Assert.Single(await world.Get<TierLatch>().ListAsync(CrashWorld.Exporter, Cancellation)).Review),
    });

    [Fact]
    public Task An_incident_is_told_as_reported_corrected_and_closed() => CrashPoints.EveryAsync(new()
    {
        Act = static async world =>
        {
            var route = new Dictionary<string, string> { ["exporter"] = CrashWorld.Exporter, ["reference"] = "inc-1" };
            var at = CrashWorld.Start.ToString("O", CultureInfo.InvariantCulture);
            if ((await world.Get<IncidentStore>().FindAsync(CrashWorld.Exporter, "inc-1", Cancellation))?.Incident.Closed is not null)
            {
                return; // Somebody who repeats a closing does not report it anew.
            }

            await world.CallAsync<PutIncident>($$"""{"discoveredAt":"{{at}}","persons":3,"description":"A list was mailed to a stranger."}""", route);
            await world.CallAsync<PutIncident>($$"""{"discoveredAt":"{{at}}","persons":4,"description":"A list was mailed to a stranger."}""", route);
            await world.CallAsync<CloseIncident>("""{"reason":"The stranger deleted it."}""", route);
        },
        State = static async world => await world.Get<IncidentStore>().FindAsync(CrashWorld.Exporter, "inc-1", Cancellation) is not var (incident, _) ? []
            : [.. Enumerable.Range(1, incident.Revision).Select(static revision => revision == 1 ? "reported" : "corrected"), .. incident.Closed is null ? [] : (string[])["closed"]],
        Told = static entries => Words(entries, ("incidents.reported", "reported"), ("incidents.corrected", "corrected"), ("incidents.closed", "closed")),
        Final = static async world => Assert.NotNull((await world.Get<IncidentStore>().FindAsync(CrashWorld.Exporter, "inc-1", Cancellation))!.Value.Incident.Closed),
    });

    [Fact]
    public Task A_legal_hold_is_told_exactly_when_it_is_placed_and_released() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => world.Get<IAuditTrail>().AppendAsync(TrailDriver.Event("a case") with { CaseId = "case-1" }, Cancellation),
        Act = static async world =>
        {
            var ever = (await world.EntriesAsync()).Any(static entry => entry.Kind == AuditAudit.HoldReleased.Name);
            if (!ever)
            {
                await world.CallAsync<PlaceAuditHold>("""{"caseId":"case-1","reason":"labour court"}""");
                await world.CallAsync<ReleaseAuditHold>("""{"reason":"settled"}""", new Dictionary<string, string> { ["caseId"] = "case-1" });
            }
        },
        // A hold that was released leaves no row: what is there now is what was placed less what was released.
        State = static async world => (await world.Get<AuditHolds>().ListAsync(Cancellation)).Select(static hold => $"held {hold.CaseId}"),
        Told = static entries => Enumerable.Repeat("held case-1", Words(entries, (AuditAudit.HoldPlaced.Name, "placed")).Count() - Words(entries, (AuditAudit.HoldReleased.Name, "released")).Count()),
        Final = static async world =>
        {
            Assert.Empty(await world.Get<AuditHolds>().ListAsync(Cancellation));
            Assert.Single(await world.EntriesAsync(), static entry => entry.Kind == AuditAudit.HoldReleased.Name);
        },
    });

    [Fact]
    public Task A_pause_is_told_exactly_when_a_source_is_paused() => CrashPoints.EveryAsync(new()
    {
        Act = static world => world.CallAsync<PauseHrSource>("""{"reason":"wrong list"}""", HrRoute),
        State = static async world => (await world.RowsAsync("HrSources", "pause")).Select(static row => row.RowKey),
        Told = static entries => Words(entries, ("intake.source_paused", "acme")),
        Final = static async world => Assert.Single(await world.RowsAsync("HrSources", "pause")),
    });

    [Fact]
    public Task A_source_is_told_to_go_on_exactly_when_it_does() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => world.CallAsync<PauseHrSource>("""{"reason":"wrong list"}""", HrRoute),
        Act = static world => world.CallAsync<ResumeHrSource>("""{"reason":"mended"}""", HrRoute),
        State = static async world => (await world.RowsAsync("HrSources", "pause")).Count == 0 ? ["resumed"] : [],
        Told = static entries => Words(entries, ("intake.source_resumed", "resumed")),
        Final = static async world => Assert.Empty(await world.RowsAsync("HrSources", "pause")),
    });

    [Fact]
    public Task A_replay_of_a_delivery_is_told_as_often_as_it_was_ordered() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => IntakeCrashTests.PostAsync(world),
        Act = static async world => await world.CallAsync<ReplayDelivery>(
            """{"reason":"mended"}""", new Dictionary<string, string> { ["id"] = (await IntakeCrashTests.DeliveriesAsync(world))[0].RowKey[2..] }),
        State = static async world => Enumerable.Repeat("replayed", (await IntakeCrashTests.DeliveriesAsync(world))[0].Properties.Get<int>("Replays")),
        Told = static entries => Words(entries, ("intake.delivery_replayed", "replayed")),
        Final = static async world => Assert.InRange((await IntakeCrashTests.DeliveriesAsync(world))[0].Properties.Get<int>("Replays"), 1, 2),
    });

    [Fact]
    public Task A_message_is_told_as_parked_once_however_often_it_comes() => CrashPoints.EveryAsync(new()
    {
        Act = static world => ParkAsync(world),
        State = static async world => (await ParkedAsync(world)).Select(static _ => "parked"),
        Told = static entries => Words(entries, (MessagingAudit.MessageParked.Name, "parked")),
        Final = static async world => Assert.Equal(ParkedStatus.Parked, Assert.Single(await ParkedAsync(world)).Status),
    });

    [Fact]
    public Task A_parked_message_that_comes_again_keeps_what_was_decided_on_it() => CrashPoints.EveryAsync(new()
    {
        Arrange = static async world =>
        {
            await ParkAsync(world);
            await world.CallAsync<DiscardParkedMessage>("""{"reason":"obsolete"}""", new Dictionary<string, string> { ["id"] = (await ParkedAsync(world))[0].ParkedId });
        },
        Act = static world => ParkAsync(world),
        State = static async world => (await ParkedAsync(world)).SelectMany(static message => (string[])["parked", message.Status.ToString()]),
        Told = static entries => Words(entries, (MessagingAudit.MessageParked.Name, "parked"), (MessagingAudit.MessageDiscarded.Name, "Discarded")),
        Final = static async world => Assert.Equal(ParkedStatus.Discarded, Assert.Single(await ParkedAsync(world)).Status),
    });

    [Fact]
    public Task A_parked_message_is_told_as_replayed_as_often_as_it_was() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => ParkAsync(world),
        Act = static async world => await world.CallAsync<ReplayParkedMessage>(
            """{"reason":"mended"}""", new Dictionary<string, string> { ["id"] = (await ParkedAsync(world))[0].ParkedId }),
        State = static async world => (await ParkedAsync(world)).SelectMany(static message => Enumerable.Repeat("replayed", message.Replays)),
        Told = static entries => Words(entries, (MessagingAudit.MessageReplayed.Name, "replayed")),
        Final = static async world => Assert.Equal(ParkedStatus.Replayed, Assert.Single(await ParkedAsync(world)).Status),
    });

    [Fact]
    public Task A_parked_message_is_told_as_discarded_exactly_when_it_is() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => ParkAsync(world),
        Act = static async world => await world.CallAsync<DiscardParkedMessage>(
            """{"reason":"obsolete"}""", new Dictionary<string, string> { ["id"] = (await ParkedAsync(world))[0].ParkedId }),
        State = static async world => (await ParkedAsync(world)).Where(static message => message.Status == ParkedStatus.Discarded).Select(static _ => "discarded"),
        Told = static entries => Words(entries, (MessagingAudit.MessageDiscarded.Name, "discarded")),
        Final = static async world => Assert.Equal(ParkedStatus.Discarded, Assert.Single(await ParkedAsync(world)).Status),
    });

    /// <summary>The entries of some kinds, each as its word.</summary>
    internal static IEnumerable<string> Words(IReadOnlyList<ToldEntry> entries, params (string Kind, string Word)[] words) =>
        entries.SelectMany(entry => words.Where(word => word.Kind == entry.Kind).Select(static word => word.Word));

    private static string KeyOf(int rank) => AlertWork.KeyOf($"tests.alert:{rank}");

    internal static async Task RaiseAsync(CrashWorld world, int rank)
    {
        await world.Get<IAlertSender>().SendAsync(
            new()
            {
                AlertId = $"tests.alert:{rank}", Type = "transfers.recount_differs", Severity = AlertSeverity.Warning, OccurredAt = CrashWorld.Start, Summary = "Something is wrong.",
                Series = "tests", Rank = rank, Details = new Dictionary<string, string> { ["exporter"] = CrashWorld.Exporter },
            },
            Cancellation);
        await world.PumpAsync<DeliverAlert>(Queues.Alerts);
    }

    private static async Task<IEnumerable<string>> AlertsAsync(CrashWorld world)
    {
        List<string> changes = [];
        foreach (var rank in (int[])[1, 2])
        {
            if (await world.Get<AlertStore>().FindAsync(KeyOf(rank), Cancellation) is { } alert)
            {
                changes.Add("raised");
                changes.AddRange(alert.ResolvedAt is null ? [] : ["resolved"]);
                changes.AddRange(alert.Acknowledged is null ? [] : ["acknowledged"]);
                changes.AddRange(alert.Silenced is null ? [] : ["silenced"]);
            }
        }

        return changes;
    }

    private static IEnumerable<string> AlertsTold(IReadOnlyList<ToldEntry> entries) => Words(
        [.. entries.Where(static entry => entry.Said.On!.Id is var id && (id == KeyOf(1) || id == KeyOf(2)))],
        (AlertAudit.Raised.Name, "raised"), (AlertAudit.Resolved.Name, "resolved"), (AlertAudit.Acknowledged.Name, "acknowledged"), (AlertAudit.Silenced.Name, "silenced"));

    private static Task ParkAsync(CrashWorld world) => world.Get<ParkedMessages>().ParkAsync(
        new() { Queue = Queues.Offboarding.Name, MessageId = "m-1", SessionId = "s", DeliveryCount = 5, Body = Encoding.UTF8.GetBytes("{}") }, "It cannot be read.", Cancellation);

    private static async Task<IReadOnlyList<ParkedMessage>> ParkedAsync(CrashWorld world)
    {
        List<ParkedMessage> found = [];
        await foreach (var message in world.Get<ParkedMessages>().AllAsync(Queues.Offboarding, Cancellation))
        {
            found.Add(message);
        }

        return found;
    }
}
