using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using static DingFlow.Tests.Audit.TrailMeddling;

namespace DingFlow.Tests.Audit;

/// <summary>What the law or a court wants kept stays, and what goes goes as it is recorded, in the store and in the archive.</summary>
public sealed class AuditHoldTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hold_that_was_confirmed_while_content_was_being_removed_holds()
    {
        await using var driver = new TrailDriver();
        var store = new InterposedStore(driver.Real);
        using var feature = await WithOldDaysAsync(driver, store);
        AuditHold hold = new("case-1", "litigation", "key:legal", driver.Time.GetUtcNow());
        var placed = false;
        store.Before = async transaction =>
        {
            // The run has looked at the holds and is about to take the first content away.
            if (!placed && transaction.Table == AuditRows.EntriesTable && transaction.Operations.Any(static one => one.Kind == EntityOperationKind.Replace && one.Entity.RowKey.StartsWith("e|", StringComparison.Ordinal)))
            {
                placed = true;
                Assert.True(await feature.Holds.PlaceAsync(hold, Cancellation));
            }
        };
        await feature.Expiry.RunAsync(Cancellation);

        Assert.True(placed);
        Assert.Equal(["main 1.0", "main 1.1", "main 1.2", "main 1.3", "main 1.4"], await feature.FindAsync(new() { CaseId = "case-1", Kind = TrailDriver.Kind.Name }));
        Assert.True((await feature.VerifyAsync()).Ok);
        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-0", Kind = TrailDriver.Kind.Name }));
    }

    [Fact]
    public async Task A_hold_that_went_without_a_release_still_holds()
    {
        await using var driver = new TrailDriver();
        using var feature = await WithOldDaysAsync(driver);
        foreach (var caseId in (string[])["case-0", "case-1"])
        {
            await feature.Holds.PlaceAsync(new(caseId, "litigation", "key:legal", driver.Time.GetUtcNow()), Cancellation);
        }

        await feature.Holds.ReleaseAsync("case-0", "settled", "key:legal", Cancellation);
        await feature.Trail.DrainAsync(Cancellation);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("holds", "case-1")), Cancellation);
        await feature.Expiry.RunAsync(Cancellation);

        Assert.Equal(5, (await feature.FindAsync(new() { CaseId = "case-1", Kind = TrailDriver.Kind.Name })).Count);
        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-0", Kind = TrailDriver.Kind.Name }));
        Assert.Equal("case-1", Assert.Single(await feature.Holds.ListAsync(Cancellation)).CaseId);
        Assert.True(await feature.Holds.ReleaseAsync("case-1", "settled", "key:legal", Cancellation));
        await feature.Trail.DrainAsync(Cancellation);
        Assert.Empty(await feature.Holds.ListAsync(Cancellation));
        Assert.False(await feature.Holds.ReleaseAsync("case-1", "settled", "key:legal", Cancellation));
        Assert.True(await feature.Expiry.RunAsync(Cancellation) >= 5);
    }

    [Fact]
    public async Task More_content_that_is_gone_than_the_removals_record_is_named()
    {
        await using var driver = new TrailDriver();
        using var feature = await WithOldDaysAsync(driver);
        await feature.Trail.AppendAsync(TrailDriver.Event("of case 1") with { CaseId = "case-1" }, Cancellation);
        await feature.Holds.PlaceAsync(new("case-1", "litigation", "key:legal", driver.Time.GetUtcNow()), Cancellation);
        await feature.Trail.DrainAsync(Cancellation);
        await feature.Expiry.RunAsync(Cancellation);
        driver.Time.Advance(TimeSpan.FromDays(200));
        await feature.SealAsync();
        await feature.Expiry.RunAsync(Cancellation);
        var result = await feature.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());

        // Of a day of which other content was removed lawfully.
        var (chain, held) = ("main", (await feature.Search.ReadAsync(new() { CaseId = "case-1", Kind = TrailDriver.Kind.Name }, new(), Cancellation).LastAsync(Cancellation)).Entry);
        Assert.NotNull(held.Content);
        await RewriteAsync(feature, chain, entry => entry.Sequence == held.Sequence ? entry with { Content = null } : entry);
        Assert.Equal(AuditFaultKind.ContentMissing, (await feature.VerifyAsync()).FirstFault!.Kind);
    }

    [Theory]
    [InlineData("00:00:00", false)]
    [InlineData("179.00:00:00", false)]
    [InlineData("180.00:00:00", true)]
    public async Task A_removal_that_records_less_than_the_law_wants_or_another_time_covers_nothing(string operational, bool fromTheFuture)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        driver.Time.Advance(TimeSpan.FromDays(100));
        await feature.Trail.AppendAsync(
            new()
            {
                Kind = AuditAudit.ContentExpired, Actor = AuditActor.System("ExpireAudit"), Payload = PayloadHash.None, On = new("day", "2026-11-24"),
                OccurredAt = driver.Time.GetUtcNow().AddDays(fromTheFuture ? 1000 : 0),
                Details = new Dictionary<string, string> { ["day"] = "2026-11-24", ["count"] = "1", ["gone"] = "1", ["operational"] = operational, ["legal"] = "1096.00:00:00" },
            },
            Cancellation);
        await RewriteAsync(feature, "main", entry => entry.Sequence == 2 ? entry with { Content = null } : entry);
        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.ContentMissing, "main", 2L), (fault.Kind, fault.Chain, fault.Sequence!.Value));
        await feature.SealAsync();
        fault = (await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation)).FirstFault;
        Assert.Null(fault); // The archive still has it.
    }

    [Fact]
    public async Task The_archive_is_whole_and_can_be_restored_on_every_day_on_which_content_goes()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        for (var day = 178; day < 190; day++)
        {
            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(day));
            await feature.SealAsync();
            await feature.Trail.AppendAsync(TrailDriver.Event($"day {day}"), Cancellation);
            await feature.Expiry.RunAsync(Cancellation);
            var archived = await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation);
            Assert.True(archived.Ok, $"day {day}: {archived.FirstFault}");
            await using var empty = new TrailDriver();
            empty.Time.SetUtcNow(driver.Time.GetUtcNow());
            await new ArchiveVerifier(new AuditArchive(empty.Real, new FolderFiles(feature.ArchivePath))).RestoreAsync(empty.Real, Cancellation);
            using var restored = new AuditFeature(empty);
            var result = await restored.VerifyAsync();
            Assert.True(result.Ok, $"day {day}: {result.FirstFault}");
        }

        Assert.Equal(17, (await feature.VerifyAsync()).WithoutContent);
        Assert.True((await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation)).WithoutContent >= 15, "the archive forgets as well");
    }

    [Fact]
    public async Task An_archive_that_could_not_be_written_when_content_went_forgets_it_later()
    {
        await using var driver = new TrailDriver();
        var files = new FailingFiles();
        using var feature = await WithOldDaysAsync(driver, files: files);
        files.Fails = true;
        await feature.Expiry.RunAsync(Cancellation);
        Assert.Equal(17, (await feature.VerifyAsync()).WithoutContent);
        for (var day = 0; day < 3; day++)
        {
            driver.Time.Advance(TimeSpan.FromDays(1));
            await feature.Expiry.RunAsync(Cancellation);
            files.Fails = false;
            await feature.SealAsync();
        }

        await feature.Expiry.RunAsync(Cancellation);
        var archived = await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation);
        Assert.True(archived.Ok, archived.FirstFault?.ToString());
        Assert.Equal(17, archived.WithoutContent);
    }

    [Fact]
    public async Task Whatever_dies_while_content_is_removed_store_and_archive_are_whole_and_forget_in_the_end()
    {
        var died = 0;
        for (var operations = 0; ; operations += 2)
        {
            await using var driver = new TrailDriver();
            using var feature = await AuditFeature.WithThreeDaysAsync(driver, store: driver.Store);
            await feature.Holds.PlaceAsync(new("case-1", "litigation", "key:legal", driver.Time.GetUtcNow()), Cancellation);
            await feature.Trail.DrainAsync(Cancellation);
            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(190));
            await feature.SealAsync();
            driver.Store.DieAfter(operations, loseAnswer: operations % 4 == 2);
            var ended = await Record.ExceptionAsync(() => feature.Expiry.RunAsync(Cancellation)) is null && !driver.Store.Dead;
            driver.Store.Heal();
            for (var day = 191; day < 195; day++)
            {
                var result = await feature.VerifyAsync();
                Assert.True(result.Ok, $"after {operations} operations: {result.FirstFault}");
                var archived = await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation);
                Assert.True(archived.Ok, $"after {operations} operations: {archived.FirstFault}");
                await feature.Expiry.RunAsync(Cancellation);
                driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(day));
                await feature.SealAsync();
            }

            Assert.Equal(12, (await feature.VerifyAsync()).WithoutContent);
            Assert.Equal(12, (await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation)).WithoutContent);
            Assert.Equal(5, (await feature.FindAsync(new() { CaseId = "case-1", Kind = TrailDriver.Kind.Name })).Count);
            died += ended ? 0 : 1;
            if (ended)
            {
                break;
            }
        }

        Assert.True(died > 10, $"died {died} times only");
    }

    [Fact]
    public async Task A_damaged_line_of_one_day_does_not_keep_the_content_of_the_others()
    {
        await using var driver = new TrailDriver();
        using var feature = await WithOldDaysAsync(driver);
        await PutBytesAsync(feature, "main", 2, "{\"chain\":\"main\"}\n"u8.ToArray());
        await RewriteAsync(feature, "other", static entry => entry); // Unharmed: it shows that rows may be written again.
        await feature.Expiry.RunAsync(Cancellation);
        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-2", Kind = TrailDriver.Kind.Name }));
    }

    /// <summary>Three days whose operational content may go.</summary>
    private static async Task<AuditFeature> WithOldDaysAsync(TrailDriver driver, IEntityStore? store = null, IAuditFiles? files = null)
    {
        var feature = await AuditFeature.WithThreeDaysAsync(driver, store: store, files: files);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(200));
        await feature.SealAsync();
        return feature;
    }

    /// <summary>A store before whose writes something else happens.</summary>
    private sealed class InterposedStore(IEntityStore inner) : IEntityStore
    {
        private bool _isInside;

        public Func<EntityTransaction, Task>? Before { get; set; }

        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            inner.GetAsync(table, partitionKey, rowKey, cancellationToken);

        public Task<EntityPage> QueryAsync(
            string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

        public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
        {
            if (Before is { } before && !_isInside)
            {
                _isInside = true;
                await before(transaction);
                _isInside = false;
            }

            return await inner.SubmitAsync(transaction, cancellationToken);
        }

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
            inner.SubmitManyAsync(transactions, cancellationToken);
    }

    /// <summary>Files that cannot be written for a time.</summary>
    private sealed class FailingFiles : IAuditFiles
    {
        private readonly Dictionary<string, byte[]> _files = new(StringComparer.Ordinal);

        public bool Fails { get; set; }

        public async Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken)
        {
            if (Fails)
            {
                throw new IOException("The container cannot be reached.");
            }

            using var bytes = new MemoryStream();
            await content.CopyToAsync(bytes, cancellationToken);
            _files[name] = bytes.ToArray();
            return true;
        }

        public async Task<bool> CreateAsync(string name, Stream content, CancellationToken cancellationToken) =>
            !_files.ContainsKey(name) && await PutAsync(name, content, cancellationToken);

        public Task<Stream?> OpenFirstAsync(string name, CancellationToken cancellationToken) => OpenAsync(name, cancellationToken);

        public Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken) =>
            Task.FromResult<Stream?>(_files.TryGetValue(name, out var bytes) ? new MemoryStream(bytes) : null);

        public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) =>
            _files.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToAsyncEnumerable();
    }
}
