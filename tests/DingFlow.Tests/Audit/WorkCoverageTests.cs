using System.Reflection;
using System.Text.Json.Nodes;
using DingFlow.Alerts;
using DingFlow.Audit;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Parking;
using DingFlow.Scim;
using DingFlow.Signals;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Signals;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Audit;

/// <summary>
/// Every queue and every timer says what its work leaves in the trail and which test shows it, or why it leaves nothing. They are those of
/// <c>functions/Triggers</c>: a new one needs a line here. All of them are run, and none writes what its line does not say.
/// </summary>
public sealed class WorkCoverageTests
{
    private static readonly Dictionary<string, Work> s_work = new(StringComparer.Ordinal)
    {
        ["ProcessOffboarding"] = Work.Tells(
            Shown.By<CaseCrashTests>(
                nameof(CaseCrashTests.A_leaver_who_is_frozen_is_told_step_by_step),
                "offboarding.case_opened", "offboarding.case_heard", "offboarding.case_state_changed", "offboarding.step_tried", "offboarding.step_ended",
                "offboarding.account_looked_up", "offboarding.case_changed"),
            Shown.By<CaseEventTests>(nameof(CaseEventTests.One_leaver_under_two_identifiers_at_once_is_one_case_found_under_both), "offboarding.case_joined"),
            Shown.By<OffboardingTimerTests>(
                nameof(OffboardingTimerTests.A_leave_ahead_is_released_on_its_date_and_a_verified_case_is_read_again_after_45_minutes), "offboarding.case_rechecked"),
            Shown.By<WorkCoverageTests>(nameof(No_queue_or_timer_writes_what_its_line_does_not_say), "offboarding.finding_opened")),
        ["SweepOffboarding"] = Work.Tells(Shown.By<WorkCoverageTests>(nameof(No_queue_or_timer_writes_what_its_line_does_not_say), "offboarding.case_overdue")),
        ["ReconcileAccounts"] = Work.IsSilent("asks the queue for a reconciliation; what it finds and does is the queue's"),
        ["ProcessTransfers"] = CountsPeople,
        ["CountDingTalkContacts"] = CountsPeople,
        ["PruneTransfers"] = Work.Tells(Shown.By<TransferCrashTests>(
            nameof(TransferCrashTests.Records_past_their_retention_are_told_exactly_when_they_are_gone), "transfers.change_begun", "transfers.records_expired")),
        ["ProveTransferCounters"] = Work.Tells(Shown.By<YearsLaterTests>(
            nameof(YearsLaterTests.A_counter_that_is_not_what_its_rows_say_is_told_by_the_weekly_proof), "transfers.recounted")),
        ["UniteLinkedSubjects"] = Work.IsSilent("brings the ledger to unions of identifiers that were told when they were made (transfers.subjects_united)"),
        ["RebuildCounterDays"] = Work.IsSilent("derives the counts by day anew from the ledger's rows, which it does not change"),
        ["CheckThresholds"] = Work.Tells(
            Shown.By<OperatorCrashTests>(nameof(OperatorCrashTests.A_tier_is_told_exactly_when_it_is_latched_and_when_it_is_reviewed), "thresholds.tier_reached"), AlertIsOver),
        ["CheckFilings"] = Work.Tells(AlertIsOver),
        ["DeliverAlert"] = Work.Tells(
            Shown.By<OperatorCrashTests>(nameof(OperatorCrashTests.An_alert_is_told_as_raised_and_the_one_before_it_as_over), "alerts.raised"), AlertIsOver),
        ["RepeatAlerts"] = Work.IsSilent("tells an open alert again, which was raised already and stays as it is"),
        ["DeliverSignal"] = Work.Tells(
            Shown.By<IntakeCrashTests>(nameof(IntakeCrashTests.A_subscriber_is_told_of_in_the_trail_exactly_when_it_took_the_signal), "signals.told"),
            Shown.By<DeliverSignalTests>(nameof(DeliverSignalTests.A_subscriber_that_refuses_is_tried_for_three_days_people_are_told_and_the_claims_are_forgotten), "signals.given_up")),
        ["ParkOffboardingDeadLetters"] = Parks,
        ["ParkTransfersDeadLetters"] = Parks,
        ["ParkAlertDeadLetters"] = Parks,
        ["ParkSignalDeadLetters"] = Parks,
        ["PruneParkedMessages"] = Work.IsSilent("removes parked messages past their time; that they were parked, and what was decided on them, stays in the trail"),
        ["SweepInbox"] = Work.IsSilent("puts accepted deliveries into their queue again; each was told when it was accepted"),
        ["PruneInbox"] = Work.IsSilent("removes deliveries past their time; that they were accepted, with the hash of each body, stays in the trail"),
        ["FetchLostPushes"] = Work.Tells(Shown.By<ReceiverCrashTests>(
            nameof(ReceiverCrashTests.An_event_of_DingTalk_is_told_with_what_it_reports_exactly_when_it_is_stored),
            "intake.delivery_accepted", "intake.delivery_repeated", "permissions.reported")),
        ["RefreshDirectory"] = Work.IsSilent("reads DingTalk's contact list into a cache that is derived from it"),
        ["RekeyScimUsers"] = Work.IsSilent("encrypts provisioned users under the present key; what they say stays as it is"),
        ["SnapshotPermissions"] = Work.Tells(
            Shown.By<IntakeCrashTests>(nameof(IntakeCrashTests.A_reading_of_permissions_is_told_with_what_changed), "permissions.snapshot_taken"),
            Shown.By<ReceiverCrashTests>(
                nameof(ReceiverCrashTests.What_was_given_and_taken_between_two_nights_is_told_exactly_when_the_later_reading_stands),
                "permissions.gained", "permissions.lost", "permissions.reported")),
        ["ReportPermissions"] = Work.Tells(Shown.By<PermissionTests>(
            nameof(PermissionTests.A_crash_anywhere_in_making_the_report_leaves_one_report_one_entry_and_one_alert), "permissions.report_made")),
        ["ArchiveDingTalkLogs"] = Work.Tells(
            Shown.By<PermissionTests>(nameof(PermissionTests.DingTalks_own_logs_are_kept_before_they_expire), "audit.dingtalk_log_kept"),
            Shown.By<PermissionTests>(
                nameof(PermissionTests.A_log_that_the_edition_lacks_is_said_once_and_lost_days_are_reported), "audit.dingtalk_log_absent", "audit.dingtalk_log_gap")),
        ["SealAudit"] = Work.Tells(Shown.By<AuditAdministratorTests>(
            nameof(AuditAdministratorTests.A_seal_that_is_none_is_named_and_people_are_told_by_the_timer), "audit.verified")),
        ["ExpireAudit"] = Work.Tells(Shown.By<AuditRetentionTests>(
            nameof(AuditRetentionTests.Content_goes_with_its_retention_unless_it_is_held_and_everything_can_still_be_verified), "audit.content_expired")),
        ["SweepAudit"] = Work.Tells(
            Shown.By<PolicyLogTests>(nameof(PolicyLogTests.A_change_is_recorded_once_with_what_it_was_and_is), "policy.stated", "policy.changed", "policy.withdrawn"),
            Shown.By<TransferCrashTests>(
                nameof(TransferCrashTests.A_start_settles_what_the_process_before_left_unfinished),
                "transfers.batch_recorded", "transfers.batch_voided", "transfers.opening_balance_set", "transfers.opening_balance_removed", "transfers.subject_erased",
                "transfers.subjects_united", "transfers.records_expired"),
            Shown.By<RepetitionCounterTests>(nameof(RepetitionCounterTests.What_a_killed_process_had_counted_is_told_by_the_next_one), "authentication.refused", "authorization.refused", "intake.delivery_refused")),
    };

