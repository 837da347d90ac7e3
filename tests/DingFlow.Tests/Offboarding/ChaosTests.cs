using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Guards;
using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Offboarding;

/// <summary>
/// Leavers under everything at once: every remote fault, a process that dies at store operations, deliveries that come twice and out of order,
/// messages that get lost, a clock that jumps. Each seed is one repeatable script. When the noise is over, each account is as its person's last HR
/// fact demands, each case says the truth, and nothing was done twice that may not.
/// </summary>
/// <remarks>
/// <c>DINGFLOW_CHAOS_SEEDS</c>: how many scripts (the suite's default is kept short); <c>DINGFLOW_CHAOS_SEED</c>: only this one, to repeat a failure.
/// </remarks>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private const int DefaultSeeds = 130;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whatever_happens_accounts_end_as_HR_wants_them_and_cases_say_the_truth()
    {
        var seeds = Environment.GetEnvironmentVariable("DINGFLOW_CHAOS_SEED") is { Length: > 0 } only
            ? [int.Parse(only, CultureInfo.InvariantCulture)]
            : Enumerable.Range(1, Environment.GetEnvironmentVariable("DINGFLOW_CHAOS_SEEDS") is { Length: > 0 } many ? int.Parse(many, CultureInfo.InvariantCulture) : DefaultSeeds).ToArray();
        var (leavers, crashes, faultsMet) = (0, 0, 0);
        var states = new System.Collections.Concurrent.ConcurrentDictionary<string, int>();
        var failures = new System.Collections.Concurrent.ConcurrentBag<string>();
        await Parallel.ForEachAsync(seeds, new ParallelOptions { MaxDegreeOfParallelism = 24, CancellationToken = Cancellation }, async (seed, _) =>
        {
            await using var script = await ChaosScript.StartAsync(seed);
            try
            {
                await script.RunAsync();
                await script.ConvergeAsync();
                await script.JudgeAsync();
            }
            catch (Exception fault) when (fault is not OperationCanceledException)
            {
                failures.Add($"seed {seed}: {fault}\n{script.Story}");
            }

            Interlocked.Add(ref leavers, script.Leavers);
            Interlocked.Add(ref crashes, script.Crashes);
            Interlocked.Add(ref faultsMet, script.FaultsMet);
            foreach (var state in script.States)
            {
                states.AddOrUpdate(state, 1, static (_, count) => count + 1);
            }
        });

        output.WriteLine($"{seeds.Length} scripts, {leavers} leavers, {crashes} crashes, {faultsMet} faults met, cases: {string.Join(", ", states.OrderBy(s => s.Key).Select(s => $"{s.Key} {s.Value}"))}");
        Assert.True(failures.IsEmpty, $"{failures.Count} of {seeds.Length}\n{string.Join("\n\n", failures.Order(StringComparer.Ordinal).Take(3))}");
        Assert.True(seeds.Length < DefaultSeeds || crashes > seeds.Length, $"only {crashes} crashes");
    }
}

/// <summary>One script.</summary>
internal sealed class ChaosScript : IAsyncDisposable
{
    private static readonly SandboxFaultKind[] Faults =
    [
        SandboxFaultKind.ServerError, SandboxFaultKind.Unavailable, SandboxFaultKind.Throttled, SandboxFaultKind.QuotaExhausted, SandboxFaultKind.Unauthenticated,
        SandboxFaultKind.Denied, SandboxFaultKind.OutOfScope, SandboxFaultKind.LostBefore, SandboxFaultKind.LostAfter, SandboxFaultKind.DoNothing,
        SandboxFaultKind.WrongReadBack, SandboxFaultKind.MalformedJson, SandboxFaultKind.IpBanned, SandboxFaultKind.HugeBody,
        SandboxFaultKind.Latency, SandboxFaultKind.Hang, SandboxFaultKind.Answer,
    ];

