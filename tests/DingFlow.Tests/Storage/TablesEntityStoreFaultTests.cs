using Azure.Core;
using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>What only the store over a network has: lost answers, throttling, tables that are made, the shape of its values.</summary>
public sealed class TablesEntityStoreFaultTests(AzuriteFixture azurite)
{
    private readonly string _table = $"t{Guid.NewGuid():N}";
    private readonly TablesInstantTime _time = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private async Task<TablesEntityStore> StoreAsync(TablesFaultyTransport? transport = null, int parallelism = 4) => new(
        new() { ConnectionString = await azurite.ConnectionStringAsync(Cancel), Parallelism = parallelism },
        new(() => throw new InvalidOperationException("No token is needed.")), _time, transport ?? new TablesFaultyTransport());

    private static Entity Row(string row, object? value = null) => new("p", row) { Properties = { ["v"] = value ?? "1" } };

    private async Task<TransactionResult> SubmitAsync(TablesEntityStore store, params EntityOperation[] operations) =>
        await store.SubmitAsync(new(_table, operations), Cancel);

    private async Task<string> SeedAsync(Entity row)
    {
        using var store = await StoreAsync();
        return (await SubmitAsync(store, EntityOperation.Upsert(row))).ETags[0]!;
    }

    private async Task<Entity?> ReadAsync(string row)
    {
        using var store = await StoreAsync();
        return await store.GetAsync(_table, "p", row, Cancel);
    }

    [Fact]
    public async Task A_lost_answer_to_an_insert_is_not_told_as_exists()
    {
        await SeedAsync(Row("other"));
        using var transport = new TablesFaultyTransport(TransportFault.AnswerLost);
        using var store = await StoreAsync(transport);

        var fault = await Assert.ThrowsAsync<EntityStoreException>(() => SubmitAsync(store, EntityOperation.Insert(Row("a"))));

        Assert.Contains("whether it was applied must be read", fault.Message, StringComparison.Ordinal);
        Assert.NotNull(await ReadAsync("a"));
    }

    [Fact]
    public async Task A_lost_answer_to_a_conditional_replacement_is_not_told_as_changed_by_others()
    {
        var etag = await SeedAsync(Row("a", "old"));
        using var transport = new TablesFaultyTransport(TransportFault.AnswerLost);
        using var store = await StoreAsync(transport);

        await Assert.ThrowsAsync<EntityStoreException>(() => SubmitAsync(store, EntityOperation.Replace(Row("a", "new"), etag)));

        Assert.Equal("new", (await ReadAsync("a"))!.Properties["v"]);
    }

    [Fact]
    public async Task A_lost_answer_to_a_deletion_is_not_told_as_not_found()
    {
        await SeedAsync(Row("a"));
        using var transport = new TablesFaultyTransport(TransportFault.AnswerLost);
        using var store = await StoreAsync(transport);

        await Assert.ThrowsAsync<EntityStoreException>(() => SubmitAsync(store, EntityOperation.Delete("p", "a")));

        Assert.Null(await ReadAsync("a"));
    }

    [Fact]
    public async Task A_lost_answer_to_a_transaction_is_not_told_as_exists()
    {
        await SeedAsync(Row("other"));
        using var transport = new TablesFaultyTransport(TransportFault.AnswerLost);
        using var store = await StoreAsync(transport);

        await Assert.ThrowsAsync<EntityStoreException>(
            () => SubmitAsync(store, EntityOperation.Insert(Row("a")), EntityOperation.Insert(Row("b"))));

        Assert.NotNull(await ReadAsync("a"));
        Assert.NotNull(await ReadAsync("b"));
    }

    [Theory]
    [InlineData(TransportFault.RequestLost)]
    [InlineData(TransportFault.InternalError)]
    [InlineData(TransportFault.NoConnection)]
    [InlineData(TransportFault.ServerBusy)]
    public async Task A_request_that_never_arrived_is_sent_again(TransportFault fault)
    {
        await SeedAsync(Row("other"));
        using var transport = new TablesFaultyTransport(fault, fault);
        using var store = await StoreAsync(transport);

        var result = await SubmitAsync(store, EntityOperation.Insert(Row("a")));

        Assert.True(result.Committed);
        Assert.Equal(3, transport.Requests.Count);
        Assert.Equal(result.ETags[0], (await ReadAsync("a"))!.ETag);
    }

    [Fact]
    public async Task A_lost_answer_to_an_upsert_is_sent_again()
    {
        await SeedAsync(Row("a", "old"));
        using var transport = new TablesFaultyTransport(TransportFault.AnswerLost);
        using var store = await StoreAsync(transport);

        var result = await SubmitAsync(store, EntityOperation.Upsert(Row("a", "new")));

        Assert.True(result.Committed);
        Assert.Equal("new", (await ReadAsync("a"))!.Properties["v"]);
    }

