using System.IO.Compression;
using System.Runtime.Versioning;
using System.Text;
using CsCheck;
using DingFlow.Commands;
using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>A store goes into a file and comes back the same, from either store into either.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class StoreBackupTests(AzuriteFixture azurite) : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);

    private readonly DataDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Backup => Path.Combine(_directory.Path, "backup.jsonl.gz");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Rows_of_every_type_come_back_as_they_were()
    {
        using var from = Sqlite("from");
        using var to = Sqlite("to");
        await FillAsync(from.Store, 250);

        var exported = await Of(from.Store).ExportAsync(Backup, Now, Token);
        var imported = await Of(to.Store).ImportAsync(Backup, over: false, Token);

        Assert.Equal((exported.Rows, 3), (imported.Rows, exported.Tables.Count));
        Assert.Empty(exported.DifferencesFrom(imported));
        Assert.Empty(await Of(to.Store).VerifyAsync(Backup, Token));
        var row = await to.Store.GetAsync("Cases", "p", "r-7", Token);
        Assert.Equal(Sample(7).OrderBy(p => p.Key, StringComparer.Ordinal), row!.Properties.OrderBy(p => p.Key, StringComparer.Ordinal));
        Assert.NotNull(await to.Store.GetAsync("LedgerShards", "acme|0001", "C", Token));
    }

    [Fact]
    public async Task A_store_goes_from_one_machine_to_Azure_and_back()
    {
        using var from = Sqlite("from");
        using var back = Sqlite("back");
        await FillAsync(from.Store, 30);
        using var tables = new TablesEntityStore(
            new() { ConnectionString = await azurite.ConnectionStringAsync(Token) },
            new(() => throw new InvalidOperationException("No token is needed.")), TimeProvider.System);
        // Azurite is shared with other tests: what is compared are the rows of this one.
        await Of(from.Store).ExportAsync(Backup, Now, Token);

        await Of(tables).ImportAsync(Backup, over: true, Token);

        var there = new ChosenRows(tables, ["backupcases", "ledgershards", "cases"], row => row.Entity.PartitionKey is "p" or "q" or "acme|0001");
        var second = Path.Combine(_directory.Path, "second.jsonl.gz");
        await new StoreBackup(tables, there).ExportAsync(second, Now, Token);
        await Of(back.Store).ImportAsync(second, over: false, Token);
        Assert.Empty(await Of(back.Store).VerifyAsync(Backup, Token));
    }

    [Fact]
    public async Task Whatever_is_missing_added_or_changed_is_named()
    {
        using var from = Sqlite("from");
        await FillAsync(from.Store, 5);
        await Of(from.Store).ExportAsync(Backup, Now, Token);

        await SubmitAsync(from.Store, "Cases", EntityOperation.Delete("p", "r-1"));
        await SubmitAsync(from.Store, "BackupCases", EntityOperation.Upsert(new Entity("q", "s-1") { Properties = new() { ["Name"] = "other" } }));
        await SubmitAsync(from.Store, "New", EntityOperation.Insert(new Entity("p", "r")));

        Assert.Equal(
            ["backupcases: as many rows as in the backup (5), but not the same", "cases: 4 rows, 5 in the backup", "new: 1 rows, 0 in the backup"],
            await Of(from.Store).VerifyAsync(Backup, Token));
    }

    [Fact]
    public async Task A_store_that_has_rows_is_not_written_over_unless_asked()
    {
        using var from = Sqlite("from");
        using var to = Sqlite("to");
        await FillAsync(from.Store, 5);
        await Of(from.Store).ExportAsync(Backup, Now, Token);
        await SubmitAsync(to.Store, "Other", EntityOperation.Insert(new Entity("p", "r")));

        await Assert.ThrowsAsync<InvalidOperationException>(() => Of(to.Store).ImportAsync(Backup, over: false, Token));
        Assert.Null(await to.Store.GetAsync("Cases", "p", "r-1", Token));

        await Of(to.Store).ImportAsync(Backup, over: true, Token);
        Assert.NotNull(await to.Store.GetAsync("Cases", "p", "r-1", Token));
        Assert.NotNull(await to.Store.GetAsync("Other", "p", "r", Token));
    }

    [Fact]
    public async Task A_backup_is_never_overwritten_and_only_its_owner_may_read_it()
    {
        using var from = Sqlite("from");
        await Of(from.Store).ExportAsync(Backup, Now, Token);

        await Assert.ThrowsAsync<IOException>(() => Of(from.Store).ExportAsync(Backup, Now, Token));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Backup));
    }

    /// <summary>Cut anywhere, or with any byte changed, it is refused before the first row is written.</summary>
    [Fact]
    public async Task A_torn_or_damaged_backup_is_refused_whole()
    {
        using var from = Sqlite("from");
        using var to = Sqlite("to");
        await FillAsync(from.Store, 20);
        await Of(from.Store).ExportAsync(Backup, Now, Token);
        var text = Unzip(await File.ReadAllBytesAsync(Backup, Token));

        await Gen.Int[0, text.Length - 2].Select(Gen.Bool).SampleAsync(
            async cut =>
            {
                var (at, flip) = cut;
                var torn = flip ? [.. text[..at], (byte)(text[at] ^ 1), .. text[(at + 1)..]] : text[..at];
                var path = Path.Combine(_directory.Path, Path.GetRandomFileName());
                await File.WriteAllBytesAsync(path, Zip(torn), Token);
                // The time in the first line is not part of what is proved.
                if (at > 60)
                {
                    await Assert.ThrowsAsync<InvalidDataException>(() => Of(to.Store).ImportAsync(path, over: false, Token));
                    Assert.Null(await to.Store.GetAsync("Cases", "p", "r-1", Token));
                }
            },
            iter: 150,
            threads: 1);
    }

    [Fact]
    public async Task Anything_else_is_no_backup()
    {
        using var to = Sqlite("to");
        await File.WriteAllBytesAsync(Backup, Zip("{\"dingflowBackup\":2}\n{\"end\":{}}\n"u8.ToArray()), Token);
        await Assert.ThrowsAsync<InvalidDataException>(() => Of(to.Store).ImportAsync(Backup, over: false, Token));
        await File.WriteAllTextAsync(Backup, "not gzip", Token);
        await Assert.ThrowsAsync<InvalidDataException>(() => Of(to.Store).ImportAsync(Backup, over: false, Token));
    }

    [Theory]
    [InlineData]
    [InlineData("export")]
    [InlineData("erase", "file")]
    [InlineData("export", "file", "--over")]
    public async Task A_command_that_is_not_understood_explains_itself(params string[] words)
    {
        using var output = new StringWriter();

        Assert.Equal(64, await BackupCommand.RunAsync(words, output, Token));

        Assert.Contains("DingFlow backup export FILE", output.ToString(), StringComparison.Ordinal);
    }

    private static StoreBackup Of(IEntityStore store) => new(store, (IStoredRows)store);

    private OpenStore Sqlite(string name) => new(Path.Combine(_directory.Path, name));

    private static async Task FillAsync(IEntityStore store, int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            await SubmitAsync(store, "Cases", EntityOperation.Insert(new Entity("p", $"r-{i}") { Properties = Sample(i) }));
            await SubmitAsync(store, "BackupCases", EntityOperation.Insert(new Entity("q", $"s-{i}") { Properties = new() { ["Name"] = "鐘" } }));
        }

        await SubmitAsync(store, "LedgerShards", EntityOperation.Insert(new Entity("acme|0001", "C") { Properties = new() { ["Data"] = new byte[60_000] } }));
    }

    private static EntityProperties Sample(int i) => new()
    {
        ["Text"] = $"\"quoted\" \\ and 钉钉 {i}", ["Empty"] = "", ["Int"] = int.MinValue + i, ["Long"] = long.MaxValue - i, ["Double"] = 0.1 * i,
        ["Infinite"] = double.PositiveInfinity, ["Yes"] = true, ["No"] = false, ["When"] = Now.AddTicks(i), ["Id"] = new Guid(i, 0, 0, new byte[8]),
        ["Bytes"] = Encoding.UTF8.GetBytes($"bytes {i}"),
    };

    private static async Task SubmitAsync(IEntityStore store, string table, EntityOperation operation) =>
        Assert.True((await store.SubmitAsync(EntityTransaction.Of(table, operation), Token)).Committed);

    private static byte[] Unzip(byte[] bytes)
    {
        using var zip = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
        using var text = new MemoryStream();
        zip.CopyTo(text);
        return text.ToArray();
    }

    private static byte[] Zip(byte[] text)
    {
        using var bytes = new MemoryStream();
        using (var zip = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
        {
            zip.Write(text);
        }

        return bytes.ToArray();
    }

    private sealed class OpenStore(string directory) : IDisposable
    {
        private readonly SqliteDatabase _database = new(directory);
        private IEntityStore? _store;

        public IEntityStore Store => _store ??= new SqliteEntityStore(_database, TimeProvider.System);

        public void Dispose() => _database.Dispose();
    }

    /// <summary>Some rows of a store that others use, too.</summary>
    private sealed class ChosenRows(IStoredRows all, HashSet<string> tables, Func<StoredRow, bool> choose) : IStoredRows
    {
        public async IAsyncEnumerable<StoredRow> ReadAllAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var row in all.ReadAllAsync(cancellationToken))
            {
                if (tables.Contains(row.Table) && choose(row))
                {
                    yield return row;
                }
            }
        }
    }
}
