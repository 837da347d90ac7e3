using System.IO.Compression;
using Azure.Storage.Blobs;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>Content goes, proof stays; archives stand on their own.</summary>
public sealed class AuditRetentionTests(AzuriteFixture azurite)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Content_goes_with_its_retention_unless_it_is_held_and_everything_can_still_be_verified()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        Assert.True(await feature.Holds.PlaceAsync(new("case-1", "litigation", "key:legal", driver.Time.GetUtcNow()), Cancellation));
        Assert.False(await feature.Holds.PlaceAsync(new("case-1", "again", "key:legal", driver.Time.GetUtcNow()), Cancellation));
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));

        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(200));
        await feature.SealAsync();
        Assert.Equal(12, await feature.Expiry.RunAsync(Cancellation)); // Days 0 and 2 of main, and the two that were open; day 1 is held.
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        var result = await feature.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());
        Assert.Equal(12, result.WithoutContent);
        Assert.Equal(5, (await feature.FindAsync(new() { CaseId = "case-1", Kind = TrailDriver.Kind.Name })).Count);
        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-0" }));

        // The archive forgets as soon as the record of the removal is archived, and is whole before and after.
        Assert.True((await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation)).Ok);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(202));
        await feature.SealAsync();
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        Assert.DoesNotContain("main 0.", await ArchivedAsync(feature, "2026-11-24"), StringComparison.Ordinal);
        Assert.Contains("other 0.", await ArchivedAsync(feature, "2026-11-24"), StringComparison.Ordinal);
        var archived = await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation);
        Assert.True(archived.Ok, archived.FirstFault?.ToString());

        Assert.True(await feature.Holds.ReleaseAsync("case-1", "settled", "key:legal", Cancellation));
        Assert.Equal(5, await feature.Expiry.RunAsync(Cancellation));
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(1200));
        Assert.True(await feature.Expiry.RunAsync(Cancellation) >= 15);
        Assert.True((await feature.VerifyAsync()).Ok);
    }

    [Fact]
    public async Task A_hold_covers_the_cases_that_were_joined_and_the_deliveries_on_which_they_rest()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        foreach (var (delivery, caseId, other) in new[] { ("d-1", "older", "younger"), ("d-2", "younger", "older"), ("d-3", "follower", "older"), ("d-4", "stranger", (string?)null) })
        {
            await feature.Trail.AppendAsync(TrailDriver.Event(delivery) with { On = new("delivery", delivery) }, Cancellation);
            var details = new Dictionary<string, string> { [CaseLinks.Delivery] = delivery };
            if (other is not null)
            {
                details[CaseLinks.OtherCase] = other;
            }

            driver.Time.Advance(TimeSpan.FromDays(1));
            await feature.Trail.AppendAsync(TrailDriver.Event(caseId) with { On = new("case", caseId), CaseId = caseId, Details = details }, Cancellation);
        }

        await feature.Holds.PlaceAsync(new("follower", "litigation", "key:legal", driver.Time.GetUtcNow()), Cancellation);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(300));
        await feature.SealAsync();
        Assert.Equal(2, await feature.Expiry.RunAsync(Cancellation)); // The stranger and the stranger's delivery.

        Assert.Equal(["d-1", "older", "d-2", "younger", "d-3", "follower", null, null], await feature.FindAsync(new() { Kind = TrailDriver.Kind.Name }));
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        await feature.Holds.ReleaseAsync("follower", "settled", "key:legal", Cancellation);
        Assert.Equal(6, await feature.Expiry.RunAsync(Cancellation));
        Assert.True((await feature.VerifyAsync()).Ok);
    }

    [Fact]
    public async Task An_archive_that_was_cut_at_its_end_is_named_with_the_anchors_and_says_without_them_that_nothing_vouches_for_it()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        async Task<(int Code, string Text)> VerifyAsync(params string[] directories)
        {
            using var output = new StringWriter();
            var code = await AuditCommand.RunAsync(
                ["audit", "verify-archive", .. directories], output, () => throw new InvalidOperationException("No store is needed."), Cancellation);
            return (code, output.ToString());
        }

        Assert.Contains("vouch for the days up to 2026-11-26", (await VerifyAsync(feature.ArchivePath, feature.AnchorPath)).Text, StringComparison.Ordinal);
        foreach (var file in Directory.GetFiles(feature.ArchivePath, "2026-11-26*", SearchOption.AllDirectories))
        {
            File.Delete(file);
        }

        var alone = await VerifyAsync(feature.ArchivePath);
        Assert.Equal(AuditCommand.Ok, alone.Code);
        Assert.Contains("Nothing here tells whether days after 2026-11-25 are missing", alone.Text, StringComparison.Ordinal);
        var (code, text) = await VerifyAsync(feature.ArchivePath, feature.AnchorPath);
        Assert.Equal(AuditCommand.Broken, code);
        Assert.Contains("AnchorMismatch in 2026-11-26", text, StringComparison.Ordinal);
        File.Delete(Path.Combine(feature.AnchorPath, "anchors", "2026-11-25.json"));
        Assert.Contains("AnchorMissing in 2026-11-25", (await VerifyAsync(feature.ArchivePath, feature.AnchorPath)).Text, StringComparison.Ordinal);
        Assert.Equal(AuditCommand.Usage, (await VerifyAsync(feature.ArchivePath, feature.AnchorPath + "-none")).Code);
    }

    [Fact]
    public async Task A_kind_may_be_kept_longer_and_never_shorter()
    {
        var options = new AuditOptions
        {
            Kinds = new Dictionary<string, TimeSpan> { [TrailDriver.Kind.Name] = TimeSpan.FromDays(400), ["tests.lawful"] = TimeSpan.FromDays(1) },
        };
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver, options);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(300));
        await feature.SealAsync();
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(410));
        Assert.Equal(17, await feature.Expiry.RunAsync(Cancellation));
        Assert.True((await feature.VerifyAsync()).Ok);
    }

    [Fact]
    public async Task A_recorded_removal_covers_nothing_that_its_rule_does_not()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(200));
        await feature.SealAsync();
        await feature.Expiry.RunAsync(Cancellation);

        var row = (await driver.Real.GetAsync(AuditRows.EntriesTable, "other", AuditRows.EntryRow(1), Cancellation))!;
        var lines = new System.Buffers.ArrayBufferWriter<byte>();
        AuditLines.Write(lines, AuditRows.ReadEntries(row).Single() with { Content = null });
        await driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(AuditRows.Entries("other", 1, lines.WrittenSpan))), Cancellation);
        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.ContentMissing, "other", 1L), (fault.Kind, fault.Chain, fault.Sequence!.Value));
    }

    [Fact]
    public async Task A_trail_is_restored_from_its_archive_alone_and_goes_on()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await using var empty = new TrailDriver();
        empty.Time.SetUtcNow(driver.Time.GetUtcNow());
        var archive = new ArchiveVerifier(new AuditArchive(empty.Real, new FolderFiles(feature.ArchivePath)));
        Assert.Equal(3, await archive.RestoreAsync(empty.Real, Cancellation));
        Assert.Equal(0, await archive.RestoreAsync(empty.Real, Cancellation));

        using var restored = new AuditFeature(empty);
        Assert.Equal(30, (await restored.VerifyAsync()).Entries);
        Assert.Equal(
            await feature.FindAsync(new() { To = TrailDriver.Start + TimeSpan.FromDays(3) }), await restored.FindAsync(new()));
        await restored.Trail.AppendAsync(TrailDriver.Event("after"), Cancellation);
        Assert.Equal((await feature.Seals.LastAsync(Cancellation))!.Root, (await restored.Seals.LastAsync(Cancellation))!.Root);
        Assert.Equal((true, 1L), ((await restored.VerifyAsync()).Ok, (await restored.VerifyAsync()).OpenEntries));
        Assert.Equal(5, (await restored.FindAsync(new() { CaseId = "case-2" })).Count);
    }

    [Theory]
    [InlineData("entry changed")]
    [InlineData("entry removed")]
    [InlineData("entry twice")]
    [InlineData("file cut")]
    [InlineData("file gone")]
    [InlineData("seal changed")]
    [InlineData("seal gone")]
    [InlineData("no gzip")]
    public async Task A_damaged_archive_is_named(string damage)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var path = Path.Combine(feature.ArchivePath, "days", "2026", "11", "2026-11-25");
        var lines = (await ArchivedAsync(feature, "2026-11-25")).Split('\n');
        switch (damage)
        {
            case "entry changed":
                await WriteAsync(path, lines.Select(line => line.Replace("main 1.3", "main 1.4", StringComparison.Ordinal)));
                break;
            case "entry removed":
                await WriteAsync(path, lines.Where(line => !line.Contains("main 1.3", StringComparison.Ordinal)));
                break;
            case "entry twice":
                await WriteAsync(path, [.. lines.Take(2), lines[1], .. lines.Skip(2)]);
                break;
            case "file cut":
                var bytes = await File.ReadAllBytesAsync(path + ".jsonl.gz", Cancellation);
                await File.WriteAllBytesAsync(path + ".jsonl.gz", bytes[..(bytes.Length / 2)], Cancellation);
                break;
            case "file gone":
                File.Delete(path + ".jsonl.gz");
                break;
            case "seal changed":
                await File.WriteAllTextAsync(
                    path + ".seal.json", (await File.ReadAllTextAsync(path + ".seal.json", Cancellation)).Replace("\"count\":10", "\"count\":11", StringComparison.Ordinal), Cancellation);
                break;
            case "seal gone":
                File.Delete(path + ".seal.json");
                break;
            default:
                await File.WriteAllTextAsync(path + ".jsonl.gz", "this is no archive", Cancellation);
                break;
        }

        using var output = new StringWriter();
        Assert.Equal(AuditCommand.Broken, await AuditCommand.RunAsync(
            ["audit", "restore", feature.ArchivePath], output, () => throw new InvalidOperationException("Nothing may be restored."), Cancellation));
        Assert.Contains(damage == "seal gone" ? "2026-11-26" : "2026-11-25", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("Nothing was restored", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whatever_bit_of_an_archive_flips_it_is_named_or_changes_nothing_and_never_goes_unnoticed()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var verifier = new ArchiveVerifier(feature.Archive);
        var whole = await verifier.VerifyAsync(Cancellation);
        var random = new Random(7);
        foreach (var file in Directory.GetFiles(feature.ArchivePath, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var bytes = await File.ReadAllBytesAsync(file, Cancellation);
            for (var flip = 0; flip < 60; flip++)
            {
                var (damaged, at) = (bytes.ToArray(), random.Next(bytes.Length));
                damaged[at] ^= (byte)(1 << random.Next(8));
                await File.WriteAllBytesAsync(file, damaged, Cancellation);
                var result = await verifier.VerifyAsync(Cancellation);

                // Some bytes carry nothing that is proved: a header of the compression, the time of sealing.
                Assert.True(
                    !result.Ok || (result.Root == whole.Root && result.Entries == whole.Entries),
                    $"byte {at} of {Path.GetFileName(file)} changed what is proved, and nothing was named");
            }

            await File.WriteAllBytesAsync(file, bytes, Cancellation);
        }

        Assert.True((await verifier.VerifyAsync(Cancellation)).Ok);
    }

    [Fact]
    public async Task Files_in_a_blob_container_are_the_same_files()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var (connectionString, address) = await azurite.BlobsAsync(Cancellation);
        BlobFiles Files(string container) => BlobFiles.Of(
            new(null, new Uri(address, container), connectionString), new(static () => throw new InvalidOperationException("No identity is needed.")));
        var name = $"evidence-{Guid.NewGuid():N}";
        await new BlobContainerClient(connectionString, name).CreateAsync(cancellationToken: Cancellation);
        var archive = new AuditArchive(driver.Real, Files(name));
        await foreach (var seal in feature.Seals.ReadAsync(null, null, Cancellation))
        {
            Assert.True(await archive.PutAsync(seal, Cancellation));
        }

        var result = await new ArchiveVerifier(archive).VerifyAsync(Cancellation);
        Assert.Equal((true, 3, 30L), (result.Ok, result.Days, result.Entries));
        await using var empty = new TrailDriver();
        Assert.Equal(3, await new ArchiveVerifier(archive).RestoreAsync(empty.Real, Cancellation));
        Assert.Null(await Files(name).OpenAsync("days/2026/11/2026-11-27.seal.json", Cancellation));
        await Assert.ThrowsAsync<IOException>(async () => await Files("absent").PutAsync("a", new MemoryStream([1]), Cancellation));
    }

    private static async Task<string> ArchivedAsync(AuditFeature feature, string day)
    {
        await using var file = File.OpenRead(Path.Combine(feature.ArchivePath, "days", day[..4], day[5..7], day + ".jsonl.gz"));
        await using var zip = new GZipStream(file, CompressionMode.Decompress);
        using var reader = new StreamReader(zip);
        return await reader.ReadToEndAsync(Cancellation);
    }

    private static async Task WriteAsync(string path, IEnumerable<string> lines)
    {
        await using var file = File.Create(path + ".jsonl.gz");
        await using var zip = new GZipStream(file, CompressionLevel.Fastest);
        await using var writer = new StreamWriter(zip);
        await writer.WriteAsync(string.Join('\n', lines));
    }
}