    [Theory]
    [InlineData(TransportFault.NoConnection)]
    [InlineData(TransportFault.ServerBusy)]
    public async Task A_refusal_after_an_attempt_that_surely_did_nothing_is_a_refusal(TransportFault fault)
    {
        await SeedAsync(Row("a"));
        using var transport = new TablesFaultyTransport(fault);
        using var store = await StoreAsync(transport);

        var result = await SubmitAsync(store, EntityOperation.Insert(Row("a")));

        Assert.Equal(TransactionOutcome.AlreadyExists, result.Outcome);
    }

    [Fact]
    public async Task A_service_that_stays_down_is_given_up_with_growing_waits()
    {
        using var transport = new TablesFaultyTransport(TransportFault.InternalError) { Forever = true };
        using var store = await StoreAsync(transport);

        var fault = await Assert.ThrowsAsync<EntityStoreException>(() => SubmitAsync(store, EntityOperation.Insert(Row("a"))));

        Assert.Contains("500 InternalError", fault.Message, StringComparison.Ordinal);
        Assert.Contains("may have been applied", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-row", fault.Message, StringComparison.Ordinal);
        Assert.Equal(4, transport.Requests.Count);
        Assert.Equal(3, _time.Waits.Count);
        Assert.All(_time.Waits, wait => Assert.InRange(wait, TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(800)));
    }

    [Fact]
    public async Task A_missing_role_is_named_and_not_tried_again()
    {
        using var transport = new TablesFaultyTransport(TransportFault.Forbidden) { Forever = true };
        using var store = await StoreAsync(transport);

        var fault = await Assert.ThrowsAsync<EntityStoreException>(() => SubmitAsync(store, EntityOperation.Insert(Row("a"))));

        Assert.Contains("Storage Table Data Contributor", fault.Message, StringComparison.Ordinal);
        Assert.Single(transport.Requests);
    }

    [Fact]
    public async Task Reading_is_tried_again_and_then_given_up()
    {
        await SeedAsync(Row("a"));
        using var once = new TablesFaultyTransport(TransportFault.InternalError);
        using var store = await StoreAsync(once);
        Assert.NotNull(await store.GetAsync(_table, "p", "a", Cancel));

        using var forbidden = new TablesFaultyTransport(TransportFault.Forbidden) { Forever = true };
        using var denied = await StoreAsync(forbidden);
        await Assert.ThrowsAsync<EntityStoreException>(() => denied.GetAsync(_table, "p", "a", Cancel));
        await Assert.ThrowsAsync<EntityStoreException>(() => denied.QueryAsync(_table, "p", RowKeyRange.All, 10, null, Cancel));
    }

    [Fact]
    public async Task Giving_up_waiting_is_a_cancellation()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        using var transport = new TablesFaultyTransport
        {
            Before = async token =>
            {
                await cancel.CancelAsync();
                token.ThrowIfCancellationRequested();
            },
        };
        using var store = await StoreAsync(transport);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => store.SubmitAsync(new(_table, [EntityOperation.Insert(Row("a"))]), cancel.Token));
    }

    [Fact]
    public async Task A_table_is_made_by_the_first_write_that_adds_a_row()
    {
        using var transport = new TablesFaultyTransport();
        using var store = await StoreAsync(transport);

        Assert.Null(await store.GetAsync(_table, "p", "a", Cancel));
        Assert.Empty((await store.QueryAsync(_table, "p", RowKeyRange.All, 10, null, Cancel)).Entities);
        Assert.Equal(TransactionOutcome.NotFound, (await SubmitAsync(store, EntityOperation.Replace(Row("a")))).Outcome);
        Assert.Equal(TransactionOutcome.NotFound, (await SubmitAsync(store, EntityOperation.Delete("p", "a"))).Outcome);
        Assert.DoesNotContain(transport.Requests, request => request.EndsWith("/Tables", StringComparison.Ordinal));

        Assert.True((await SubmitAsync(store, EntityOperation.Insert(Row("a")), EntityOperation.Insert(Row("b")))).Committed);
        Assert.Single(transport.Requests, request => request.EndsWith("/Tables", StringComparison.Ordinal));
        Assert.NotNull(await store.GetAsync(_table, "p", "b", Cancel));
    }

    [Fact]
    public async Task A_refused_transaction_names_the_operation_that_decided()
    {
        var etag = await SeedAsync(Row("c"));
        await SeedAsync(Row("c", "2"));
        using var store = await StoreAsync();

        var mismatch = await SubmitAsync(
            store, EntityOperation.Insert(Row("a")), EntityOperation.Upsert(Row("b")), EntityOperation.Replace(Row("c"), etag));
        var missing = await SubmitAsync(store, EntityOperation.Insert(Row("a")), EntityOperation.Delete("p", "x"));
        var exists = await SubmitAsync(store, EntityOperation.Insert(Row("a")), EntityOperation.Insert(Row("c")));

        Assert.Equal((TransactionOutcome.ETagMismatch, 2), (mismatch.Outcome, mismatch.FailedIndex));
        Assert.Equal((TransactionOutcome.NotFound, 1), (missing.Outcome, missing.FailedIndex));
        Assert.Equal((TransactionOutcome.AlreadyExists, 1), (exists.Outcome, exists.FailedIndex));
        Assert.Null(await ReadAsync("a"));
    }

    [Fact]
    public async Task Every_type_comes_back_as_it_went()
    {
        var moment = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)).AddTicks(1_234_567);
        var id = Guid.NewGuid();
        await SeedAsync(new("p", "a")
        {
            Properties =
            {
                ["text"] = "离职 'quoted' 🙂", ["empty"] = "", ["looksLikeADate"] = "2026-11-22T01:00:00Z", ["int"] = int.MinValue,
                ["long"] = long.MaxValue, ["whole"] = 1.0, ["double"] = 0.1, ["bool"] = false, ["moment"] = moment, ["guid"] = id,
                ["bytes"] = new byte[] { 0, 255 }, ["nothing"] = null,
            },
        });

        var properties = (await ReadAsync("a"))!.Properties;

        Assert.Equal("离职 'quoted' 🙂", properties["text"]);
        Assert.Equal("", properties["empty"]);
        Assert.Equal("2026-11-22T01:00:00Z", properties["looksLikeADate"]);
        Assert.Equal(int.MinValue, properties["int"]);
        Assert.Equal(long.MaxValue, properties["long"]);
        Assert.Equal(1.0, Assert.IsType<double>(properties["whole"]));
        Assert.Equal(0.1, properties["double"]);
        Assert.Equal(false, properties["bool"]);
        Assert.Equal(moment, properties["moment"]);
        Assert.Equal(TimeSpan.Zero, ((DateTimeOffset)properties["moment"]!).Offset);
        Assert.Equal(id, properties["guid"]);
        Assert.Equal(new byte[] { 0, 255 }, properties["bytes"]);
        Assert.Equal(11, properties.Count);
    }

    [Fact]
    public async Task Pages_follow_one_another_by_an_opaque_continuation()
    {
        using var store = await StoreAsync();
        await SubmitAsync(store, [.. Enumerable.Range(0, 25).Select(i => EntityOperation.Insert(Row($"r{i:00}")))]);

        var rows = new List<string>();
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(_table, "p", new("r05", "r22"), 5, continuation, Cancel);
            Assert.InRange(page.Entities.Count, 0, 5);
            rows.AddRange(page.Entities.Select(entity => entity.RowKey));
            continuation = page.Continuation;
            Assert.DoesNotContain("r0", continuation ?? "", StringComparison.Ordinal);
        }
        while (continuation is not null);

        Assert.Equal(Enumerable.Range(5, 17).Select(i => $"r{i:00}"), rows);
    }

    [Theory]
    [InlineData("")]
    [InlineData("t1.%%")]
    [InlineData("r05")]
    public async Task A_foreign_continuation_is_refused(string continuation)
    {
        using var store = await StoreAsync();
        await Assert.ThrowsAsync<ArgumentException>(() => store.QueryAsync(_table, "p", RowKeyRange.All, 5, continuation, Cancel));
    }

    [Fact]
    public async Task Many_transactions_are_sent_side_by_side_but_not_all_at_once()
    {
        await SeedAsync(Row("other"));
        var (underWay, most) = (0, 0);
        var gate = new Lock();
        var three = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var transport = new TablesFaultyTransport
        {
            Before = async token =>
            {
                lock (gate)
                {
                    most = Math.Max(most, ++underWay);
                    if (underWay == 3)
                    {
                        three.TrySetResult();
                    }
                }

                await three.Task.WaitAsync(token);
                lock (gate)
                {
                    underWay--;
                }
            },
        };
        using var store = await StoreAsync(transport, parallelism: 3);

        var results = await store.SubmitManyAsync(
            [.. Enumerable.Range(0, 12).Select(i => EntityTransaction.Of(_table, EntityOperation.Insert(Row(i == 7 ? "other" : $"r{i}"))))], Cancel);

        Assert.Equal(3, most);
        Assert.All(results.Index(), pair => Assert.Equal(pair.Index != 7, pair.Item.Committed));
        Assert.Equal(TransactionOutcome.AlreadyExists, results[7].Outcome);
    }

    [Fact]
    public async Task The_credential_is_not_touched_before_the_first_use()
    {
        var credential = new Lazy<TokenCredential>(() => throw new InvalidOperationException("asked"));
        using var store = new TablesEntityStore(new() { ServiceUri = new("https://account.table.core.windows.net") }, credential, _time);

        Assert.False(credential.IsValueCreated);
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.GetAsync(_table, "p", "a", Cancel));
    }
}
