using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// One history with everything that a shard does (tails, segments, levels that go into one another, a purge), and a fault at every single call
/// of the store in turn.
/// </summary>
public sealed class LedgerCrashTests
{
    private const string Exporter = LedgerScenario.Exporter;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData((int)StoreFault.DieBefore)]
    [InlineData((int)StoreFault.DieAfter)]
    [InlineData((int)StoreFault.LoseAnswer)]
    [InlineData((int)StoreFault.FalseRefusal)]
    [InlineData((int)StoreFault.Unavailable)]
    public async Task A_fault_at_every_call_in_turn_changes_no_count(int fault)
    {
        var calls = await RunAsync(0, StoreFault.None);
        Assert.InRange(calls, 150, 1000);
        for (var at = 1; at <= calls; at++)
        {
            await RunAsync(at, (StoreFault)fault);
        }
    }

    /// <summary>Runs the history with a fault at one call, checks the counts, and says how many calls there were.</summary>
    private static async Task<int> RunAsync(int at, StoreFault fault)
    {
        var (inner, clock, model) = (new LedgerMemoryStore(), LedgerScenario.Clock(), new LedgerModel(LedgerScenario.Predicates));
        var store = new LedgerFaultyStore(inner, call => call == at ? fault : StoreFault.None);
        var ledger = LedgerScenario.Ledger(store, time: clock);
        foreach (var step in Steps(clock, model))
        {
            for (var attempt = 0; ; attempt++)
            {
                try
                {
                    await step(ledger);
                    break;
                }
                catch (Exception exception) when (attempt < 5 && exception is ProcessDiedException or EntityStoreException)
                {
                    if (exception is ProcessDiedException)
                    {
                        ledger = LedgerScenario.Ledger(inner, time: clock);
                    }
                }
            }
        }

        await using var fresh = LedgerScenario.Ledger(inner, time: clock);
        await model.AssertAgreesAsync(fresh, Exporter, Token);
        Assert.False(inner.Holds(LedgerScenario.Subject(4)));
        return store.Calls;
    }

    private static IEnumerable<Func<SubjectLedger, Task>> Steps(FakeTimeProvider clock, LedgerModel model)
    {
        // Few in one shard, so that a tail is met again; many, so that levels fill.
        for (var batch = 0; batch < 14; batch++)
        {
            var records = Enumerable.Range(batch * 3, batch % 2 == 0 ? 2 : 9)
                .Select(subject => LedgerScenario.Record(subject, facts: LedgerScenario.Fact(dataClass: subject % 3 == 0 ? DataClass.Finance : DataClass.General)))
                .ToList();
            var id = $"b-{batch}";
            model.Append(id, records);
            yield return async ledger =>
            {
                await ledger.AppendAsync(LedgerScenario.Batch(id, records), Token);
                await ledger.MergeAsync(Exporter, Token);
            };
        }

        model.Void("b-5");
        yield return ledger => ledger.VoidBatchAsync(Exporter, "b-5", Token);
        model.Union(LedgerScenario.Subject(1), LedgerScenario.Subject(2));
        yield return ledger => ledger.UnionAsync(Exporter, LedgerScenario.Subject(1), LedgerScenario.Subject(2), Token);

        // Past its retention a subject goes, and the shard is written as a whole.
        clock.Advance(TimeSpan.FromDays(3 * 366));
        model.Erase(LedgerScenario.Subject(4));
        yield return ledger => ledger.EraseSubjectAsync(Exporter, LedgerScenario.Subject(4), Token);
        var last = Enumerable.Range(60, 6).Select(subject => LedgerScenario.Record(subject)).ToList();
        model.Append("last", last);
        yield return ledger => ledger.AppendAsync(LedgerScenario.Batch("last", last), Token);
        yield return ledger => model.AssertAgreesAsync(ledger, Exporter, Token);
    }
}