    /// <summary>Answers that say something else than what is: empty ones, successes of nothing, errors that nobody documents.</summary>
    private static readonly (int Status, string Body, string ContentType)[] Answers =
    [
        (200, "{}", "application/json"), (200, "[]", "application/json"), (200, "null", "application/json"), (200, "", "application/json"),
        (200, """{"errcode":0,"errmsg":"ok"}""", "application/json"), (200, """{"result":false}""", "application/json"),
        (200, """{"value":[]}""", "application/json"), (200, """{"errcode":99999,"errmsg":"?"}""", "application/json"), (200, "<html><body>sign in</body></html>", "text/html"),
        (204, "", "application/json"), (302, "", "text/plain"), (404, "{}", "application/json"), (404, "not here", "text/plain"), (409, "{}", "application/json"), (418, "{}", "application/json"),
    ];

    private readonly OffboardingDriver _driver;
    private readonly Random _random;
    private readonly List<Person> _people = [];
    private readonly List<Delivery> _deliveries = [];
    private readonly Dictionary<string, DateTimeOffset> _receivedAt = new(StringComparer.Ordinal);
    private readonly List<string> _story = [];

    private ChaosScript(OffboardingDriver driver, int seed)
    {
        _driver = driver;
        _random = new(seed);
    }

    public int Leavers => _people.Count;

    public int Crashes { get; private set; }

    /// <summary>Calls that a fault met.</summary>
    public int FaultsMet { get; private set; }

    /// <summary>Where each case ended, and whether the brake had held it.</summary>
    public IReadOnlyList<string> States { get; private set; } = [];

    public string Story => string.Join('\n', _story);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<ChaosScript> StartAsync(int seed)
    {
        var driver = await OffboardingDriver.StartAsync(
            new()
            {
                ["Offboarding:OrdinaryAccounts"] = "remove",
                ["Offboarding:Brake:Count"] = seed % 3 == 0 ? "4" : "0",
                ["DingTalk:Tenants:sandbox:MaxCallsPerSecond"] = "1000",
            },
            remoteTime: new HurriedTime(100), inMemory: true);
        return new(driver, seed);
    }

    public ValueTask DisposeAsync() => _driver.DisposeAsync();

