using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Offboarding;

namespace DingFlow.Tests.Audit;

/// <summary>Changes of other stores are settled once, and only when nobody is at them any more.</summary>
public sealed class ChangeJournalTests
{
    private static readonly AuditKind Begun = new("tests.change_begun", AuditRetention.Legal, "A test is about to change something.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_change_of_a_living_instance_is_not_settled_however_long_it_takes()
    {
        await using var driver = new TrailDriver();
        var (one, two) = (Journal(driver, "one"), Journal(driver, "two"));
        await using var change = await one.BeginAsync(Change("long"), Cancellation);
        for (var minute = 0; minute < 20; minute++)
        {
            driver.Time.Advance(TimeSpan.FromMinutes(1));
            await change.HoldAsync(null, Cancellation);
            Assert.Equal(0, await two.SettleAsync(Cancellation));
        }

        await change.EndAsync(AuditOutcome.Succeeded, []);
        Assert.Equal(["begun", "Succeeded"], await StoryAsync(driver, "one"));
        Assert.Empty(await StoryAsync(driver, "two"));
    }

    [Fact]
    public async Task The_change_of_an_instance_that_ended_is_settled_once_by_many_others()
    {
        await using var driver = new TrailDriver();
        var change = await Journal(driver, "one").BeginAsync(Change("left"), Cancellation);
        await change.DisposeAsync();
        Assert.Equal(0, await Journal(driver, "two").SettleAsync(Cancellation));

        driver.Time.Advance(TimeSpan.FromMinutes(4));
        var settled = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => Journal(driver, $"other-{i}").SettleAsync(Cancellation))));

        Assert.Equal(1, settled.Sum());
        Assert.Equal(["begun"], await StoryAsync(driver, "one"));
        Assert.Equal(["Succeeded interrupted"], (await Task.WhenAll(Enumerable.Range(0, 8).Select(i => StoryAsync(driver, $"other-{i}")))).SelectMany(static story => story));
    }

    [Fact]
    public async Task An_instance_that_only_slept_finds_its_change_settled_and_begins_it_anew()
    {
        await using var driver = new TrailDriver();
        await using var change = await Journal(driver, "one").BeginAsync(Change("slept"), Cancellation);
        var (sleeper, other) = (driver.Store, Journal(driver, "two"));
        sleeper.DieAfter(0, loseAnswer: false);
        driver.Time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(1, await other.SettleAsync(Cancellation));

        sleeper.Heal();
        await change.HoldAsync(["slept", "more"], Cancellation);
        Assert.Equal(0, await other.SettleAsync(Cancellation));
        await change.EndAsync(AuditOutcome.Succeeded, []);

        Assert.Equal(["Succeeded interrupted"], await StoryAsync(driver, "two"));
        Assert.Equal(["Succeeded", "begun", "begun resumed"], (await StoryAsync(driver, "one")).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_instance_that_slept_until_its_end_tells_what_came_of_it_all_the_same()
    {
        foreach (var sleep in (TimeSpan[])[TimeSpan.FromMinutes(10), TimeSpan.FromDays(3)])
        {
            await using var driver = new TrailDriver();
            await using var change = await Journal(driver, "one").BeginAsync(Change("slept"), Cancellation);
            var other = Journal(driver, "two");
            driver.Store.DieAfter(0, loseAnswer: false);
            driver.Time.Advance(sleep / 2);
            await other.SettleAsync(Cancellation);
            driver.Time.Advance(sleep / 2);
            await other.SettleAsync(Cancellation);

            driver.Store.Heal();
            await change.EndAsync(AuditOutcome.Succeeded, []);
            Assert.Equal(["Succeeded", "begun", "begun resumed"], (await StoryAsync(driver, "one")).Order(StringComparer.Ordinal));
            Assert.Equal(["Succeeded interrupted"], await StoryAsync(driver, "two"));
        }
    }

    /// <summary>A lock keeps other processes from the store, so what another one began is nobody's, whatever its lease says.</summary>
    [Fact]
    public async Task In_a_store_of_one_process_what_the_one_before_left_behind_is_settled_at_once()
    {
        await using var driver = new TrailDriver();
        var before = TestJournal.Over(driver.Real, driver.Open("one", driver.Real), driver.Time);
        Assert.True(driver.Real.IsExclusive);
        await (await before.BeginAsync(Change("left"), Cancellation)).DisposeAsync();

        Assert.Equal(0, await before.SettleAsync(Cancellation));
        var trail = driver.Open("two", driver.Real);
        Assert.Equal(1, await TestJournal.Over(driver.Real, trail, driver.Time, new Always()).SettleAsync(Cancellation));
    }

    [Fact]
    public async Task A_change_that_nobody_can_settle_now_stays_and_keeps_no_other_from_it()
    {
        await using var driver = new TrailDriver();
        var journal = Journal(driver, "one");
        await driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(new Entity(OpenChange.Partition, "0-damaged") { Properties = { ["Owner"] = "x" } })), Cancellation);
        await (await journal.BeginAsync(Change("unknown") with { Question = "tests.nobody_knows" }, Cancellation)).DisposeAsync();
        await (await journal.BeginAsync(Change("later"), Cancellation)).DisposeAsync();
        await (await journal.BeginAsync(Change("fine"), Cancellation)).DisposeAsync();
        driver.Time.Advance(TimeSpan.FromMinutes(4));

        Assert.Equal(1, await Journal(driver, "two").SettleAsync(Cancellation));
        Assert.Equal(["Succeeded interrupted"], await StoryAsync(driver, "two"));
        Assert.Equal(4, (await driver.Real.QueryAsync(AuditRows.TrailTable, OpenChange.Partition, AuditOutbox.RowsBefore(), 100, null, Cancellation)).Entities.Count);
    }

    /// <summary>The row of a settled change is there for an owner that slept, and not for ever.</summary>
    [Fact]
    public async Task The_row_of_a_settled_change_goes_after_a_day()
    {
        await using var driver = new TrailDriver();
        var journal = Journal(driver, "one");
        await (await journal.BeginAsync(Change("left"), Cancellation)).DisposeAsync();
        driver.Time.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal(1, await journal.SettleAsync(Cancellation));
        Assert.Equal(0, await journal.SettleAsync(Cancellation));
        driver.Time.Advance(TimeSpan.FromDays(2));
        Assert.Equal(0, await journal.SettleAsync(Cancellation));

        Assert.Empty((await driver.Real.QueryAsync(AuditRows.TrailTable, OpenChange.Partition, AuditOutbox.RowsBefore(), 100, null, Cancellation)).Entities);
        Assert.Equal(["begun", "Succeeded interrupted"], await StoryAsync(driver, "one"));
    }

    [Fact]
    public async Task What_an_entry_says_is_what_was_intended_and_what_came_of_it()
    {
        await using var driver = new TrailDriver();
        await using (var change = await Journal(driver, "one").BeginAsync(Change("said"), Cancellation))
        {
            await change.EndAsync(AuditOutcome.Succeeded, [new("found", "3")], PayloadHash.Of("body"));
        }

        await StoryAsync(driver, "one");
        var entries = await driver.ReadAsync("one");
        var (begun, ended) = (entries[0].Read()!, entries[1].Read()!);
        Assert.Equal((AuditRetention.Legal, AuditRetention.Operational), (entries[0].Retention, entries[1].Retention));
        Assert.Equal((TrailDriver.Kind.Name, "key:ops", "said", PayloadHash.Of("said").Hex), (begun.Details!["kind"], begun.Actor.Id, begun.Reason, begun.PayloadHash));
        Assert.Equal(("3", "request-1", "acme-zhuhai", PayloadHash.Of("body").Hex), (ended.Details!["found"], ended.RequestId, ended.Exporter, ended.PayloadHash));
        Assert.NotEqual(begun.Id, ended.Id);
    }

    private static ChangeJournal Journal(TrailDriver driver, string name)
    {
        // Instances share the store, which one process alone has not.
        var store = name == "one" ? driver.Store : new FaultyStore(new Shared(driver.Real));
        return TestJournal.Over(name == "one" ? new Shared(driver.Store) : store, driver.Open(name, store), driver.Time, new Always());
    }

    private static IntendedChange Change(string what) => new()
    {
        Begun = Begun, Question = Always.Question, Arguments = [what],
        Events = [TrailDriver.Event(what) with { Exporter = "acme-zhuhai", RequestId = "request-1" }],
    };

    private static async Task<List<string>> StoryAsync(TrailDriver driver, string chain)
    {
        // Whatever waits beside the journal's rows is in the chain then.
        await driver.Open(chain, driver.Real).SweepAsync(Cancellation);
        return
        [
            .. (await driver.ReadAsync(chain)).Select(static entry => entry.Read() is var said && entry.Kind == Begun.Name
                ? $"begun {said!.Details!.GetValueOrDefault("resumed")?.Replace("true", "resumed", StringComparison.Ordinal)}".Trim()
                : $"{said!.Outcome} {said.Details!.GetValueOrDefault("settled")}".Trim()),
        ];
    }

    /// <summary>Knows that everything was done but what cannot be told now.</summary>
    private sealed class Always : IChangeSettler
    {
        public const string Question = "tests.change";

        public bool Knows(string question) => question == Question;

        public Task<ChangeSettlement?> SettleAsync(string question, IReadOnlyList<string> arguments, DateTimeOffset begunAt, CancellationToken cancellationToken) =>
            Task.FromResult(arguments[0] == "later" ? null : new ChangeSettlement(AuditOutcome.Succeeded, new Dictionary<string, string>()));
    }

    /// <summary>A store that other processes have, too.</summary>
    private sealed class Shared(IEntityStore inner) : IEntityStore
    {
        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            inner.GetAsync(table, partitionKey, rowKey, cancellationToken);

        public Task<EntityPage> QueryAsync(string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) => inner.SubmitAsync(transaction, cancellationToken);

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
            inner.SubmitManyAsync(transactions, cancellationToken);
    }
}
