using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>Nothing is lost, doubled or out of order, whatever dies when.</summary>
public sealed class AuditTrailTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_appended_event_is_in_the_chain_with_everything_it_said()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await trail.AppendAsync(
            new()
            {
                Kind = TrailDriver.Kind,
                Actor = AuditActor.Source("hr/acme", 1),
                Payload = PayloadHash.Of("the body"),
                Outcome = AuditOutcome.Refused,
                On = new("delivery", "d-1"),
                CaseId = "c-1",
                Subject = new AuditPseudonyms("0123456789abcdef0123456789abcdef"u8).Of("employeeId", " e1001 "),
                Exporter = "acme-zhuhai",
                Reason = "because 因為 \ud800",
                RequestId = "4bf92f3577b34da6a3ce929d0e0e4736",
                Details = new Dictionary<string, string> { ["b"] = "2", ["a"] = new string('x', 2000) },
            },
            Cancellation);

        var entry = Assert.Single(await driver.ReadAsync());
        var content = entry.Read()!;
        Assert.Equal("tests.happened", entry.Kind);
        Assert.Equal(TrailDriver.Start, entry.RecordedAt);
        Assert.Equal(new AuditActor(AuditActorType.Source, "hr/acme", "1"), content.Actor);
        Assert.Equal(PayloadHash.Of("the body").Hex, content.PayloadHash);
        Assert.Equal((AuditOutcome.Refused, "c-1", "acme-zhuhai"), (content.Outcome, content.CaseId, content.Exporter));
        Assert.Equal(new AuditPseudonyms("0123456789abcdef0123456789abcdef"u8).Of("employeeId", "E1001"), content.Subject);
        Assert.Equal("because 因為 \ufffd", content.Reason);
        Assert.Equal(["a", "b"], content.Details!.Keys);
        Assert.Equal(1000, content.Details["a"].Length);
    }

    [Fact]
    public async Task An_event_that_says_too_much_is_cut_and_keeps_nobody_from_working()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        var longText = new string('因', 5000);
        var event_ = TrailDriver.Event("long") with
        {
            Actor = new(AuditActorType.Principal, longText, longText), On = new(longText, longText), CaseId = longText, Exporter = longText, Reason = longText,
            RequestId = longText, Details = Enumerable.Range(0, 40).ToDictionary(i => $"{new string('x', 1200)}{i}", _ => longText),
        };
        var result = await trail.SubmitAsync(TrailDriver.Change("long"), [.. Enumerable.Repeat(event_, 20)], Cancellation);
        await trail.AppendAsync(event_, Cancellation);
        await trail.DrainAsync(Cancellation);

        Assert.True(result.Committed);
        Assert.Equal(21, (await driver.ReadAsync()).Count);
        Assert.All(await driver.ReadAsync(), static entry => Assert.InRange(entry.Content!.Value.Length, 10_000, EntityLimits.BinaryLength));
    }

    [Fact]
    public async Task Events_of_one_transaction_wait_in_one_row()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await trail.AppendAsync(TrailDriver.Event("first"), Cancellation);
        driver.Store.DieAfter(2, loseAnswer: false);
        var events = Enumerable.Range(0, 95).Select(i => TrailDriver.Event($"{i}")).ToList();
        await trail.SubmitAsync(TrailDriver.Change("many"), events, Cancellation);
        await trail.DisposeAsync();
        Assert.Equal(2, (await driver.Real.QueryAsync("States", "p", RowKeyRange.StartingWith(AuditOutbox.RowPrefix), 10, null, Cancellation)).Entities.Count);

        driver.Store.Heal();
        Assert.Equal(95, await driver.Open().SweepAsync(Cancellation));
        Assert.Equal(["first", .. events.Select(static one => one.Reason)], await driver.ReasonsAsync());
    }

    [Fact]
    public async Task Many_callers_at_once_make_one_chain()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => i % 2 == 0
            ? trail.AppendAsync(TrailDriver.Event($"{i}"), Cancellation)
            : trail.SubmitAsync(TrailDriver.Change($"{i}"), [TrailDriver.Event($"{i}")], Cancellation)));
        await trail.DrainAsync(Cancellation);

        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"{i}").Order(), (await driver.ReasonsAsync()).Order());
        Assert.Equal(500, (await driver.Real.QueryAsync("States", "p", AuditOutbox.RowsBefore(), 1000, null, Cancellation)).Entities.Count);
        Assert.Empty((await driver.Real.QueryAsync("States", "p", RowKeyRange.StartingWith(AuditOutbox.RowPrefix), 1000, null, Cancellation)).Entities);
    }

    [Fact]
    public async Task Two_writers_of_one_name_make_one_chain()
    {
        await using var driver = new TrailDriver();
        var (first, second) = (driver.Open(), driver.Open());
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i => (i % 2 == 0 ? first : second).AppendAsync(TrailDriver.Event($"{i}"), Cancellation)));

        Assert.Equal(Enumerable.Range(0, 300).Select(i => $"{i}").Order(), (await driver.ReasonsAsync()).Order());
    }

    [Fact]
    public async Task A_refused_transaction_leaves_no_entry()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        var insert = EntityTransaction.Of("States", EntityOperation.Insert(new Entity("p", "x")));
        Assert.True((await trail.SubmitAsync(insert, [TrailDriver.Event("first")], Cancellation)).Committed);
        var refused = await trail.SubmitAsync(insert, [TrailDriver.Event("second")], Cancellation);
        await trail.DrainAsync(Cancellation);

        Assert.Equal((TransactionOutcome.AlreadyExists, 0), (refused.Outcome, refused.FailedIndex));
        Assert.Equal(["first"], await driver.ReasonsAsync());
    }

    [Fact]
    public async Task Whatever_dies_when_an_entry_exists_exactly_once_if_its_state_does()
    {
        var died = 0;
        for (var operations = 0; ; operations++)
        {
            var over = true;
            foreach (var loseAnswer in (bool[])[false, true])
            {
                await using var driver = new TrailDriver();
                driver.Store.DieAfter(operations, loseAnswer);
                var ended = await RunUntilDeathAsync(driver);
                over &= ended;
                died += ended ? 0 : 1;
                driver.Store.Heal();
                await ExpectWholeAsync(driver);
            }

            if (over)
            {
                break;
            }
        }

        Assert.True(died > 15, $"died {died} times only");
    }

    [Fact]
    public async Task What_a_lost_process_left_is_finished_by_another_writer_in_the_lost_ones_chain()
    {
        await using var driver = new TrailDriver();
        var lost = driver.Open("lost");
        await lost.SubmitAsync(TrailDriver.Change("a"), [TrailDriver.Event("a")], Cancellation);
        await lost.DrainAsync(Cancellation);

        // It stores a state, and every operation after that fails.
        driver.Store.DieAfter(1, loseAnswer: false);
        await lost.SubmitAsync(TrailDriver.Change("b"), [TrailDriver.Event("b")], Cancellation);
        await Record.ExceptionAsync(() => lost.DrainAsync(Cancellation));
        Assert.Equal(["a"], await driver.ReasonsAsync("lost"));

        var other = driver.Open("other", driver.Real);
        Assert.Equal(0, await other.SweepAsync(Cancellation));
        driver.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(1, await other.SweepAsync(Cancellation));
        Assert.Equal(0, await other.SweepAsync(Cancellation));
        Assert.Equal(["a", "b"], await driver.ReasonsAsync("lost"));

        // The lost one was only slow: it notices, and goes on behind.
        driver.Store.Heal();
        await lost.AppendAsync(TrailDriver.Event("c"), Cancellation);
        await lost.SweepAsync(Cancellation);
        Assert.Equal(["a", "b", "c"], await driver.ReasonsAsync("lost"));
    }

    [Fact]
    public async Task A_clock_that_goes_back_changes_no_order_and_is_itself_recorded()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await trail.AppendAsync(TrailDriver.Event("before"), Cancellation);
        driver.Time.AdjustTime(TrailDriver.Start - TimeSpan.FromHours(3));
        await trail.AppendAsync(TrailDriver.Event("back"), Cancellation);
        await trail.AppendAsync(TrailDriver.Event("still back"), Cancellation);
        driver.Time.Advance(TimeSpan.FromHours(4));
        await trail.AppendAsync(TrailDriver.Event("after"), Cancellation);

        var entries = await driver.ReadAsync();
        Assert.Equal(
            ["tests.happened", "audit.clock_went_back", "tests.happened", "tests.happened", "tests.happened"], entries.Select(entry => entry.Kind));
        Assert.Equal("2026-11-24T08:00:00.0000000Z", entries[1].Read()!.Details!["last"]);
        Assert.Equal(TrailDriver.Start - TimeSpan.FromHours(3), entries[2].RecordedAt);
    }

    [Fact]
    public async Task Places_where_nothing_waits_any_more_are_forgotten_after_two_days()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await trail.SubmitAsync(TrailDriver.Change("a"), [TrailDriver.Event("a")], Cancellation);
        await trail.DrainAsync(Cancellation);
        driver.Time.Advance(TimeSpan.FromDays(2));
        await trail.SweepAsync(Cancellation);
        Assert.Single(await PlacesAsync(driver));

        driver.Time.Advance(TimeSpan.FromDays(1));
        await trail.SweepAsync(Cancellation);
        Assert.Empty(await PlacesAsync(driver));
        await trail.SubmitAsync(TrailDriver.Change("b"), [TrailDriver.Event("b")], Cancellation);
        Assert.Single(await PlacesAsync(driver));
    }

    private static async Task<IReadOnlyList<Entity>> PlacesAsync(TrailDriver driver) =>
        (await driver.Real.QueryAsync(AuditRows.TrailTable, AuditRows.OutboxPartition, RowKeyRange.All, 100, null, Cancellation)).Entities;

    /// <summary>Three changes and an entry of its own; returns whether all was done.</summary>
    private static async Task<bool> RunUntilDeathAsync(TrailDriver driver)
    {
        var trail = driver.Open();
        try
        {
            await trail.SubmitAsync(TrailDriver.Change("a"), [TrailDriver.Event("a")], Cancellation);
            await trail.AppendAsync(TrailDriver.Event("between"), Cancellation);
            await trail.SubmitManyAsync(
                [new(TrailDriver.Change("b"), [TrailDriver.Event("b")]), new(TrailDriver.Change("c"), [TrailDriver.Event("c")])], Cancellation);
            await trail.DrainAsync(Cancellation);
            return !driver.Store.Dead;
        }
        catch (EntityStoreException)
        {
            return false;
        }
        finally
        {
            await trail.DisposeAsync();
        }
    }

    private static async Task ExpectWholeAsync(TrailDriver driver)
    {
        var next = driver.Open();
        await next.SweepAsync(Cancellation);
        await next.SweepAsync(Cancellation);
        var reasons = await driver.ReasonsAsync();
        foreach (var what in (string[])["a", "b", "c"])
        {
            Assert.Equal(await driver.HasStateAsync(what) ? 1 : 0, reasons.Count(reason => reason == what));
        }

        Assert.True(reasons.Count(reason => reason == "between") <= 1);
    }

    /// <summary>A sweep has nothing but the ids to tell in which order events of one moment were staged.</summary>
    [Fact]
    public void Ids_of_one_writer_sort_in_the_order_in_which_they_were_made()
    {
        var ids = new AuditIds();
        var made = Enumerable.Range(0, 20_000).Select(number => ids.Next(TrailDriver.Start.AddTicks(number))).ToList();

        Assert.Equal(made.Order(StringComparer.Ordinal), made);
        Assert.Equal(made.Count, made.Distinct(StringComparer.Ordinal).Count());
        Assert.All(made, static id => Assert.Equal(('7', true), (id[12], id[16] is '8' or '9' or 'a' or 'b')));

        // A clock that goes back for good is followed.
        Assert.True(string.CompareOrdinal(ids.Next(TrailDriver.Start.AddDays(-1)), made[0]) < 0);
    }

    [Fact]
    public async Task Events_of_one_moment_keep_their_order_when_a_sweep_finishes_what_a_dead_process_began()
    {
        await using var driver = new TrailDriver();
        var trail = driver.Open();
        await trail.SubmitAsync(TrailDriver.Change("first"), [TrailDriver.Event("first")], Cancellation);
        await trail.DrainAsync(Cancellation);
        var staging = driver.Open(store: new WithoutMoves(driver.Real));
        for (var i = 0; i < 40; i++)
        {
            await staging.SubmitAsync(TrailDriver.Change($"s-{i}"), [TrailDriver.Event($"{i:D2}")], Cancellation);
        }

        await driver.Open(store: driver.Real).SweepAsync(Cancellation);
        Assert.Equal(["first", .. Enumerable.Range(0, 40).Select(static i => $"{i:D2}")], await driver.ReasonsAsync());
    }

    /// <summary>A process that dies after each change, before it has moved its event.</summary>
    private sealed class WithoutMoves(IEntityStore inner) : IEntityStore
    {
        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            inner.GetAsync(table, partitionKey, rowKey, cancellationToken);

        public Task<EntityPage> QueryAsync(string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) =>
            transaction.Table == AuditRows.EntriesTable ? throw new EntityStoreException("The process died.") : inner.SubmitAsync(transaction, cancellationToken);

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
            inner.SubmitManyAsync(transactions, cancellationToken);
    }
}
