using DingFlow.Messaging;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Storage;
using DingFlow.Tests.Audit;

namespace DingFlow.Tests.Offboarding;

/// <summary>A roster is in force exactly if the audit trail says so.</summary>
public sealed class RosterTests
{
    internal static AuditEvent Put { get; } = new()
    {
        Kind = ReconciliationAudit.RosterPut, Actor = AuditActor.Principal("key:hr"), Payload = PayloadHash.None, On = new("source", "hr/acme"),
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_a_roster_in_force_has_its_entry_and_no_other_has_one(bool loseAnswer)
    {
        var (done, died) = (0, 0);
        for (var operations = 0; done == 0; operations++)
        {
            await using var driver = new TrailDriver();
            var first = new RosterStore(driver.Real, driver.Open(store: driver.Real), driver.Time);
            Assert.Equal(RosterOutcome.InForce, await HandInAsync(first, 2, "first"));
            driver.Store.DieAfter(operations, loseAnswer);
            try
            {
                await HandInAsync(new(driver.Store, driver.Open("second"), driver.Time), 3, "second");
            }
            catch (EntityStoreException)
            {
                died++;
            }

            done += driver.Store.Dead ? 0 : 1;
            driver.Store.Heal();
            driver.Time.Advance(TimeSpan.FromMinutes(2));
            await driver.Open("second", driver.Real).SweepAsync(Cancellation);
            var isInForce = (await first.FindAsync("hr/acme", Cancellation))!.People == 3;
            Assert.Equal((operations, isInForce ? 1 : 0), (operations, (await driver.ReasonsAsync("second")).Count(static reason => reason == "second")));
        }

        Assert.True(died > 3, "the process died before, within and after the change");
    }

    [Fact]
    public async Task A_roster_that_is_not_put_in_force_leaves_no_entry_that_it_is()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open(store: driver.Real);
        var rosters = new RosterStore(driver.Real, trail, driver.Time);
        var (slow, quick) = (await rosters.BeginAsync("hr/acme", "key:hr", Cancellation), await rosters.BeginAsync("hr/acme", "key:hr", Cancellation));
        Assert.Equal(RosterOutcome.InForce, await rosters.CommitAsync(quick, 100, Put with { Reason = "quick" }, Cancellation));
        Assert.Equal(RosterOutcome.Overtaken, await rosters.CommitAsync(slow, 100, Put with { Reason = "slow" }, Cancellation));
        await trail.DrainAsync(Cancellation);
        Assert.Equal(["quick"], await driver.ReasonsAsync());
        Assert.Single(await rosters.ListAsync(Cancellation));
    }

    private static async Task<RosterOutcome> HandInAsync(RosterStore rosters, int people, string reason)
    {
        var draft = await rosters.BeginAsync("hr/acme", "key:hr", Cancellation);
        for (var i = 0; i < people; i++)
        {
            await rosters.AddAsync(draft, new($"E{i}", null, null, null), Cancellation);
        }

        return await rosters.CommitAsync(draft, 100, Put with { Reason = reason }, Cancellation);
    }
}
