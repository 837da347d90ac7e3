using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>A change of the ledger is never made without an entry before it, and at rest never without one of what came of it.</summary>
public sealed class AuditedChangeTests
{
    private static readonly LedgerQuestion Question = new("tests.balance", ["balance"]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Wherever_the_process_dies_what_was_begun_is_settled_as_it_really_is(bool ledgerDies, bool loseAnswer)
    {
        var (died, settled) = (0, 0);
        for (var operations = 0; ; operations++)
        {
            await using var driver = new TrailDriver();
            using var files = new DataDirectory();
            using var database = new SqliteDatabase(files.Path);
            var ledger = new FaultyStore(new SqliteEntityStore(database, driver.Time));
            var journal = TestJournal.Over(driver.Store, driver.Open(), driver.Time);
            (ledgerDies ? ledger : driver.Store).DieAfter(operations, loseAnswer);
            var answered = false;
            try
            {
                answered = await AuditedChange.RunAsync(
                    journal, Question, [Event()], async _ => (await ledger.SubmitAsync(TrailDriver.Change("balance"), Cancellation)).Committed, Cancellation);
            }
            catch (EntityStoreException)
            {
                died++;
            }

            driver.Store.Heal();
            ledger.Heal();
            driver.Time.Advance(TimeSpan.FromMinutes(4));
            var next = driver.Open(store: driver.Real);
            await next.SweepAsync(Cancellation);
            settled += await TestJournal.Over(driver.Real, next, driver.Time, new BalanceSettler(ledger)).SettleAsync(Cancellation);
            await next.DrainAsync(Cancellation);
            var isChanged = await ledger.GetAsync("States", "p", "balance", Cancellation) is not null;
            var entries = await driver.ReadAsync();
            var begun = entries.Count(static entry => entry.Kind == TransferAudit.ChangeBegun.Name);
            var ended = entries.Where(static entry => entry.Kind == TransferAudit.OpeningBalanceSet.Name).Select(static entry => entry.Read()!).ToList();

            Assert.Equal(begun, ended.Count);
            Assert.Equal((isChanged ? 1 : 0, operations), (ended.Count(static one => one.Outcome == AuditOutcome.Succeeded), operations));
            Assert.True(!answered || isChanged, $"{operations}: answered and not done");
            if (answered)
            {
                Assert.DoesNotContain("settled", ended[0].Details!.Keys);
                break;
            }
        }

        Assert.True(died > 0);
        Assert.True(settled > 0);
    }

    [Fact]
    public async Task What_the_ledger_refuses_is_said_to_be_refused_with_what_was_done_before()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open(store: driver.Real);
        await Assert.ThrowsAsync<LedgerRefusalException>(() => AuditedChange.RunAsync<bool>(
            TestJournal.Over(driver.Real, trail, driver.Time), Question, [Event()],
            static details =>
            {
                details["erased"] = "acme-zhuhai";
                throw new LedgerRefusalException(LedgerRefusal.WithinRetention);
            },
            Cancellation));
        await trail.DrainAsync(Cancellation);

        var entries = await driver.ReadAsync();
        Assert.Equal([TransferAudit.ChangeBegun.Name, TransferAudit.OpeningBalanceSet.Name], entries.Select(static entry => entry.Kind));
        var (begun, ended) = (entries[0].Read()!, entries[1].Read()!);
        Assert.Equal((TransferAudit.OpeningBalanceSet.Name, "12"), (begun.Details!["kind"], begun.Details["count"]));
        Assert.Equal((AuditOutcome.Refused, "WithinRetention", "acme-zhuhai", "12"), (ended.Outcome, ended.Details!["cause"], ended.Details["erased"], ended.Details["count"]));
        Assert.Equal(begun.Details["change"], ended.Details["change"]);
    }

    private static AuditEvent Event() => TrailDriver.Event("set", TransferAudit.OpeningBalanceSet) with { Details = new Dictionary<string, string> { ["count"] = "12" } };

    private sealed class BalanceSettler(IEntityStore ledger) : IChangeSettler
    {
        public bool Knows(string question) => question == Question.Name;

        public async Task<ChangeSettlement?> SettleAsync(string question, IReadOnlyList<string> arguments, DateTimeOffset begunAt, CancellationToken cancellationToken) =>
            new(await ledger.GetAsync("States", "p", arguments[0], cancellationToken) is null ? AuditOutcome.Failed : AuditOutcome.Succeeded, new Dictionary<string, string>());
    }
}
