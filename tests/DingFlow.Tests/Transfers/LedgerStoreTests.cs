using DingFlow.Storage;
using DingFlow.Tests.Storage;
using DingFlow.Transfers.Ledger;
using static DingFlow.Tests.Transfers.LedgerScenario;

namespace DingFlow.Tests.Transfers;

/// <summary>The ledger over the stores that people run.</summary>
public sealed class LedgerStoreTests(AzuriteFixture azurite)
{
    private const int Subjects = 3000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Sqlite_counts_and_remembers()
    {
        using var directory = new DataDirectory();
        var model = new LedgerModel(Predicates);
        using (var database = new SqliteDatabase(directory.Path))
        {
            await using var ledger = Ledger(new SqliteEntityStore(database, TimeProvider.System), SmallOptions with { ChunkRecords = 500, MergeRecords = 2000 });
            await ExerciseAsync(ledger, model);
        }

        using var again = new SqliteDatabase(directory.Path);
        await using var reopened = Ledger(new SqliteEntityStore(again, TimeProvider.System));
        await model.AssertAgreesAsync(reopened, LedgerScenario.Exporter, Token);
    }

    [Fact]
    public async Task Table_storage_counts_with_two_writers()
    {
        using var store = new TablesEntityStore(
            new() { ConnectionString = await azurite.ConnectionStringAsync(Token) },
            new(() => throw new InvalidOperationException("No token is needed.")), TimeProvider.System);
        var exporter = $"e{Guid.NewGuid():N}";
        var model = new LedgerModel(Predicates);
        await using var one = Ledger(store);
        await using var other = Ledger(store);

        var batches = Enumerable.Range(0, 8)
            .Select(i => Batch($"b-{i}", [.. Enumerable.Range(i * 20, 60).Select(s => Record(s) with { Exporter = exporter })])).ToList();
        batches.ForEach(batch => model.Append(batch.Id, batch.Records));
        await Task.WhenAll(batches.Select((batch, i) => (i % 2 == 0 ? one : other).AppendAsync(batch, Token)));
        await one.VoidBatchAsync(exporter, "b-3", Token);
        model.Void("b-3");
        await other.UnionAsync(exporter, Subject(1), Subject(2), Token);
        model.Union(Subject(1), Subject(2));

        await model.AssertAgreesAsync(one, exporter, Token);
        await model.AssertAgreesAsync(other, exporter, Token);
    }

    private static async Task ExerciseAsync(SubjectLedger ledger, LedgerModel model)
    {
        for (var part = 0; part < 6; part++)
        {
            var batch = Batch(
                $"b-{part}",
                [.. Enumerable.Range(part * 400, Subjects / 4).Select(s => Record(s, s % 3 == 0 ? "2025-08-01T00:00:00Z" : "2026-08-01T00:00:00Z"))]);
            await ledger.AppendAsync(batch, Token);
            model.Append(batch.Id, batch.Records);
        }

        await ledger.VoidBatchAsync(LedgerScenario.Exporter, "b-2", Token);
        model.Void("b-2");
        await ledger.UnionAsync(LedgerScenario.Exporter, Subject(5), Subject(9), Token);
        model.Union(Subject(5), Subject(9));
        await model.AssertAgreesAsync(ledger, LedgerScenario.Exporter, Token);
    }
}
