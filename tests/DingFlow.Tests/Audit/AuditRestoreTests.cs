using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using static DingFlow.Tests.Audit.TrailMeddling;

namespace DingFlow.Tests.Audit;

/// <summary>An archive is restored over what an older copy of the database holds, and never over something else.</summary>
public sealed class AuditRestoreTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task A_copy_that_ends_within_a_day_is_completed_from_the_archive(int lastOfDay)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await using var copy = await CopyAsync(feature, lastOfDay);
        Assert.Equal(0, await RunAsync(feature, copy));

        using var restored = new AuditFeature(copy);
        var result = await restored.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());
        Assert.Equal((3, 30L, 0L), (result.Days, result.Entries, result.OpenEntries));
        await restored.Trail.AppendAsync(TrailDriver.Event("after"), Cancellation);
        Assert.Equal(1, (await restored.VerifyAsync()).OpenEntries);
        Assert.Equal(
            await feature.FindAsync(new() { To = TrailDriver.Start + TimeSpan.FromDays(3) }), (await restored.FindAsync(new())).SkipLast(1));
    }

    [Fact]
    public async Task A_restore_that_dies_anywhere_is_finished_by_the_next_one()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var died = 0;
        for (var operations = 0; ; operations += 3)
        {
            await using var copy = await CopyAsync(feature, 3);
            var archive = new ArchiveVerifier(new AuditArchive(copy.Real, new FolderFiles(feature.ArchivePath)));
            copy.Store.DieAfter(operations, loseAnswer: operations % 2 == 1);
            var ended = await Record.ExceptionAsync(() => archive.RestoreAsync(copy.Store, Cancellation)) is null;
            copy.Store.Heal();
            await archive.RestoreAsync(copy.Store, Cancellation);
            using var restored = new AuditFeature(copy);
            var result = await restored.VerifyAsync();
            Assert.True(result.Ok, $"after {operations} operations: {result.FirstFault}");
            Assert.Equal((3, 30L, 0L), (result.Days, result.Entries, result.OpenEntries));
            if (ended)
            {
                break;
            }

            died++;
        }

        Assert.True(died > 5, $"died {died} times only");
    }

    [Fact]
    public async Task What_the_store_holds_behind_the_archive_stays()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", "2026-11-26")), Cancellation);
        Assert.Equal(0, await RunAsync(feature, driver));
        var result = await feature.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());
        Assert.Equal((30L, 2L), (result.Entries, result.OpenEntries));
    }

    [Fact]
    public async Task A_copy_that_went_on_by_itself_is_not_written_over()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await using var copy = await CopyAsync(feature, 3);
        await copy.Open("main", copy.Real).AppendAsync(TrailDriver.Event("on its own"), Cancellation);
        using var output = new StringWriter();
        Assert.Equal(AuditCommand.Broken, await AuditCommand.RunAsync(["audit", "restore", feature.ArchivePath], output, () => copy.Real, Cancellation));
        Assert.Contains("main", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("on its own", await copy.ReasonsAsync());

        // Neither over a day that was sealed otherwise.
        await using var other = new TrailDriver();
        using var otherwise = await AuditFeature.WithThreeDaysAsync(other);
        await CutAfterAsync(otherwise, "2026-11-25", 10);
        Assert.Equal(AuditCommand.Broken, await AuditCommand.RunAsync(["audit", "restore", feature.ArchivePath], output, () => other.Real, Cancellation));
    }

    private static async Task<int> RunAsync(AuditFeature feature, TrailDriver store)
    {
        using var output = new StringWriter();
        return await AuditCommand.RunAsync(["audit", "restore", feature.ArchivePath], output, () => store.Real, Cancellation);
    }

    /// <summary>The database as it was on the second day, after so many entries of each writer.</summary>
    private static async Task<TrailDriver> CopyAsync(AuditFeature feature, int lastOfDay)
    {
        var copy = new TrailDriver();
        copy.Time.SetUtcNow(feature.Driver.Time.GetUtcNow());
        var seal = (await feature.Seals.FindAsync("2026-11-24", Cancellation))!;
        foreach (var chain in (string[])["main", "other"])
        {
            await copy.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(AuditRows.Chain(chain, TrailDriver.Start))), Cancellation);
            await foreach (var row in AuditChainReader.RowsAsync(feature.Driver.Real, chain, 1, 5 + lastOfDay, Cancellation))
            {
                await copy.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(new Entity(chain, row.RowKey) { Properties = row.Properties })), Cancellation);
            }

            var last = await EntryAsync(feature, chain, 5 + lastOfDay);
            await copy.Real.SubmitAsync(
                EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(AuditRows.Head(chain, new(last.Sequence, last.Hash, last.RecordedAt, null)))), Cancellation);
        }

        var seals = new AuditSeals(copy.Real);
        await seals.PutLeavesAsync(seal.Day, await feature.Seals.LeavesAsync(seal, Cancellation), Cancellation);
        await seals.AdvanceAsync(seal, await seals.ChainsAsync(Cancellation), Cancellation);
        await seals.AddAsync(seal, Cancellation);
        for (var bucket = 0; bucket < 32; bucket++)
        {
            if (await feature.Driver.Real.GetAsync(AuditRows.TrailTable, $"index|{bucket:D2}", seal.Day, Cancellation) is { } row)
            {
                await copy.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(new Entity(row.PartitionKey, row.RowKey) { Properties = row.Properties })), Cancellation);
            }
        }

        return copy;
    }
}
