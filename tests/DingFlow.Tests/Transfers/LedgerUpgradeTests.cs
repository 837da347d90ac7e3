using System.IO.Compression;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using static DingFlow.Tests.Transfers.LedgerScenario;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// A ledger that an earlier version wrote is opened, counts the same and goes on. <c>Fixtures/ledger-schema-1.db.gz</c> is such a file: two shards,
/// eight batches of 160 records over two years, the third voided, subject 9 united with subject 5.
/// </summary>
public sealed class LedgerUpgradeTests : IDisposable
{
    private readonly DataDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static LedgerOptions Options { get; } = new("key-1") { Shards = 2 };

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_ledger_of_the_first_schema_counts_the_same_and_goes_on()
    {
        await CopyAsync();
        var model = Model();
        using (var database = new SqliteDatabase(_directory.Path))
        {
            await using var ledger = Ledger(new SqliteEntityStore(database, TimeProvider.System), Options);
            await model.AssertAgreesAsync(ledger, LedgerScenario.Exporter, Token);
            Assert.Equal(480, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);

            var more = Batch("b-8", [.. Enumerable.Range(600, 300).Select(FixtureRecord)]);
            await ledger.AppendAsync(more, Token);
            await ledger.AppendAsync(Batch("b-3", BatchRecords(3)), Token);
            await ledger.VoidBatchAsync(LedgerScenario.Exporter, "b-4", Token);
            model.Append(more.Id, more.Records);
            model.Void("b-4");
            await model.AssertAgreesAsync(ledger, LedgerScenario.Exporter, Token);
        }

        using var again = new SqliteDatabase(_directory.Path);
        await using var reopened = Ledger(new SqliteEntityStore(again, TimeProvider.System), Options);
        await model.AssertAgreesAsync(reopened, LedgerScenario.Exporter, Token);
    }

    private static LedgerModel Model()
    {
        var model = new LedgerModel(Predicates);
        for (var batch = 0; batch < 8; batch++)
        {
            model.Append($"b-{batch}", BatchRecords(batch));
        }

        model.Void("b-2");
        model.Union(Subject(5), Subject(9));
        return model;
    }

    private static SubjectTransfer[] BatchRecords(int batch) => [.. Enumerable.Range(batch * 80, 160).Select(FixtureRecord)];

    private static SubjectTransfer FixtureRecord(int subject) => Record(
        subject, subject % 3 == 0 ? "2025-08-01T00:00:00Z" : "2026-08-01T00:00:00Z",
        subject % 5 == 0 ? [Fact(), Fact(dataClass: DataClass.Finance)] : subject % 7 == 0 ? [Fact("CN-MO", "acme-mo")] : [Fact()]);

    private async Task CopyAsync()
    {
        var fixture = Path.Combine(AppContext.BaseDirectory, "Transfers", "Fixtures", "ledger-schema-1.db.gz");
        await using var packed = new GZipStream(File.OpenRead(fixture), CompressionMode.Decompress);
        await using var file = File.Create(Path.Combine(_directory.Path, "ledger.db"));
        await packed.CopyToAsync(file, Token);
    }
}
