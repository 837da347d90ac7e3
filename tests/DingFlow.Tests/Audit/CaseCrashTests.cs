using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Guards;
using DingFlow.Settings;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Audit;

/// <summary>Wherever the process dies, the trail tells the whole life of a case: every state, every try of a step, every word and every act of a person.</summary>
public sealed class CaseCrashTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_leaver_who_is_frozen_is_told_step_by_step() => CrashPoints.EveryAsync(new()
    {
        Act = FreezeAsync,
        State = LifeAsync,
        Told = LifeTold,
        Final = static async world => Assert.Equal(CaseState.Verified, (await OnlyAsync(world)).State),
        WithRemotes = true,
    });

    [Fact]
    public Task Cancelling_a_case_is_told_exactly_when_it_is_cancelled() => CrashPoints.EveryAsync(Action(
        static world => CallAsync<CancelOffboardingCase>(world),
        static at => Waiting(at) with { State = CaseState.Scheduled },
        CaseState.Cancelled));

    [Fact]
    public Task Retrying_a_case_is_told_exactly_when_it_is_taken_up() => CrashPoints.EveryAsync(Action(
        static world => CallAsync<RetryOffboardingCase>(world), static at => Waiting(at) with { State = CaseState.NeedsHuman }, CaseState.Running));

    [Fact]
    public Task Releasing_a_case_is_told_with_both_who_agreed() => CrashPoints.EveryAsync(Action(
        static async world =>
        {
            await CallAsync<ReleaseOffboardingCase>(world, "key:first");
            await CallAsync<ReleaseOffboardingCase>(world, "key:second");
        },
        static at => Waiting(at) with { State = CaseState.Quarantined }, CaseState.Running));

    [Fact]
    public Task Giving_back_what_a_case_took_is_told_step_by_step() => CrashPoints.EveryAsync(new()
    {
        Arrange = FreezeAsync,
        Act = static async world =>
        {
            await CallAsync<ReactivateOffboardingCase>(world);
            world.Time.Advance(TimeSpan.FromMinutes(3));
            await world.TickAsync<SweepOffboarding>();
            await world.PumpAsync<ProcessOffboarding>(Queues.Offboarding);
        },
        State = LifeAsync,
        Told = LifeTold,
        Final = static async world => Assert.Equal(CaseState.Reactivated, (await OnlyAsync(world)).State),
        WithRemotes = true,
    });

    private static async Task FreezeAsync(CrashWorld world)
    {
        await IntakeCrashTests.PostAsync(world);
        world.Time.Advance(TimeSpan.FromMinutes(3));
        await world.TickAsync<DingFlow.Intake.SweepInbox>();
        await world.TickAsync<SweepOffboarding>();
        await world.PumpAsync<ProcessOffboarding>(Queues.Offboarding);
    }

    private static CrashScenario Action(Func<CrashWorld, Task> act, Func<DateTimeOffset, OffboardingCase> before, CaseState after) => new()
    {
        Arrange = async world => await world.Get<CaseStore>().AddAsync(before(world.Time.GetUtcNow()), Cancellation),
        Act = act,
        State = LifeAsync,
        Told = LifeTold,
        Final = async world => Assert.Equal(after, (await OnlyAsync(world)).State),
    };

    private static OffboardingCase Waiting(DateTimeOffset at) => new()
    {
        CaseId = CaseId.New(at), EmployeeId = "E1001", State = CaseState.Scheduled, ReceivedAt = at, DueAt = at.AddDays(30), Identifiers = [new() { EmployeeId = "E1001", Email = "e1001@sandbox.example" }],
        Signals = [new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = at }],
    };

    private static async Task CallAsync<TFunction>(CrashWorld world, string principal = "key:ops")
        where TFunction : DingFlow.Hosting.IHttpFunction =>
        await world.CallAsync<TFunction>("""{"reason":"as HR says"}""", new Dictionary<string, string> { ["caseId"] = (await OnlyAsync(world)).CaseId }, principal: principal);

    private static async Task<IReadOnlyList<OffboardingCase>> AllAsync(CrashWorld world)
    {
        List<OffboardingCase> cases = [];
        await foreach (var @case in world.Get<CaseStore>().AllAsync(Cancellation))
        {
            cases.Add(@case);
        }

        return cases;
    }

    private static async Task<OffboardingCase> OnlyAsync(CrashWorld world) => Assert.Single(await AllAsync(world));

    /// <summary>What the cases show: where they stand, who acted, what was heard, and of each step how often it was tried and how it ended last.</summary>
    private static async Task<IEnumerable<string>> LifeAsync(CrashWorld world) => (await AllAsync(world)).SelectMany(static @case => (IEnumerable<string>)
    [
        $"{@case.CaseId} is {Words.Of(@case.State)}",
        .. @case.Signals.Select(signal => $"{@case.CaseId} heard"),
        .. @case.Actions.Select(action => $"{@case.CaseId} {action.By} {action.What}"),
        .. StepsOf(@case).Where(static one => one.Step.Attempts > 0)
            .Select(one => $"{@case.CaseId} tried {one.Name} {one.Step.Attempts.ToString(CultureInfo.InvariantCulture)}"),
        .. StepsOf(@case).Where(static one => one.Step.Outcome is not null)
            .Select(one => $"{@case.CaseId} ended {one.Name} {Words.Of(one.Step.Outcome!.Value)} {(one.Step.ReadBack is { } readBack ? Words.Of(readBack) : "")}"),
    ]);

    private static IEnumerable<(string Name, CaseStep Step)> StepsOf(OffboardingCase @case) =>
        @case.Steps.Select(static step => (step.Id, step)).Concat((@case.Undo?.Steps ?? []).Select(static step => ("undo." + step.Id, step)));

    private static IEnumerable<string> LifeTold(IReadOnlyList<ToldEntry> entries)
    {
        foreach (var ofCase in entries.Where(static entry => entry.Kind.StartsWith("offboarding.", StringComparison.Ordinal) && entry.Said.CaseId is not null)
            .GroupBy(static entry => entry.Said.CaseId!))
        {
            var state = "unopened";
            var (tried, ended) = (new Dictionary<string, int>(), new Dictionary<string, string>());
            foreach (var entry in ofCase)
            {
                switch (entry.Kind)
                {
                    case "offboarding.case_opened":
                        state = state == "unopened" ? entry.Detail("state") : "opened twice";
                        yield return $"{ofCase.Key} heard";
                        break;
                    case "offboarding.case_heard":
                        yield return $"{ofCase.Key} heard";
                        break;
                    case "offboarding.case_action":
                        yield return $"{ofCase.Key} {entry.Said.Actor.Id} {entry.Detail("action")}";
                        break;
                    case "offboarding.case_state_changed":
                        state = entry.Detail("from") == state ? entry.Detail("to") : $"{state}, not {entry.Detail("from")}";
                        break;
                    case "offboarding.step_tried":
                        tried.TryGetValue(entry.Detail("step"), out var before);
                        tried[entry.Detail("step")] = int.Parse(entry.Detail("attempt"), CultureInfo.InvariantCulture);
                        Assert.Equal(before + 1, tried[entry.Detail("step")]);
                        break;
                    case "offboarding.step_ended":
                        ended[entry.Detail("step")] = $"{entry.Detail("outcome")} {entry.Detail("readBack")}";
                        break;
                    default:
                        break;
                }
            }

            yield return $"{ofCase.Key} is {state}";
            foreach (var (step, attempts) in tried)
            {
                yield return $"{ofCase.Key} tried {step} {attempts.ToString(CultureInfo.InvariantCulture)}";
            }

            foreach (var (step, how) in ended)
            {
                yield return $"{ofCase.Key} ended {step} {how}";
            }
        }
    }
}
