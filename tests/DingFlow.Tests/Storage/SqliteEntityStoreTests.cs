using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

public sealed class SqliteEntityStoreTests : EntityStoreContract
{
    private readonly DataDirectory _directory = new();
    private SqliteDatabase? _database;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _database?.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task What_was_answered_survives_a_killed_process()
    {
        var etags = new List<string?>();
        for (var i = 0; i < 20; i++)
        {
            var result = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", $"r{i:00}", ("V", i)))), Token);
            etags.Add(Assert.Single(result.ETags));
        }

        using var left = _directory.Copy();
        using var database = new SqliteDatabase(left.Path);
        var store = new SqliteEntityStore(database, TimeProvider.System);
        var page = await store.QueryAsync(Table, "p", RowKeyRange.All, 100, null, Token);

        Assert.Equal(Enumerable.Range(0, 20), page.Entities.Select(e => e.Properties.Get<int>("V")));
        Assert.Equal(etags, page.Entities.Select(e => e.ETag));
    }

    [Fact]
    public async Task A_new_process_uses_no_etag_again()
    {
        var before = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r"))), Token);
        Assert.True((await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete("p", "r")), Token)).Committed);

        using var left = _directory.Copy();
        using var database = new SqliteDatabase(left.Path);
        var store = new SqliteEntityStore(database, TimeProvider.System);
        var after = await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Row("p", "r"))), Token);

        Assert.True(after.Committed);
        Assert.NotEqual(before.ETags[0], after.ETags[0]);
    }

    [Fact]
    public async Task Many_transactions_share_one_commit()
    {
        await InsertAsync(Row("p", "first"));
        var before = _database!.Main.Commits;

        var results = await Store.SubmitManyAsync(
            [.. Enumerable.Range(0, 500).Select(i => EntityTransaction.Of(Table, EntityOperation.Insert(Row($"p{i}", "r"))))], Token);

        Assert.All(results, r => Assert.True(r.Committed));
        Assert.Equal(before + 1, _database.Main.Commits);
    }

    [Fact]
    public async Task Ledger_tables_lie_in_a_file_of_their_own()
    {
        await InsertAsync(Row("p", "r"));
        Assert.False(File.Exists(Path.Combine(_directory.Path, "ledger.db")));
        var before = _database!.Main.Commits;

        Assert.True((await Store.SubmitAsync(EntityTransaction.Of("LedgerSubjects", EntityOperation.Insert(Row("p", "r"))), Token)).Committed);

        Assert.True(File.Exists(Path.Combine(_directory.Path, "ledger.db")));
        Assert.Equal(before, _database.Main.Commits);
    }

    [Fact]
    public async Task A_full_disk_is_a_fault_of_the_store()
    {
        await InsertAsync(Row("p", "r"));
        await _database!.Main.WriteAsync(
            connection =>
            {
                connection.Script("PRAGMA max_page_count=1");
                return true;
            },
            null,
            Token);

        await Assert.ThrowsAsync<EntityStoreException>(() => InsertAsync(Row("p", "big", ("V", new byte[60_000]))));

        Assert.Null(await Store.GetAsync(Table, "p", "big", Token));
    }

    [Fact]
    public async Task A_damaged_row_is_a_fault_of_the_store()
    {
        await InsertAsync(Row("p", "r", ("V", 1)));
        await _database!.Main.WriteAsync(
            connection =>
            {
                connection.Script("UPDATE entities SET props = substr(props, 1, length(props) - 1)");
                return true;
            },
            null,
            Token);

        await Assert.ThrowsAsync<EntityStoreException>(() => Store.GetAsync(Table, "p", "r", Token));
    }

    [Fact]
    public async Task An_empty_row_key_is_a_key()
    {
        await InsertAsync(Row("p", "", ("V", 1)));
        await InsertAsync(Row("p", "a", ("V", 2)));

        Assert.Equal(1, (await Store.GetAsync(Table, "p", "", Token))!.Properties.Get<int>("V"));
        Assert.Equal(["", "a"], (await ReadAllAsync(Table, "p", RowKeyRange.All, 1)).Select(e => e.RowKey));
    }

    protected override Task<IEntityStore> CreateStoreAsync()
    {
        _database = new SqliteDatabase(_directory.Path);
        return Task.FromResult<IEntityStore>(new SqliteEntityStore(_database, TimeProvider.System));
    }
}
