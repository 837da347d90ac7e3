using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>The contract, over the tables of the subject ledger: they lie in a file of their own with a schema of its own.</summary>
public sealed class SqliteLedgerFileTests() : EntityStoreContract("Ledger")
{
    private readonly DataDirectory _directory = new();
    private SqliteDatabase? _database;

    private string LedgerPath => Path.Combine(_directory.Path, "ledger.db");

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _database?.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Rows_of_the_first_schema_keep_their_content_their_order_and_their_etags()
    {
        // The store of that version knew the same statements, only the tables were others.
        Entity[] rows =
        [
            .. Enumerable.Range(0, 40).Select(i => Row($"p{i % 3}", $"r{i * 7 % 40:00}", ("V", i), ("Data", new byte[i * 1500]))),
        ];
        List<string?> etags = [];
        using (var file = SqliteFile.Open(LedgerPath, [SqliteSchema.Ledger[0]]))
        {
            var entities = new SqliteEntityFile(file, TimeProvider.System);
            foreach (var row in rows)
            {
                var operation = new SqliteEntityOperation(EntityOperationKind.Insert, row.RowKey, null, SqliteEntityEncoding.Encode(row.Properties));
                etags.AddRange((await entities.SubmitAsync([new(Table, row.PartitionKey, [operation])], Token))[0].ETags);
            }
        }

        for (var i = 0; i < rows.Length; i++)
        {
            var read = await Store.GetAsync(Table.ToUpperInvariant(), rows[i].PartitionKey, rows[i].RowKey, Token);
            Assert.Equal((etags[i], i), (read!.ETag, read.Properties.Get<int>("V")));
            Assert.Equal(i * 1500, read.Properties.Get<byte[]>("Data")!.Length);
        }

        Assert.Equal(
            rows.Where(row => row.PartitionKey == "p1").Select(row => row.RowKey).Order(StringComparer.Ordinal),
            (await ReadAllAsync(Table, "p1", RowKeyRange.All, 5)).Select(row => row.RowKey));
        var replaced = await Store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(rows[3] with { ETag = etags[3] })), Token);
        Assert.True(replaced.Committed);
        Assert.DoesNotContain(replaced.ETags[0], etags);
    }

    protected override Task<IEntityStore> CreateStoreAsync()
    {
        _database = new SqliteDatabase(_directory.Path);
        return Task.FromResult<IEntityStore>(new SqliteEntityStore(_database, TimeProvider.System));
    }
}