    /// <summary>The noise: facts of some people, delivered in any order and more than once, between faults, deaths and jumps.</summary>
    public async Task RunAsync()
    {
        Invent();
        while (_deliveries.Count > 0)
        {
            switch (_random.Next(12))
            {
                case 0:
                    _driver.Sandbox.Faults.Set([.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => Fault())]);
                    break;
                case 1:
                    _driver.Sandbox.Faults.Clear();
                    break;
                case 2:
                    _driver.Store.DieAfter(_random.Next(1, 25), _random.Next(2) == 0);
                    break;
                case 3:
                    Tell("every waiting message is lost");
                    _driver.Queue.LoseAll();
                    break;
                case 4:
                    Jump();
                    break;
                case 5:
                    await GuardedAsync(_driver.SweepAsync);
                    break;
                case 6:
                    await GuardedAsync(async () =>
                    {
                        for (var i = _random.Next(1, 6); i > 0 && await _driver.HandleNextAsync(); i--)
                        {
                        }
                    });
                    break;
                default:
                    await DeliverAsync(_random.Next(Math.Min(_deliveries.Count, 6)));
                    break;
            }
        }
    }

    /// <summary>The noise is over: what is on its way arrives, people do what cases ask of them, until nothing moves.</summary>
    public async Task ConvergeAsync()
    {
        _driver.Sandbox.Faults.Clear();
        await ArrivedAsync();
        _driver.CrashAndRestart();
        for (var round = 0; round < 60; round++)
        {
            _driver.Time.Advance(TimeSpan.FromMinutes(round < 10 ? 5 : 60 * 6));
            await _driver.SweepAsync();
            await _driver.SettleAsync();
            if (!await OperateAsync() && round > 20)
            {
                return;
            }
        }

        var restless = (await _driver.AllCasesAsync()).Where(c => c.IsOpen || c.NeedsAttention)
            .Select(c => $"{c.EmployeeId} {c.State} superseded {c.Superseded} undo {c.Undo?.Steps.Count} {string.Join(' ', c.Notes)} / {string.Join("; ", c.Steps.Select(s => $"{s.Id} {s.Outcome} {s.ReadBack} {s.Detail}"))}");
        Assert.Fail($"It does not come to rest: {string.Join('\n', restless)}");
    }

    /// <summary>
    /// Calls that were slower than their callers' patience have come to their end. Here hours pass in moments: a remote that carried one out
    /// after the hours would do what no remote does.
    /// </summary>
    private async Task ArrivedAsync()
    {
        foreach (var call in _driver.Sandbox.Journal.Entries.Where(static call => call.Status is null))
        {
            await _driver.Sandbox.Journal.WaitForAsync(entry => entry.Number == call.Number && entry.Status is not null, Cancellation).WaitAsync(DingFlowProcess.Patience, Cancellation);
        }
    }

    public async Task JudgeAsync()
    {
        var all = await _driver.AllCasesAsync();
        States = [.. all.Select(c => $"{c.State}{(c.MergedInto is null ? "" : " (merged)")}{(c.Quarantine is null ? "" : " (held before)")}")];
        FaultsMet = _driver.Sandbox.Journal.Entries.Count(e => e.Fault is not null);
        foreach (var person in _people)
        {
            var now = _driver.Sandbox.Directory[person.EmployeeId];

            // DingTalk lists no sessions: a sign-out that it confirmed and did not do cannot be found out.
            var wasLiedTo = _driver.Sandbox.Journal.Entries.Any(e => e.EmployeeId == person.EmployeeId && e is { Operation: SandboxOperations.SignOut, Fault: SandboxFaultKind.DoNothing });
            var isFrozen = now.Entra is { AccountEnabled: false, Sessions: 0 } && (now.DingTalk!.Disabled && (now.DingTalk.Sessions == 0 || wasLiedTo) || !now.DingTalk.Member);
            var isAlive = now is { Entra.AccountEnabled: true, DingTalk: { Disabled: false, Member: true } };
            var cases = (await _driver.CasesAsync(person.EmployeeId)).ToList();
            Assert.True(
                person.MustBeFrozen ? isFrozen : isAlive,
                $"{person.EmployeeId} must be {(person.MustBeFrozen ? "frozen" : "alive")}: disabled {now.DingTalk?.Disabled} member {now.DingTalk?.Member} enabled {now.Entra?.AccountEnabled}; "
                + string.Join("; ", cases.Select(c => $"{c.CaseId} {c.State} superseded {c.Superseded} {string.Join(' ', c.Notes)} {string.Join(", ", c.Signals.Select(s => $"{s.DeliveryId} {s.Kind} {s.OccurredAt:HH:mm} {s.ReceivedAt:dd HH:mm}"))}")));
            Assert.True(
                person.MustBeFrozen ? cases.Any(c => c is { State: CaseState.Verified, Superseded: false }) : cases.All(c => c.State is CaseState.Cancelled or CaseState.Reactivated),
                $"{person.EmployeeId}: {string.Join(", ", cases.Select(c => $"{c.State} {string.Join(' ', c.Notes)}"))}");
            foreach (var c in cases)
            {
                Assert.Equal(c.Signals.Count, c.Signals.DistinctBy(s => (s.DeliveryId, s.Item)).Count());
                Assert.True(c is not { State: CaseState.Verified, Superseded: false } || (isFrozen && c.Steps.All(s => s.Outcome == StepOutcome.Skipped || s.IsProved)), $"{person.EmployeeId}: a case claims what is not");
            }

            // Nobody is asked to give back what somebody who has left again must not have.
            Assert.True(!person.MustBeFrozen || !cases.Any(c => c is { NeedsAttention: true, Superseded: true }), $"{person.EmployeeId}: a case asks for the accounts of a leaver");

            // What cannot be undone is done once at most; nobody who was never a leaver is touched.
            Assert.True(now.Mutations.GetValueOrDefault(SandboxOperations.UserDelete) <= 1, $"{person.EmployeeId} was removed more than once");
        }

        Assert.DoesNotContain(all, c => c.IsOpen);
        Assert.All(_driver.Sandbox.Directory.People.Where(p => _people.TrueForAll(q => q.EmployeeId != p.EmployeeId)), p => Assert.Empty(p.Mutations));
    }

    /// <summary>Operators do what cases wait for. <see langword="false"/>: there was nothing to do.</summary>
    private async Task<bool> OperateAsync()
    {
        var did = false;
        var cases = _driver.Get<CaseStore>();
        foreach (var c in (await _driver.AllCasesAsync()).Where(c => c.MergedInto is null))
        {
            var stored = await cases.FindAsync(c.CaseId, Cancellation);
            var now = _driver.Time.GetUtcNow();
            if (c.State == CaseState.Quarantined)
            {
                await _driver.Get<QuarantineRelease>().ConsentAsync(stored!, new(now, "key:one", false, "they did leave"), Cancellation);
                stored = await cases.FindAsync(c.CaseId, Cancellation);
                await _driver.Get<QuarantineRelease>().ConsentAsync(stored!, new(now, "key:two", true, "they did leave"), Cancellation);
                did = true;
            }
            else if (c is { NeedsAttention: true, Superseded: true, IsRestoring: false } && CaseRestorer.Begin(c, "key:one", "they stay", now) is not null
                && await _driver.Get<CaseRestorer>().SuccessorAsync(c, Cancellation) is null)
            {
                await _driver.Get<CaseRuns>().ScheduleAsync(stored!, now, "reactivation", k => CaseRestorer.Begin(k, "key:one", "they stay", now) ?? k, Cancellation);
                did = true;
            }
            else if (c.NeedsAttention && (!c.Superseded || c.IsRestoring))
            {
                await _driver.Get<CaseRuns>().ScheduleAsync(stored!, now, "retry", CaseConclusion.TakenUp, Cancellation);
                did = true;
            }

            await _driver.SettleAsync();
        }

        return did || (await _driver.AllCasesAsync()).Any(c => c.IsOpen);
    }

    /// <summary>Facts of people: leaves, moved dates, leaves called off, returns, leaves again.</summary>
    private void Invent()
    {
        foreach (var number in Enumerable.Range(1001, 23).Where(n => n != 1018).OrderBy(_ => _random.Next()).Take(_random.Next(12, 25)))
        {
            var person = new Person($"E{number}", number > 1020);
            var facts = _random.Next(1, person.IsOrdinary ? 3 : 5);
            var leaves = false;
            for (var i = 0; i < facts; i++)
            {
                var at = OffboardingDriver.Start.AddDays(-1).AddMinutes((i * 10) + _random.Next(10));
                var kind = person.IsOrdinary || !leaves || _random.Next(3) == 0
                    ? PersonEventKind.Terminated
                    : _random.Next(2) == 0 ? PersonEventKind.TerminationCancelled : PersonEventKind.Rehired;
                leaves = kind == PersonEventKind.Terminated;
                var fact = leaves
                    ? Leaver.Terminated(person.EmployeeId) with { OccurredAt = at }
                    : Leaver.Of(kind, person.EmployeeId, at);
                if (leaves && _random.Next(3) == 0)
                {
                    fact = fact with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddHours(_random.Next(1, 72)) };
                }

                if (_random.Next(3) == 0)
                {
                    fact = fact with { DingTalkUserId = null };
                }

                for (var copies = _random.Next(1, 4); copies > 0; copies--)
                {
                    _deliveries.Add(new($"{person.EmployeeId}-{i}", fact));
                }
            }

            person.MustBeFrozen = leaves;
            _people.Add(person);
        }

        // Nearby deliveries overtake one another, now and then by far.
        var order = _deliveries.Select((d, i) => (d, Place: i + _random.Next(_random.Next(5) == 0 ? 40 : 6))).OrderBy(p => p.Place).Select(p => p.d).ToList();
        _deliveries.Clear();
        _deliveries.AddRange(order);
    }

    private async Task DeliverAsync(int index)
    {
        var delivery = _deliveries[index];
        Tell($"{delivery.Id} {delivery.Fact.Kind} of {delivery.Fact.OccurredAt:HH:mm}{(delivery.Fact.Immediate ? "" : $" for {delivery.Fact.EffectiveAt:dd HH:mm}")}");
        if (!_receivedAt.TryGetValue(delivery.Id, out var receivedAt))
        {
            _receivedAt.Add(delivery.Id, receivedAt = _driver.Time.GetUtcNow());
        }

        var wait = (TimeSpan?)TimeSpan.Zero;
        if (await GuardedAsync(async () => wait = await _driver.HandleAsync(delivery.Fact, delivery.Id, receivedAt)) && wait is null)
        {
            _deliveries.RemoveAt(index);
        }
        else if (wait is not null)
        {
            // The inbox keeps it and hands it over again; the systems must be reachable for it one day.
            _driver.Sandbox.Faults.Clear();
            _driver.CrashAndRestart();
        }
    }

    private SandboxFault Fault()
    {
        var fault = new SandboxFault { Kind = Faults[_random.Next(Faults.Length)], Count = _random.Next(1, 8), Skip = _random.Next(4), Bytes = 5 * 1024 * 1024 };
        fault = fault.Kind switch
        {
            // Slow, or slower than anybody waits for.
            SandboxFaultKind.Latency => fault with { Delay = TimeSpan.FromSeconds(_random.Next(1, 15)), Count = 1 },
            SandboxFaultKind.Hang => fault with { Count = _random.Next(1, 3) },
            SandboxFaultKind.Answer => Answers[_random.Next(Answers.Length)] is var (status, body, contentType) ? fault with { Status = status, Body = body, ContentType = contentType } : fault,
            _ => fault,
        };
        fault = _random.Next(2) == 0 ? fault with { System = _random.Next(2) == 0 ? SandboxSystem.DingTalk : SandboxSystem.Graph } : fault;
        Tell($"fault {fault.Kind} {fault.System} {fault.Count}");
        return fault;
    }

    private void Jump()
    {
        var jump = _random.Next(6) switch
        {
            0 => TimeSpan.FromHours(_random.Next(1, 30)), 1 => -TimeSpan.FromMinutes(_random.Next(1, 30)), _ => TimeSpan.FromSeconds(_random.Next(1, 900)),
        };
        Tell($"the clock jumps by {jump}");
        if (jump > TimeSpan.Zero)
        {
            _driver.Time.Advance(jump);
        }
        else
        {
            _driver.Time.AdjustTime(_driver.Time.GetUtcNow() + jump);
        }
    }

    /// <summary>Does something during which the process may die; then it starts again.</summary>
    private async Task<bool> GuardedAsync(Func<Task> work)
    {
        try
        {
            await work();
            if (!_driver.Store.Dead)
            {
                return true;
            }
        }
        catch (EntityStoreException)
        {
            // It died.
        }

        Tell("the process dies and starts again");
        Crashes++;
        _driver.CrashAndRestart();
        return false;
    }

    private void Tell(string what) => _story.Add($"{_driver.Time.GetUtcNow():dd HH:mm:ss} {what}");

    private sealed class Person(string employeeId, bool isOrdinary)
    {
        public string EmployeeId { get; } = employeeId;

        public bool IsOrdinary { get; } = isOrdinary;

        public bool MustBeFrozen { get; set; }
    }

    private sealed record Delivery(string Id, PersonEvent Fact);
}

/// <summary>The system's clock, some times faster: the waits of clients pass quickly, and in their order.</summary>
internal sealed class HurriedTime(int times) : TimeProvider
{
    private readonly DateTimeOffset _start = System.GetUtcNow();

    public override DateTimeOffset GetUtcNow() => _start + ((System.GetUtcNow() - _start) * times);

    public override long GetTimestamp() => System.GetTimestamp() * times;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, Scaled(dueTime), Scaled(period));

    private TimeSpan Scaled(TimeSpan time) => time <= TimeSpan.Zero ? time : TimeSpan.FromTicks(Math.Max(time.Ticks / times, TimeSpan.TicksPerMillisecond));
}