    private static Shown AlertIsOver => Shown.By<OperatorCrashTests>(nameof(OperatorCrashTests.An_alert_is_told_as_raised_and_the_one_before_it_as_over), "alerts.resolved");

    private static Work Parks =>
        Work.Tells(Shown.By<OperatorCrashTests>(nameof(OperatorCrashTests.A_message_is_told_as_parked_once_however_often_it_comes), "messaging.message_parked"));

    private static Work CountsPeople => Work.Tells(Shown.By<TransferCrashTests>(
        nameof(TransferCrashTests.People_of_a_feed_are_told_as_recorded_and_as_united), "transfers.change_begun", "transfers.batch_recorded", "transfers.subjects_united"));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The functions that no caller asks for.</summary>
    private static IReadOnlyList<string> Unasked =>
    [
        .. Directory.GetFiles(Path.Combine(Repository.Root, "functions", "Triggers"), "function.json", SearchOption.AllDirectories)
            .Where(static file => ((string?)JsonNode.Parse(File.ReadAllText(file))!["bindings"]![0]!["type"]) is "timerTrigger" or "serviceBusTrigger")
            .Select(static file => Path.GetFileName(Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal),
    ];

    [Fact]
    public void Every_queue_and_timer_says_what_it_tells_by_which_test_or_why_it_tells_nothing()
    {
        Assert.Equal(Unasked, s_work.Keys.Order(StringComparer.Ordinal));
        var kinds = typeof(AuditKind).Assembly.GetTypes()
            .SelectMany(static type => type.GetProperties(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(static property => property.PropertyType == typeof(AuditKind)).Select(static property => ((AuditKind)property.GetValue(null)!).Name).ToHashSet();
        foreach (var (name, work) in s_work)
        {
            Assert.True(work.Silence?.Length > 20 != work.Proofs.Count > 0, $"{name} needs kinds or a reason, not both.");
            foreach (var shown in work.Proofs)
            {
                Assert.True(shown.Test.GetCustomAttribute<FactAttribute>() is { Skip: null }, $"{name}: {shown.Test.Name} is no test that is run.");
                Assert.NotEmpty(shown.Kinds);
                Assert.All(shown.Kinds, kind => Assert.Contains(kind, kinds));
            }
        }
    }

    [Fact]
    public async Task No_queue_or_timer_writes_what_its_line_does_not_say()
    {
        await using var world = await CrashWorld.StartAsync(withRemotes: true);
        HashSet<string> ran = new(StringComparer.Ordinal);
        Assert.Equal(202, await IntakeCrashTests.PostAsync(world));
        await RunAsync("SweepInbox", static world => world.TickAsync<SweepInbox>());
        await RunAsync("ProcessOffboarding", static world => world.PumpAsync<ProcessOffboarding>(Queues.Offboarding), "offboarding.case_opened", "offboarding.case_state_changed");
        world.Time.Advance(TimeSpan.FromMinutes(1));
        await RunAsync("ProcessOffboarding", static world => world.PumpAsync<ProcessOffboarding>(Queues.Offboarding));
        world.Sandbox!.Directory.Change("E1001", static person => person with { Entra = person.Entra! with { AccountEnabled = true } });
        await RunAsync("ReconcileAccounts", static world => world.TickAsync<ReconcileAccounts>());
        await RunAsync("ProcessOffboarding", static world => world.PumpAsync<ProcessOffboarding>(Queues.Offboarding), "offboarding.finding_opened");
        world.Time.Advance(TimeSpan.FromHours(2));
        await world.Get<CaseStore>().AddAsync(Late(world), Cancellation);
        await RunAsync("SweepOffboarding", static world => world.TickAsync<SweepOffboarding>(), "offboarding.case_overdue");
        await RunAsync("ProcessTransfers", static world => world.PumpAsync<ProcessTransfers>(Queues.Transfers));
        await RunAsync("CountDingTalkContacts", static world => world.TickAsync<CountDingTalkContacts>());
        await RunAsync("ProveTransferCounters", static world => world.TickAsync<ProveTransferCounters>(), "transfers.recounted");
        await RunAsync("PruneTransfers", static world => world.TickAsync<PruneTransfers>());
        await RunAsync("UniteLinkedSubjects", static world => world.TickAsync<UniteLinkedSubjects>());
        await RunAsync("RebuildCounterDays", static world => world.TickAsync<RebuildCounterDays>());
        await RunAsync("CheckThresholds", static world => world.TickAsync<CheckThresholds>());
        await RunAsync("CheckFilings", static world => world.TickAsync<CheckFilings>());
        await RunAsync("DeliverAlert", static world => OperatorCrashTests.RaiseAsync(world, 1), "alerts.raised");
        await RunAsync("DeliverSignal", static world => world.PumpAsync<DeliverSignal>(Queues.Signals));
        await RunAsync("ParkOffboardingDeadLetters", static world => ParkAsync<ParkOffboardingDeadLetters>(world, Queues.Offboarding), "messaging.message_parked");
        await RunAsync("ParkTransfersDeadLetters", static world => ParkAsync<ParkTransfersDeadLetters>(world, Queues.Transfers), "messaging.message_parked");
        await RunAsync("ParkAlertDeadLetters", static world => ParkAsync<ParkAlertDeadLetters>(world, Queues.Alerts), "messaging.message_parked");
        await RunAsync("ParkSignalDeadLetters", static world => ParkAsync<ParkSignalDeadLetters>(world, Queues.Signals), "messaging.message_parked");
        await RunAsync("FetchLostPushes", static world => world.TickAsync<FetchLostPushes>());
        await RunAsync("RefreshDirectory", static world => world.TickAsync<RefreshDirectory>());
        await RunAsync("RekeyScimUsers", static world => world.TickAsync<RekeyScimUsers>());
        await RunAsync("SnapshotPermissions", static world => world.TickAsync<SnapshotPermissions>(), "permissions.snapshot_taken");
        await RunAsync("ArchiveDingTalkLogs", static world => world.TickAsync<ArchiveDingTalkLogs>(), "audit.dingtalk_log_kept");
        await RunAsync("SweepAudit", static world => world.TickAsync<SweepAudit>(), "policy.stated");
        await RunAsync("ReportPermissions", static world => world.TickAsync<ReportPermissions>());
        world.Time.Advance(TimeSpan.FromDays(10));
        await RunAsync("RepeatAlerts", static world => world.TickAsync<RepeatAlerts>());
        await RunAsync("SealAudit", static world => world.TickAsync<SealAudit>(), "audit.verified");
        await RunAsync("ReportPermissions", static world => world.TickAsync<ReportPermissions>(), "permissions.report_made");
        world.Time.Advance(TimeSpan.FromDays(400));
        await RunAsync("ExpireAudit", static world => world.TickAsync<ExpireAudit>(), "audit.content_expired");
        Assert.NotEmpty(await IntakeCrashTests.DeliveriesAsync(world));
        await RunAsync("PruneInbox", static world => world.TickAsync<PruneInbox>());
        Assert.Empty(await IntakeCrashTests.DeliveriesAsync(world));
        await RunAsync("PruneParkedMessages", static world => world.TickAsync<PruneParkedMessages>());
        Assert.Equal(Unasked, ran.Order(StringComparer.Ordinal));

        async Task RunAsync(string name, Func<CrashWorld, Task> act, params string[] least)
        {
            await world.Get<AuditTrail>().DrainAsync(Cancellation);
            var before = (await world.EntriesAsync()).Count;
            await act(world);
            await world.Get<AuditTrail>().DrainAsync(Cancellation);
            var told = (await world.EntriesAsync()).Skip(before).Select(static entry => entry.Kind).ToHashSet(StringComparer.Ordinal);
            var said = s_work[name].Proofs.SelectMany(static shown => shown.Kinds).ToHashSet(StringComparer.Ordinal);
            Assert.True(told.IsSubsetOf(said), $"{name} told {string.Join(", ", told.Except(said))}, of which its line says nothing.");
            Assert.True(told.IsSupersetOf(least), $"{name} told {string.Join(", ", told)} and should have told {string.Join(", ", least)}.");
            ran.Add(name);
        }
    }

    private static Task ParkAsync<TFunction>(CrashWorld world, QueueDefinition queue)
        where TFunction : IQueueFunction => world.Get<TFunction>().InvokeAsync(
            new() { Queue = queue.Name, MessageId = $"lost-{queue.Name}", DeliveryCount = 10, Body = "{}"u8.ToArray() }, Cancellation);

    /// <summary>A case whose time has run out without anybody being told.</summary>
    private static OffboardingCase Late(CrashWorld world) => new()
    {
        CaseId = CaseId.New(world.Time.GetUtcNow()), EmployeeId = "E1007", State = CaseState.Running, ReceivedAt = world.Time.GetUtcNow().AddHours(-3),
        DueAt = world.Time.GetUtcNow().AddHours(-1), Identifiers = [new() { EmployeeId = "E1007", Email = "e1007@sandbox.example" }],
        Signals = [new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = world.Time.GetUtcNow().AddHours(-3) }],
    };

    /// <summary>What a queue or timer leaves in the trail.</summary>
    private sealed record Work(IReadOnlyList<Shown> Proofs, string? Silence)
    {
        public static Work Tells(params Shown[] proofs) => new(proofs, null);

        /// <summary>Nothing; the reason is for whoever asks.</summary>
        public static Work IsSilent(string reason) => new([], reason);
    }

    /// <summary>Kinds of entries and the test that shows them.</summary>
    private sealed record Shown(MethodInfo Test, IReadOnlyList<string> Kinds)
    {
        public static Shown By<TTests>(string test, params string[] kinds) => new(typeof(TTests).GetMethod(test)!, kinds);
    }
}
