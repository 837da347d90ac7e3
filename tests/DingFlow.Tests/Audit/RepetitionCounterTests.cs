using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>However many refusals or reads alike there are, the trail tells exactly how many.</summary>
public sealed class RepetitionCounterTests
{
    private static readonly Repeated s_refused = new(RequestAudit.SignInRefused, new("route", "ListAlerts"), AuditActor.Unknown, "401");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_at_once_are_counted_exactly_and_become_one_entry()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        using var counter = Counter(driver, trail);
        await Task.WhenAll(Enumerable.Range(0, 500).Select(i => Task.Run(() => counter.CountAsync(i % 5 == 0 ? s_refused with { Status = "403" } : s_refused))));
        await counter.ConcludeAsync(all: false, Cancellation);
        Assert.Empty(await RepeatedAsync(driver));

        driver.Time.Advance(TimeSpan.FromMinutes(1));
        await counter.ConcludeAsync(all: false, Cancellation);
        await counter.ConcludeAsync(all: false, Cancellation);
        await trail.DrainAsync(Cancellation);
        Assert.Equal([("401", "400"), ("403", "100")], await RepeatedAsync(driver));
    }

    [Fact]
    public async Task What_a_killed_process_had_counted_is_told_by_the_next_one()
    {
        await using var driver = new TrailDriver();
        using (var killed = Counter(driver, driver.Open()))
        {
            for (var i = 0; i < 37; i++)
            {
                await killed.CountAsync(s_refused);
            }
        }

        var trail = driver.Open();
        using var next = Counter(driver, trail);
        await next.CountAsync(s_refused);
        await next.ConcludeAsync(all: false, Cancellation);
        await next.ConcludeAsync(all: true, Cancellation);
        await trail.DrainAsync(Cancellation);
        Assert.Equal([("401", "37"), ("401", "1")], await RepeatedAsync(driver));
    }

    [Fact]
    public async Task What_another_instance_counts_is_its_own_until_it_is_gone()
    {
        await using var driver = new TrailDriver();
        using var gone = Counter(driver, driver.Open("gone"), "gone");
        await gone.CountAsync(s_refused);
        var trail = driver.Open();
        using var other = Counter(driver, trail);
        await other.ConcludeAsync(all: true, Cancellation);
        await trail.DrainAsync(Cancellation);
        Assert.Empty(await RepeatedAsync(driver));

        driver.Time.Advance(TimeSpan.FromMinutes(10));
        await other.ConcludeAsync(all: true, Cancellation);
        await gone.ConcludeAsync(all: true, Cancellation);
        await trail.DrainAsync(Cancellation);
        Assert.Equal([("401", "1")], await RepeatedAsync(driver));
        Assert.Empty(await driver.ReadAsync("gone"));
    }

    [Fact]
    public async Task A_store_that_fails_for_a_while_loses_no_count()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        using var counter = new RepetitionCounter(driver.Store, trail, new(), driver.Time);
        await counter.CountAsync(s_refused);
        driver.Store.DieAfter(0, loseAnswer: false);
        await Assert.ThrowsAsync<EntityStoreException>(() => counter.CountAsync(s_refused));
        driver.Store.Heal();
        await counter.CountAsync(s_refused);
        await counter.ConcludeAsync(all: true, Cancellation);
        await trail.DrainAsync(Cancellation);
        Assert.Equal([("401", "3")], await RepeatedAsync(driver));
    }

    [Fact]
    public async Task Reads_alike_are_counted_as_what_they_are()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        using var counter = Counter(driver, trail);
        var kind = new AuditKind("tests.read", AuditRetention.Legal, "Somebody read something in a test.");
        await counter.CountAsync(new(kind, new("case", "c-1"), AuditActor.Principal("key:ops"), "200") { CaseId = "c-1", Subject = "pseudonym" });
        await counter.CountAsync(new(kind, new("case", "c-2"), AuditActor.Principal("key:ops"), "200"));
        await counter.ConcludeAsync(all: true, Cancellation);
        await trail.DrainAsync(Cancellation);

        var entries = (await driver.ReadAsync()).OrderBy(static entry => entry.Read()!.On!.Id, StringComparer.Ordinal).ToList();
        Assert.Equal(2, entries.Count);
        Assert.Equal(("tests.read", AuditRetention.Legal), (entries[0].Kind, entries[0].Retention));
        var read = entries[0].Read()!;
        Assert.Equal(("c-1", "pseudonym", AuditOutcome.Succeeded, "key:ops", "ops"), (read.CaseId, read.Subject, read.Outcome, read.Actor.Id, read.Actor.Key));
    }

    private static RepetitionCounter Counter(TrailDriver driver, AuditTrail trail, string writer = "main") =>
        new(driver.Real, trail, new() { Writer = writer }, driver.Time);

    private static async Task<IEnumerable<(string Status, string Repeated)>> RepeatedAsync(TrailDriver driver) =>
        (await driver.ReadAsync()).Select(static entry => entry.Read()!.Details!).Select(static details => (details["status"], details["repeated"]))
        .OrderByDescending(static one => int.Parse(one.Item2, System.Globalization.CultureInfo.InvariantCulture));
}
