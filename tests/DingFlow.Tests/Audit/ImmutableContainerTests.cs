using System.IO.Compression;
using System.Text;
using DingFlow.Audit;

namespace DingFlow.Tests.Audit;

/// <summary>Anchors, archive and rewriting where an immutability policy answers, against a stand-in that answers as Azure does.</summary>
public sealed class ImmutableContainerTests
{
    private const string FirstAnchor = "anchors/2026-11-24.json";
    private const string FirstDay = "days/2026/11/2026-11-24.jsonl.gz";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("OfContainer", false)]
    [InlineData("OfContainer", true)]
    [InlineData("OfVersions", false)]
    [InlineData("OfVersions", true)]
    public async Task An_anchor_stands_whatever_somebody_with_the_writers_rights_does(string policy, bool answersUnmet)
    {
        await using var blobs = await BlobStandIn.StartAsync(Enum.Parse<Immutability>(policy));
        blobs.AnswersUnmet = answersUnmet;
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver, anchors: blobs.Files);
        var seal = (await feature.Seals.FindAsync("2026-11-24", Cancellation))!;
        var writes = blobs.Writes;
        Assert.Equal(3, writes);

        // Another run, and another instance that saw no anchor a moment ago: both leave it.
        await feature.Anchors.PutAsync(seal, Cancellation);
        using var other = new MemoryStream("{}"u8.ToArray());
        Assert.False(await blobs.Files.CreateAsync(FirstAnchor, other, Cancellation));
        Assert.Equal(writes, blobs.Writes);

        var forged = blobs.TextOf(FirstAnchor).Replace(seal.Root, new string('0', 64), StringComparison.Ordinal);
        Assert.Equal(policy == "OfContainer" ? "BlobImmutableDueToPolicy" : null, blobs.Replace(FirstAnchor, forged));
        Assert.Equal(seal.Root, await feature.Anchors.FindAsync(seal.Day, Cancellation));
        Assert.Equal(policy == "OfContainer" ? "BlobImmutableDueToPolicy" : null, blobs.Delete(FirstAnchor));
        Assert.Equal(policy == "OfContainer" ? "BlobImmutableDueToPolicy" : null, blobs.Delete("anchors/2026-11-26.json"));
        Assert.Equal(seal.Root, await feature.Anchors.FindAsync(seal.Day, Cancellation));
        Assert.Equal("2026-11-26", await feature.Anchors.LastDayAsync(Cancellation));
        var verified = await feature.VerifyAsync();
        Assert.True(verified.Ok, verified.FirstFault?.ToString());
        Assert.Equal("2026-11-26", verified.VouchedThrough);
    }

    [Fact]
    public async Task Ends_of_chains_are_anchored_once_an_hour_and_what_is_put_in_front_of_them_or_removed_hides_nothing()
    {
        await using var blobs = await BlobStandIn.StartAsync(Immutability.OfVersions);
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver, anchors: blobs.Files);
        var heads = await feature.Seals.HeadsAsync(Cancellation);
        await feature.Anchors.PutHeadsAsync(heads, Cancellation);
        await feature.Anchors.PutHeadsAsync([heads[0] with { Sequence = 1 }], Cancellation);
        Assert.Equal(4, blobs.Writes);

        var name = "heads/2026-11-27T08.json";
        Assert.Null(blobs.Replace(name, """{"at":"2026-11-27T08:00:00+00:00","chains":[]}"""));
        Assert.Null(blobs.Delete(name));
        Assert.Equal(heads, (await feature.Anchors.HeadsAsync("2026-11-24", Cancellation).SingleAsync(Cancellation)).Chains);
    }

    [Fact]
    public async Task An_archive_that_may_not_be_changed_keeps_removed_content_until_it_may_and_then_loses_it()
    {
        await using var blobs = await BlobStandIn.StartAsync(Immutability.OfContainer);
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver, files: blobs.Files);
        Assert.False(await feature.Archive.PutAsync((await feature.Seals.FindAsync("2026-11-24", Cancellation))!, Cancellation));
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(200));
        await feature.SealAsync();
        Assert.Equal(17, await feature.Expiry.RunAsync(Cancellation));

        // Gone from the store; in the archive it stays, and both are whole.
        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-0" }));
        Assert.Contains("main 0.", Unzip(blobs.BytesOf(FirstDay)), StringComparison.Ordinal);
        await HoldsAsync(feature);
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        Assert.Contains("main 0.", Unzip(blobs.BytesOf(FirstDay)), StringComparison.Ordinal);

        // The policy has ended.
        blobs.Immutability = Immutability.None;
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        Assert.DoesNotContain("main 0.", Unzip(blobs.BytesOf(FirstDay)), StringComparison.Ordinal);
        Assert.Contains("other 0.", Unzip(blobs.BytesOf(FirstDay)), StringComparison.Ordinal);
        await HoldsAsync(feature);
        var writes = blobs.Writes;
        Assert.Equal(0, await feature.Expiry.RunAsync(Cancellation));
        Assert.Equal(writes, blobs.Writes);
    }

    private static async Task HoldsAsync(AuditFeature feature)
    {
        var archived = await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation);
        Assert.True(archived.Ok, archived.FirstFault?.ToString());
        var stored = await feature.VerifyAsync();
        Assert.True(stored.Ok, stored.FirstFault?.ToString());
    }

    private static string Unzip(byte[] packed)
    {
        using var zip = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        using var reader = new StreamReader(zip, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
