using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>What every <see cref="IEntityStore"/> does. Each adapter derives from it.</summary>
/// <param name="prefix">How the names of the tables begin: SQLite keeps those of the ledger in another file.</param>
public abstract class EntityStoreContract(string prefix = "T") : IAsyncLifetime
{
    private IEntityStore? _store;

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A table of this test alone, for stores that outlive a test.</summary>
    protected string Table { get; } = $"{prefix}{Guid.NewGuid():N}"[..24];

    protected IEntityStore Store => _store ?? throw new InvalidOperationException("Not initialised.");

    /// <summary>The store under test; called once per test.</summary>
    protected abstract Task<IEntityStore> CreateStoreAsync();

    public virtual async ValueTask InitializeAsync() => _store = await CreateStoreAsync();

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    // ---- properties ----

    public static TheoryData<string> ValueNames => [.. Values.Keys];

    private static Dictionary<string, object> Values { get; } = new(StringComparer.Ordinal)
    {
        ["text"] = "Zoë 王 \"quoted\" \\ \r\n \u0001 😀 ",
        ["empty text"] = "",
        ["longest text"] = new string('王', EntityLimits.StringLength),
        ["int"] = 42,
        ["least int"] = int.MinValue,
        ["greatest int"] = int.MaxValue,
        ["small long"] = 42L,
        ["least long"] = long.MinValue,
        ["greatest long"] = long.MaxValue,
        ["double"] = 0.1,
        ["whole double"] = 42.0,
        ["least double"] = double.MinValue,
        ["greatest double"] = double.MaxValue,
        ["epsilon"] = double.Epsilon,
        ["not a number"] = double.NaN,
        ["infinity"] = double.PositiveInfinity,
        ["negative infinity"] = double.NegativeInfinity,
        ["true"] = true,
        ["false"] = false,
        ["guid"] = Guid.Parse("5a8f2a55-8b7e-4c0e-9f1b-0c7a7ddb1a01"),
        ["empty guid"] = Guid.Empty,
        ["time to 100 ns"] = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.Zero).AddTicks(1234567),
        ["earliest time"] = new DateTimeOffset(1601, 1, 1, 0, 0, 0, TimeSpan.Zero),
        ["latest time"] = DateTimeOffset.MaxValue,
        ["bytes"] = new byte[] { 0, 1, 127, 128, 255, (byte)'+', (byte)'/' },
        ["no bytes"] = Array.Empty<byte>(),
        ["most bytes"] = Enumerable.Range(0, EntityLimits.BinaryLength).Select(i => (byte)(i * 31)).ToArray(),
    };

    [Theory]
    [MemberData(nameof(ValueNames))]
    public async Task A_value_comes_back_with_its_type(string name)
    {
        var value = Values[name];
        await InsertAsync(Row("p", "r", ("Value", value)));

        var read = await Store.GetAsync(Table, "p", "r", Token);

        Assert.NotNull(read);
        var (property, stored) = Assert.Single(read.Properties);
        Assert.Equal("Value", property);
        Assert.IsType(value.GetType(), stored);
        Assert.Equal(value, stored);
    }

    [Fact]
    public async Task A_time_with_an_offset_comes_back_as_the_same_moment_in_utc()
    {
        var time = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8));
        await InsertAsync(Row("p", "r", ("At", time)));

        var read = await Store.GetAsync(Table, "p", "r", Token);

        var stored = read!.Properties.Require<DateTimeOffset>("At");
        Assert.Equal(time, stored);
        Assert.Equal(TimeSpan.Zero, stored.Offset);
    }

    [Fact]
    public async Task A_null_property_is_not_stored()
    {
        await InsertAsync(Row("p", "r", ("A", null), ("B", 1)));

        var read = await Store.GetAsync(Table, "p", "r", Token);

        Assert.Equal(["B"], read!.Properties.Keys);
    }

    [Fact]
    public async Task Property_names_differ_by_case()
    {
        await InsertAsync(Row("p", "r", ("name", 1), ("Name", 2), ("_under_score1", 3)));

        var read = await Store.GetAsync(Table, "p", "r", Token);

        Assert.Equal((1, 2, 3), (read!.Properties.Get<int>("name"), read.Properties.Get<int>("Name"), read.Properties.Get<int>("_under_score1")));
    }

    [Fact]
    public async Task An_entity_may_have_no_properties_and_as_many_as_the_limit()
    {
        var full = new Entity("p", "full");
        for (var i = 0; i < EntityLimits.PropertiesPerEntity; i++)
        {
            full.Properties[$"P{i}"] = i;
        }

        await InsertAsync(full);
        await InsertAsync(Row("p", "bare"));

        var read = await Store.GetAsync(Table, "p", "full", Token);
        Assert.Equal(EntityLimits.PropertiesPerEntity, read!.Properties.Count);
        Assert.Equal(251, read.Properties.Get<int>("P251"));
        Assert.Empty((await Store.GetAsync(Table, "p", "bare", Token))!.Properties);
    }

    // ---- keys ----

    [Theory]
    [InlineData("with space")]
    [InlineData("it's")]
    [InlineData("a''b")]
    [InlineData("acme-zhuhai|07")]
    [InlineData("a&b=c+d")]
    [InlineData("100%25")]
    [InlineData("a:b;c,d@e!f$g(h)*i~j")]
    [InlineData("<tag> {x} [y] \"q\" ^`")]
    [InlineData("王小明-é")]
    [InlineData("..")]
    public async Task Keys_may_hold_such_characters(string key)
    {
        await InsertAsync(Row(key, key, ("V", 1)));

        var read = await Store.GetAsync(Table, key, key, Token);
        var page = await Store.QueryAsync(Table, key, RowKeyRange.StartingWith(key), 10, null, Token);

        Assert.Equal((key, key), (read?.PartitionKey, read?.RowKey));
        Assert.Equal(key, Assert.Single(page.Entities).RowKey);
        Assert.True((await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete(key, key, read!.ETag)), Token)).Committed);
    }

    [Fact]
    public async Task Keys_may_be_as_long_as_the_limit()
    {
        var longest = new string('k', EntityLimits.KeyLength);

        await InsertAsync(Row(longest, longest));

        Assert.NotNull(await Store.GetAsync(Table, longest, longest, Token));
    }

    [Fact]
    public async Task Keys_differ_by_case()
    {
        await InsertAsync(Row("p", "a", ("V", 1)));
        await InsertAsync(Row("p", "A", ("V", 2)));

        Assert.Equal(1, (await Store.GetAsync(Table, "p", "a", Token))!.Properties.Get<int>("V"));
        Assert.Equal(2, (await Store.GetAsync(Table, "p", "A", Token))!.Properties.Get<int>("V"));
        Assert.Null(await Store.GetAsync(Table, "P", "a", Token));
    }

    [Fact]
    public async Task Tables_are_separate_and_their_names_ignore_case()
    {
        await InsertAsync(Row("p", "r", ("V", 1)));

        Assert.Null(await Store.GetAsync(Table + "x", "p", "r", Token));
        Assert.NotNull(await Store.GetAsync(Table.ToUpperInvariant(), "p", "r", Token));
    }

    [Fact]
    public async Task A_ledger_table_works_like_any_other()
    {
        var ledger = "Ledger" + Table;
        var inserted = await Store.SubmitAsync(EntityTransaction.Of(ledger, EntityOperation.Insert(Row("p", "r", ("V", 1)))), Token);
        var mixed = await Store.SubmitManyAsync(
            [
                EntityTransaction.Of(ledger, EntityOperation.Insert(Row("p", "r"))),
                EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "other"))),
                EntityTransaction.Of(ledger, EntityOperation.Insert(Row("p", "new"))),
            ],
            Token);

        Assert.True(inserted.Committed);
        Assert.Equal([TransactionOutcome.AlreadyExists, TransactionOutcome.Committed, TransactionOutcome.Committed], mixed.Select(r => r.Outcome));
        Assert.Equal(["new", "r"], (await ReadAllAsync(ledger, "p", RowKeyRange.All, 10)).Select(e => e.RowKey));
        Assert.Equal(["other"], (await ReadAllAsync(Table, "p", RowKeyRange.All, 10)).Select(e => e.RowKey));
    }

    // ---- outcomes and ETags ----

    [Fact]
    public async Task Reading_what_is_not_there_gives_nothing()
    {
        Assert.Null(await Store.GetAsync(Table, "p", "r", Token));
        var page = await Store.QueryAsync(Table, "p", RowKeyRange.All, 10, null, Token);
        Assert.Empty(page.Entities);
        Assert.Null(page.Continuation);
    }

    [Fact]
    public async Task An_insert_returns_the_etag_that_a_read_shows()
    {
        var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r", ("V", 1)))), Token);

        Assert.Equal((TransactionOutcome.Committed, -1), (result.Outcome, result.FailedIndex));
        var etag = Assert.Single(result.ETags);
        Assert.False(string.IsNullOrEmpty(etag));
        Assert.Equal(etag, (await Store.GetAsync(Table, "p", "r", Token))!.ETag);
        Assert.Equal(etag, Assert.Single((await Store.QueryAsync(Table, "p", RowKeyRange.All, 10, null, Token)).Entities).ETag);
    }

    [Fact]
    public async Task An_insert_of_a_row_that_exists_changes_nothing()
    {
        await InsertAsync(Row("p", "r", ("V", 1)));

        var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r", ("V", 2)))), Token);

        Assert.Equal((TransactionOutcome.AlreadyExists, 0), (result.Outcome, result.FailedIndex));
        Assert.Empty(result.ETags);
        Assert.Equal(1, (await Store.GetAsync(Table, "p", "r", Token))!.Properties.Get<int>("V"));
    }

    [Fact]
    public async Task A_replacement_replaces_all_properties()
    {
        await InsertAsync(Row("p", "r", ("Old", 1), ("V", 1)));

        var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(Row("p", "r", ("V", 2)))), Token);

        var read = await Store.GetAsync(Table, "p", "r", Token);
        Assert.True(result.Committed);
        Assert.Equal(["V"], read!.Properties.Keys);
        Assert.Equal(2, read.Properties.Get<int>("V"));
        Assert.Equal(Assert.Single(result.ETags), read.ETag);
    }

    [Fact]
    public async Task A_replacement_with_the_right_etag_succeeds_once()
    {
        await InsertAsync(Row("p", "r", ("V", 1)));
        var read = (await Store.GetAsync(Table, "p", "r", Token))!;
        read.Properties["V"] = 2;

        var first = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(read)), Token);
        var second = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(read)), Token);

        Assert.True(first.Committed);
        Assert.NotEqual(read.ETag, first.ETags[0]);
        Assert.Equal((TransactionOutcome.ETagMismatch, 0), (second.Outcome, second.FailedIndex));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Replacing_or_deleting_a_row_that_is_missing_is_told(bool withETag)
    {
        await InsertAsync(Row("p", "gone"));
        var etag = withETag ? (await Store.GetAsync(Table, "p", "gone", Token))!.ETag : null;
        Assert.True((await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "gone")), Token)).Committed);

        var replaced = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(Row("p", "gone"), etag)), Token);
        var deleted = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "gone", etag)), Token);

        Assert.Equal((TransactionOutcome.NotFound, 0), (replaced.Outcome, replaced.FailedIndex));
        Assert.Equal((TransactionOutcome.NotFound, 0), (deleted.Outcome, deleted.FailedIndex));
    }

    [Fact]
    public async Task An_upsert_inserts_then_replaces()
    {
        var first = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(Row("p", "r", ("Old", 1)))), Token);
        var second = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(Row("p", "r", ("V", 2)))), Token);

        var read = await Store.GetAsync(Table, "p", "r", Token);
        Assert.True(first.Committed && second.Committed);
        Assert.NotEqual(first.ETags[0], second.ETags[0]);
        Assert.Equal(["V"], read!.Properties.Keys);
        Assert.Equal(second.ETags[0], read.ETag);
    }

    [Fact]
    public async Task A_deletion_asks_for_its_etag_and_returns_none()
    {
        await InsertAsync(Row("p", "r", ("V", 1)));
        var old = (await Store.GetAsync(Table, "p", "r", Token))!.ETag;
        var updated = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(Row("p", "r", ("V", 2)))), Token);

        var stale = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "r", old)), Token);
        Assert.Equal((TransactionOutcome.ETagMismatch, 0), (stale.Outcome, stale.FailedIndex));
        Assert.NotNull(await Store.GetAsync(Table, "p", "r", Token));

        var current = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "r", updated.ETags[0])), Token);
        Assert.True(current.Committed);
        Assert.Null(Assert.Single(current.ETags));
        Assert.Null(await Store.GetAsync(Table, "p", "r", Token));
    }

    [Fact]
    public async Task An_etag_does_not_come_back_when_the_row_does()
    {
        var row = Row("p", "r", ("V", 1));
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < 5; i++)
        {
            var inserted = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(row)), Token);
            Assert.True(seen.Add(inserted.ETags[0]!), "An ETag was used twice.");
            Assert.True((await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "r")), Token)).Committed);
        }

        await InsertAsync(row);
        foreach (var etag in seen)
        {
            var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(row, etag)), Token);
            Assert.Equal(TransactionOutcome.ETagMismatch, result.Outcome);
        }
    }

    // ---- transactions ----

    [Fact]
    public async Task A_transaction_applies_all_kinds_together()
    {
        await InsertAsync(Row("p", "replaced", ("V", 1)));
        await InsertAsync(Row("p", "deleted"));

        var result = await Store.SubmitAsync(
            EntityTransaction.Of(
                Table,
                EntityOperation.Insert(Row("p", "inserted")),
                EntityOperation.Replace(Row("p", "replaced", ("V", 2))),
                EntityOperation.Delete("p", "deleted"),
                EntityOperation.Upsert(Row("p", "upserted"))),
            Token);

        Assert.True(result.Committed);
        Assert.Equal([false, false, true, false], result.ETags.Select(e => e is null));
        var rows = await ReadAllAsync(Table, "p", RowKeyRange.All, 10);
        Assert.Equal(["inserted", "replaced", "upserted"], rows.Select(r => r.RowKey));
        Assert.Equal([result.ETags[0], result.ETags[1], result.ETags[3]], rows.Select(r => r.ETag));
    }

    [Theory]
    [InlineData(EntityOperationKind.Insert, TransactionOutcome.AlreadyExists)]
    [InlineData(EntityOperationKind.Replace, TransactionOutcome.NotFound)]
    [InlineData(EntityOperationKind.Delete, TransactionOutcome.ETagMismatch)]
    public async Task A_refused_operation_undoes_the_others_and_is_named(EntityOperationKind kind, TransactionOutcome expected)
    {
        await InsertAsync(Row("p", "there", ("V", 1)));
        await InsertAsync(Row("p", "kept", ("V", 1)));
        var stale = (await Store.GetAsync(Table, "p", "there", Token))!.ETag;
        Assert.True((await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(Row("p", "there", ("V", 2)))), Token)).Committed);
        var refused = kind switch
        {
            EntityOperationKind.Insert => EntityOperation.Insert(Row("p", "there")),
            EntityOperationKind.Replace => EntityOperation.Replace(Row("p", "missing")),
            _ => EntityOperation.Delete("p", "there", stale),
        };

        var result = await Store.SubmitAsync(
            EntityTransaction.Of(
                Table,
                EntityOperation.Insert(Row("p", "new")),
                EntityOperation.Replace(Row("p", "kept", ("V", 9))),
                refused,
                EntityOperation.Upsert(Row("p", "late"))),
            Token);

        Assert.Equal((expected, 2), (result.Outcome, result.FailedIndex));
        Assert.Empty(result.ETags);
        var rows = await ReadAllAsync(Table, "p", RowKeyRange.All, 10);
        Assert.Equal(["kept", "there"], rows.Select(r => r.RowKey));
        Assert.Equal([1, 2], rows.Select(r => r.Properties.Get<int>("V")));
    }

    [Fact]
    public async Task A_transaction_may_be_as_long_as_the_limit()
    {
        var rows = Enumerable.Range(0, EntityLimits.OperationsPerTransaction).Select(i => EntityOperation.Insert(Row("p", $"r{i:000}", ("V", i))));

        var result = await Store.SubmitAsync(EntityTransaction.Of(Table, [.. rows]), Token);

        Assert.True(result.Committed);
        Assert.Equal(100, result.ETags.Count);
        Assert.Equal(Enumerable.Range(0, 100), (await ReadAllAsync(Table, "p", RowKeyRange.All, 1000)).Select(e => e.Properties.Get<int>("V")));
    }

    [Fact]
    public async Task Submitting_many_gives_each_its_own_result_in_order()
    {
        await InsertAsync(Row("p", "exists"));
        var etag = (await Store.GetAsync(Table, "p", "exists", Token))!.ETag;
        await InsertAsync(Row("q", "exists", ("V", 1)));

        var results = await Store.SubmitManyAsync(
            [
                EntityTransaction.Of(Table, EntityOperation.Insert(Row("a", "1")), EntityOperation.Insert(Row("a", "2"))),
                EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "x")), EntityOperation.Insert(Row("p", "exists"))),
                EntityTransaction.Of(Table, EntityOperation.Replace(Row("b", "missing"))),
                EntityTransaction.Of(Table, EntityOperation.Replace(Row("q", "exists", ("V", 2)), etag)),
                EntityTransaction.Of(Table, EntityOperation.Upsert(Row("c", "1"))),
            ],
            Token);

        Assert.Equal(
            [
                (TransactionOutcome.Committed, -1), (TransactionOutcome.AlreadyExists, 1), (TransactionOutcome.NotFound, 0),
                (TransactionOutcome.ETagMismatch, 0), (TransactionOutcome.Committed, -1),
            ],
            results.Select(r => (r.Outcome, r.FailedIndex)));
        Assert.Equal(["1", "2"], (await ReadAllAsync(Table, "a", RowKeyRange.All, 10)).Select(e => e.RowKey));
        Assert.Null(await Store.GetAsync(Table, "p", "x", Token));
        Assert.Equal(1, (await Store.GetAsync(Table, "q", "exists", Token))!.Properties.Get<int>("V"));
        Assert.Equal(results[4].ETags[0], (await Store.GetAsync(Table, "c", "1", Token))!.ETag);
    }

    [Fact]
    public async Task Submitting_none_gives_none() => Assert.Empty(await Store.SubmitManyAsync([], Token));

    // ---- ranges and pages ----

    [Fact]
    public async Task Rows_come_in_ordinal_order_of_their_keys()
    {
        string[] keys = ["b", "a", "B", "A", "aa", "a-", "a_", "a0", "10", "9", "é", "王", "\uE000", "\uFFFD", "z", "~"];
        foreach (var key in keys)
        {
            await InsertAsync(Row("p", key));
        }

        var read = await ReadAllAsync(Table, "p", RowKeyRange.All, 5);

        Assert.Equal(keys.Order(StringComparer.Ordinal), read.Select(e => e.RowKey));
    }

    [Fact]
    public async Task A_range_includes_its_start_and_excludes_its_end_and_the_other_partitions()
    {
        foreach (var partition in (string[])["o", "p", "q"])
        {
            Assert.True((await Store.SubmitAsync(
                EntityTransaction.Of(Table, [.. "abcdef".Select(c => EntityOperation.Insert(Row(partition, c.ToString())))]), Token)).Committed);
        }

        Assert.Equal("bcd", await KeysAsync(new RowKeyRange("b", "e")));
        Assert.Equal("def", await KeysAsync(new RowKeyRange("d", null)));
        Assert.Equal("ab", await KeysAsync(new RowKeyRange(null, "c")));
        Assert.Equal("abcdef", await KeysAsync(RowKeyRange.All));
        Assert.Equal("", await KeysAsync(new RowKeyRange("e", "e")));
        Assert.Equal("", await KeysAsync(new RowKeyRange("f", "a")));

        async Task<string> KeysAsync(RowKeyRange range) =>
            string.Concat((await ReadAllAsync(Table, "p", range, 100)).Select(e => e.RowKey));
    }

    [Theory]
    [InlineData("case-", "case-1,case-2")]
    [InlineData("it's", "it's")]
    [InlineData("x.", "x.1")]
    [InlineData("\uD7FB", "\uD7FB")]
    public async Task A_prefix_finds_all_that_begin_with_it(string prefix, string expected)
    {
        foreach (var key in (string[])["case", "case-1", "case-2", "case.", "caseX", "it's", "its", "x.1", "x0", "\uD7FB", "\uE000"])
        {
            await InsertAsync(Row("p", key));
        }

        var read = await ReadAllAsync(Table, "p", RowKeyRange.StartingWith(prefix), 100);

        Assert.Equal(expected, string.Join(',', read.Select(e => e.RowKey)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(1000)]
    public async Task Pages_together_hold_every_row_once(int pageSize)
    {
        await InsertNumberedAsync(10);

        var read = await ReadAllAsync(Table, "p", new RowKeyRange("r01", null), pageSize);

        Assert.Equal(Enumerable.Range(1, 9), read.Select(e => e.Properties.Get<int>("V")));
    }

    [Fact]
    public async Task Deletions_and_insertions_between_pages_neither_repeat_nor_skip_other_rows()
    {
        await InsertNumberedAsync(10);

        var first = await Store.QueryAsync(Table, "p", RowKeyRange.All, 3, null, Token);
        Assert.Equal(3, first.Entities.Count);
        Assert.NotNull(first.Continuation);
        Assert.True((await Store.SubmitAsync(
            EntityTransaction.Of(
                Table, EntityOperation.Delete("p", "r02"), EntityOperation.Delete("p", "r03"), EntityOperation.Insert(Row("p", "r01b", ("V", 100)))),
            Token)).Committed);

        var rest = await ReadAllAsync(Table, "p", RowKeyRange.All, 3, first.Continuation);

        Assert.Equal(Enumerable.Range(4, 6), rest.Select(e => e.Properties.Get<int>("V")));
    }

    // ---- concurrency and cancellation ----

    [Fact]
    public async Task Writers_that_retry_by_etag_lose_no_increment()
    {
        const int writers = 8;
        const int increments = 8;
        await InsertAsync(Row("p", "counter", ("N", 0)));

        await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => Task.Run(IncrementAsync, Token)));

        Assert.Equal(writers * increments, (await Store.GetAsync(Table, "p", "counter", Token))!.Properties.Get<int>("N"));

        async Task IncrementAsync()
        {
            for (var done = 0; done < increments;)
            {
                var row = (await Store.GetAsync(Table, "p", "counter", Token))!;
                row.Properties["N"] = row.Properties.Get<int>("N") + 1;
                done += (await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(row)), Token)).Committed ? 1 : 0;
            }
        }
    }

    [Fact]
    public async Task Of_many_that_insert_the_same_row_one_succeeds()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(i =>
            Task.Run(() => Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r", ("V", i)))), Token), Token)));

        var winner = Assert.Single(results, r => r.Committed);
        Assert.All(results.Except([winner]), r => Assert.Equal(TransactionOutcome.AlreadyExists, r.Outcome));
        Assert.Equal(Array.IndexOf(results, winner), (await Store.GetAsync(Table, "p", "r", Token))!.Properties.Get<int>("V"));
    }

    [Fact]
    public async Task Many_may_be_the_first_to_use_a_table()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(i =>
            Task.Run(() => Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", $"r{i:00}"))), Token), Token)));

        Assert.All(results, r => Assert.True(r.Committed));
        Assert.Equal(16, (await ReadAllAsync(Table, "p", RowKeyRange.All, 100)).Count);
    }

    [Fact]
    public async Task A_cancelled_call_does_nothing()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        var transaction = EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r")));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.SubmitAsync(transaction, cancelled.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.SubmitManyAsync([transaction], cancelled.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.GetAsync(Table, "p", "r", cancelled.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.QueryAsync(Table, "p", RowKeyRange.All, 10, null, cancelled.Token));

        Assert.Null(await Store.GetAsync(Table, "p", "r", Token));
    }

    // ---- refusals ----

    public static TheoryData<string> RefusedTransactionNames => [.. RefusedTransactions("T").Keys];

    [Theory]
    [MemberData(nameof(RefusedTransactionNames))]
    public async Task A_transaction_that_breaks_a_limit_is_refused(string name)
    {
        var refused = RefusedTransactions(Table)[name];

        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.SubmitAsync(refused, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.SubmitManyAsync(
            [EntityTransaction.Of(Table, EntityOperation.Insert(Row("other", "first"))), refused], Token));

        Assert.Null(await Store.GetAsync(Table, "other", "first", Token));
    }

    [Theory]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("a#b")]
    [InlineData("a?b")]
    [InlineData("a\tb")]
    [InlineData("a\0b")]
    [InlineData("a\u007Fb")]
    [InlineData("a\u0085b")]
    [InlineData("a\U0001F600b")]
    [InlineData("a\uFFFFb")]
    public async Task A_key_with_such_a_character_is_refused(string key)
    {
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.GetAsync(Table, "p", key, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.GetAsync(Table, key, "r", Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.QueryAsync(Table, key, RowKeyRange.All, 10, null, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => InsertAsync(Row("p", key)));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => InsertAsync(Row(key, "r")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ab")]
    [InlineData("1abc")]
    [InlineData("a_bc")]
    [InlineData("a-bc")]
    [InlineData("tables")]
    [InlineData("tablé")]
    [InlineData("a123456789012345678901234567890123456789012345678901234567890123")]
    public async Task A_table_name_like_this_is_refused(string table)
    {
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.GetAsync(table, "p", "r", Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.QueryAsync(table, "p", RowKeyRange.All, 10, null, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(
            () => Store.SubmitAsync(EntityTransaction.Of(table, EntityOperation.Insert(Row("p", "r"))), Token));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1001)]
    public async Task A_page_size_out_of_bounds_is_refused(int pageSize) =>
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.QueryAsync(Table, "p", RowKeyRange.All, pageSize, null, Token));

    [Fact]
    public async Task A_continuation_that_no_page_returned_is_refused() =>
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.QueryAsync(Table, "p", RowKeyRange.All, 10, "§", Token));

    private static Dictionary<string, EntityTransaction> RefusedTransactions(string table)
    {
        var tooLong = new string('k', EntityLimits.KeyLength + 1);
        var tooMany = new Entity("p", "r");
        for (var i = 0; i <= EntityLimits.PropertiesPerEntity; i++)
        {
            tooMany.Properties[$"P{i}"] = i;
        }

        var tooBig = new Entity("p", "r");
        for (var i = 0; i < 17; i++)
        {
            tooBig.Properties[$"P{i}"] = new byte[63 * 1024];
        }

        Dictionary<string, EntityTransaction> refused = new(StringComparer.Ordinal)
        {
            ["no operation"] = EntityTransaction.Of(table),
            ["101 operations"] = EntityTransaction.Of(table, [.. Enumerable.Range(0, 101).Select(i => EntityOperation.Upsert(Row("p", $"r{i}")))]),
            ["two partitions"] = EntityTransaction.Of(table, EntityOperation.Upsert(Row("p", "a")), EntityOperation.Upsert(Row("q", "b"))),
            ["one row twice"] = EntityTransaction.Of(table, EntityOperation.Upsert(Row("p", "a")), EntityOperation.Delete("p", "a")),
            ["long partition key"] = EntityTransaction.Of(table, EntityOperation.Upsert(Row(tooLong, "r"))),
            ["long row key"] = EntityTransaction.Of(table, EntityOperation.Delete("p", tooLong)),
            ["253 properties"] = EntityTransaction.Of(table, EntityOperation.Upsert(tooMany)),
            ["entity over 1 MiB"] = EntityTransaction.Of(table, EntityOperation.Upsert(tooBig)),
            ["transaction over 4 MiB"] = EntityTransaction.Of(
                table, [.. Enumerable.Range(0, 70).Select(i => EntityOperation.Upsert(Row("p", $"r{i}", ("V", new byte[EntityLimits.BinaryLength]))))]),
            ["any ETag"] = EntityTransaction.Of(table, EntityOperation.Replace(Row("p", "r"), "*")),
            ["long text"] = Value(new string('x', EntityLimits.StringLength + 1)),
            ["lone surrogate"] = Value("a\uD83Db"),
            ["long binary"] = Value(new byte[EntityLimits.BinaryLength + 1]),
            ["before 1601"] = Value(new DateTimeOffset(1600, 12, 31, 23, 59, 59, TimeSpan.Zero)),
            ["unsupported type"] = Value(1.5m),
        };
        foreach (var name in (string[])["", "a.b", "a-b", "1a", "a b", "é", "RowKey", "PartitionKey", "Timestamp", "ETag", new string('n', 256)])
        {
            refused[$"property name '{(name.Length > 20 ? "long" : name)}'"] = EntityTransaction.Of(table, EntityOperation.Upsert(Row("p", "r", (name, 1))));
        }

        return refused;

        EntityTransaction Value(object value) => EntityTransaction.Of(table, EntityOperation.Upsert(Row("p", "r", ("V", value))));
    }

    // ---- helpers ----

    protected static Entity Row(string partitionKey, string rowKey, params (string Name, object? Value)[] properties)
    {
        var entity = new Entity(partitionKey, rowKey);
        foreach (var (name, value) in properties)
        {
            entity.Properties[name] = value;
        }

        return entity;
    }

    protected async Task InsertAsync(Entity entity)
    {
        var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(entity)), Token);
        Assert.Equal(TransactionOutcome.Committed, result.Outcome);
    }

    protected async Task<IReadOnlyList<Entity>> ReadAllAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation = null)
    {
        List<Entity> all = [];
        do
        {
            var page = await Store.QueryAsync(table, partitionKey, range, pageSize, continuation, Token);
            Assert.InRange(page.Entities.Count, 0, pageSize);
            all.AddRange(page.Entities);
            continuation = page.Continuation;
        }
        while (continuation is not null);

        return all;
    }

    private async Task InsertNumberedAsync(int count) =>
        Assert.True((await Store.SubmitAsync(
            EntityTransaction.Of(Table, [.. Enumerable.Range(0, count).Select(i => EntityOperation.Insert(Row("p", $"r{i:00}", ("V", i))))]),
            Token)).Committed);
}
