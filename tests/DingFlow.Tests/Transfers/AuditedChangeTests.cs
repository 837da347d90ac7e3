using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>A change of the ledger is never made without an entry before it, and never said to be made unless it is.</summary>
public sealed class AuditedChangeTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Wherever_the_process_dies_no_change_is_without_an_entry_and_none_is_claimed(bool ledgerDies, bool loseAnswer)
    {
        var died = 0;
        for (var operations = 0; ; operations++)
        {
            await using var driver = new TrailDriver();
            using var files = new DataDirectory();
            using var database = new SqliteDatabase(files.Path);
            var ledger = new FaultyStore(new SqliteEntityStore(database, driver.Time));
            var trail = driver.Open();
            (ledgerDies ? ledger : driver.Store).DieAfter(operations, loseAnswer);
            var answered = false;
            try
            {
                answered = await AuditedChange.RunAsync(trail, [Event()], async _ => (await ledger.SubmitAsync(TrailDriver.Change("balance"), Cancellation)).Committed, Cancellation);
            }
            catch (EntityStoreException)
            {
                died++;
            }

            driver.Store.Heal();
            ledger.Heal();
            driver.Time.Advance(TimeSpan.FromMinutes(2));
            await driver.Open(store: driver.Real).SweepAsync(Cancellation);
            var isChanged = await ledger.GetAsync("States", "p", "balance", Cancellation) is not null;
            var entries = (await driver.ReadAsync()).Select(static entry => (entry.Kind, entry.Read()!.Outcome)).ToList();

            Assert.True(!isChanged || entries.Contains((TransferAudit.ChangeBegun.Name, AuditOutcome.Succeeded)), $"{operations}: changed without an entry");
            Assert.True(isChanged || !entries.Contains((TransferAudit.OpeningBalanceSet.Name, AuditOutcome.Succeeded)), $"{operations}: claimed and not done");
            Assert.True(!answered || (isChanged && entries.Contains((TransferAudit.OpeningBalanceSet.Name, AuditOutcome.Succeeded))), $"{operations}: answered without both");
            if (answered)
            {
                break;
            }
        }

        Assert.True(died > 0);
    }

    [Fact]
    public async Task What_the_ledger_refuses_is_said_to_be_refused_with_what_was_done_before()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open(store: driver.Real);
        await Assert.ThrowsAsync<LedgerRefusalException>(() => AuditedChange.RunAsync<bool>(
            trail, [Event()],
            static details =>
            {
                details["erased"] = "acme-zhuhai";
                throw new LedgerRefusalException(LedgerRefusal.WithinRetention);
            },
            Cancellation));

        var entries = await driver.ReadAsync();
        Assert.Equal([TransferAudit.ChangeBegun.Name, TransferAudit.OpeningBalanceSet.Name], entries.Select(static entry => entry.Kind));
        var (begun, ended) = (entries[0].Read()!, entries[1].Read()!);
        Assert.Equal((TransferAudit.OpeningBalanceSet.Name, "12"), (begun.Details!["kind"], begun.Details["count"]));
        Assert.Equal((AuditOutcome.Refused, "WithinRetention", "acme-zhuhai", "12"), (ended.Outcome, ended.Details!["cause"], ended.Details["erased"], ended.Details["count"]));
    }

    private static AuditEvent Event() => TrailDriver.Event("set", TransferAudit.OpeningBalanceSet) with { Details = new Dictionary<string, string> { ["count"] = "12" } };
}
