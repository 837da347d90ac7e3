using System.Text;
using System.Text.Json;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using static DingFlow.Tests.Audit.TrailMeddling;

namespace DingFlow.Tests.Audit;

/// <summary>An administrator who wants something not to have been, and who knows how the program keeps watch.</summary>
public sealed class AuditAdministratorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("2026-11-24", "damaged")]
    [InlineData("2026-11-26", "damaged")]
    [InlineData("2026-11-25", "null")]
    [InlineData("2026-11-26", "huge")]
    [InlineData("2026-11-26", "no hex")]
    public async Task A_seal_that_is_none_is_named_and_people_are_told_by_the_timer(string day, string how)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var seal = (await feature.Seals.FindAsync(day, Cancellation))!;
        var forged = how == "huge" ? Rooted(seal with { Count = 10_000_000_000, Chains = [seal.Chains[0] with { Last = 10_000_000_000 + seal.Chains[0].First - 1 }] })
            : how == "no hex" ? Rooted(seal with { MerkleRoot = "no hex", Chains = [.. seal.Chains.Select(static part => part with { Head = "none" })] })
            : seal;
        var json = JsonSerializer.Serialize(forged, AuditSealJson.Default.AuditSeal);
        json = how == "damaged" ? json[..^5] : how == "null" ? json.Replace($"\"merkleRoot\":\"{seal.MerkleRoot}\"", "\"merkleRoot\":null", StringComparison.Ordinal) : json;
        var row = new Entity("seals", day) { Properties = { ["Schema"] = 1 } };
        InboxPayload.AddChunks(row.Properties, Encoding.UTF8.GetBytes(json));
        await WriteAsync(feature, row);
        Directory.Delete(feature.AnchorPath, recursive: true);
        Directory.Delete(feature.ArchivePath, recursive: true);

        Assert.Equal((AuditFaultKind.SealBroken, day), ((await feature.VerifyAsync()).FirstFault!.Kind, (await feature.VerifyAsync()).FirstFault!.Day));
        var alerts = new SentAlerts();
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealTimer(alerts).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.Contains(alerts, static alert => alert.Type == "audit.trail_broken");
    }

    [Theory]
    [InlineData("kind long")]
    [InlineData("kind with lines")]
    [InlineData("chain long")]
    [InlineData("behind the line")]
    [InlineData("content twice")]
    public async Task A_line_that_no_writer_writes_is_named_and_stops_nothing(string how)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var lines = new System.Buffers.ArrayBufferWriter<byte>();
        AuditLines.Write(lines, await EntryAsync(feature, "main", 7));
        var line = Encoding.UTF8.GetString(lines.WrittenSpan);
        var changed = how switch
        {
            "kind long" => line.Replace("tests.happened", "tests." + new string('x', 600), StringComparison.Ordinal),
            "kind with lines" => line.Replace("tests.happened", "tests.happened\\nlegal", StringComparison.Ordinal),
            "chain long" => line.Replace("\"main\"", $"\"{new string('m', 600)}\"", StringComparison.Ordinal),
            "behind the line" => line.Replace("}\n", "}{\"kind\":\"tests.forged\"}\n", StringComparison.Ordinal),
            _ => line.Replace(",\"content\":", ",\"content\":{\"forged\":true},\"content\":", StringComparison.Ordinal),
        };
        Assert.NotEqual(line, changed);
        await PutBytesAsync(feature, "main", 7, Encoding.UTF8.GetBytes(changed));

        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Changed, "2026-11-25", "main", 7L), (fault.Kind, fault.Day, fault.Chain, fault.Sequence!.Value));
        var alerts = new SentAlerts();
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealTimer(alerts).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.Contains(alerts, static alert => alert.AlertId == "audit.trail_broken:2026-11-25:main:7");

        // Whoever searches finds everything else.
        var found = await feature.FindAsync(new() { To = TrailDriver.Start.AddDays(3) });
        Assert.Equal(29, found.Count);
        Assert.DoesNotContain("main 1.1", found);
    }

    [Fact]
    public async Task The_rounds_cannot_be_told_that_they_are_over()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        foreach (var (begun, day) in new[] { (driver.Time.GetUtcNow().AddYears(50), "2999-12-30"), (driver.Time.GetUtcNow(), "9999-99-99"), (driver.Time.GetUtcNow(), "") })
        {
            await WriteAsync(feature, new Entity("progress", "round") { Properties = { ["Schema"] = 1, ["BegunAt"] = begun, ["Day"] = day } });
            Assert.Equal(3, (await feature.Rounds.RunAsync(Cancellation)).Count);
        }
    }

    [Fact]
    public async Task A_young_chain_that_went_from_the_list_is_named_and_listed_again_by_its_writer()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await driver.Open("young", driver.Real).AppendAsync(TrailDriver.Event("young 1"), Cancellation);
        await feature.Anchors.PutHeadsAsync(await feature.Seals.HeadsAsync(Cancellation), Cancellation);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, "young")), Cancellation);
        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Removed, "young"), (fault.Kind, fault.Chain));

        await driver.Open("young", driver.Real).AppendAsync(TrailDriver.Event("young 2"), Cancellation);
        Assert.True((await feature.VerifyAsync()).Ok);
        Assert.Contains("young 1", await feature.FindAsync(new()));
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        Assert.Contains((await feature.Seals.LastAsync(Cancellation))!.Chains, static part => part is { Chain: "young", Last: 2 });
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public async Task How_far_a_chain_is_sealed_is_what_the_seals_say(int turnedBackTo)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        if (turnedBackTo == 0)
        {
            await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, "main")), Cancellation);
        }
        else
        {
            await WriteAsync(feature, new Entity(AuditRows.ChainsPartition, "main")
            {
                Properties = { ["Schema"] = 1, ["Since"] = TrailDriver.Start, ["SealedThrough"] = (long)turnedBackTo, ["SealedHead"] = new string('1', 64) },
            });
        }

        await feature.Trail.DisposeAsync();
        await driver.Open("main", driver.Real).AppendAsync(TrailDriver.Event("open 3"), Cancellation);
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        var result = await feature.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());
        Assert.Equal(3, (await feature.Seals.LastAsync(Cancellation))!.Count);
    }

    [Fact]
    public async Task Days_that_were_cut_off_and_sealed_anew_do_not_overwrite_the_archive()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var alerts = new SentAlerts();
        await feature.SealTimer(alerts).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.Empty(alerts);
        Directory.Delete(feature.AnchorPath, recursive: true);
        var archived = await FilesAsync(feature.ArchivePath);
        await CutAfterAsync(feature, "2026-11-25", 10);
        foreach (var what in (string[])["archive", "anchor"])
        {
            await WriteAsync(feature, new Entity("progress", what) { Properties = { ["Schema"] = 1, ["Day"] = "2026-11-25" } });
        }

        await feature.Trail.DisposeAsync();
        using var restarted = new AuditFeature(driver);
        await restarted.Trail.AppendAsync(TrailDriver.Event("instead"), Cancellation);
        var timer = new SealAudit(
            feature.Sealer, feature.Seals, feature.Archive, feature.Anchors, feature.Verifier, feature.Rounds, feature.Store, restarted.Trail, alerts, driver.Time,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<SealAudit>.Instance);
        for (var hour = 0; hour < 30; hour++)
        {
            await timer.InvokeAsync(new(IsPastDue: false), Cancellation);
            driver.Time.Advance(TimeSpan.FromHours(1));
        }

        var after = await FilesAsync(feature.ArchivePath);
        Assert.All(archived, file => Assert.Equal(file.Value, after[file.Key]));
        Assert.Contains(alerts, static alert => alert.Type == "audit.trail_broken");
        Assert.Contains(alerts, static alert => alert.Type == "audit.day_not_kept" && alert.About == "archive");
        Assert.False((await feature.VerifyAsync()).Ok);
        Directory.Delete(feature.AnchorPath, recursive: true);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("progress", "anchor")), Cancellation);
        Assert.Equal((AuditFaultKind.SealBroken, "2026-11-26"), ((await feature.VerifyAsync()).FirstFault!.Kind, (await feature.VerifyAsync()).FirstFault!.Day));
    }

    [Fact]
    public async Task What_the_anchored_ends_of_chains_remember_is_not_forgotten_when_the_next_day_is_sealed()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await feature.Anchors.PutHeadsAsync(await feature.Seals.HeadsAsync(Cancellation), Cancellation);
        await TruncateAsync(feature, "main", 16);
        await feature.Trail.DisposeAsync();
        using var restarted = new AuditFeature(driver);
        await restarted.Trail.AppendAsync(TrailDriver.Event("instead"), Cancellation);
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();

        foreach (var (from, to) in new[] { (null, (string?)null), ("2026-11-27", "2026-11-27"), ("2026-11-24", "2026-11-27") })
        {
            var fault = (await feature.VerifyAsync(from, to)).FirstFault;
            Assert.Equal((AuditFaultKind.Forged, "2026-11-27", "main", 17L), (fault?.Kind, fault?.Day, fault?.Chain, fault?.Sequence));
        }

        Assert.Contains(await feature.Rounds.RunAsync(Cancellation), static day => day.FirstFault is { Chain: "main", Sequence: 17 });
    }

    [Fact]
    public async Task Anchors_or_archived_days_that_were_there_and_are_gone_are_named()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var alerts = new SentAlerts();
        await feature.SealTimer(alerts).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.True((await feature.VerifyAsync()).Ok);
        var (anchors, archive) = (feature.AnchorPath, feature.ArchivePath);
        File.Move(Path.Combine(anchors, "anchors", "2026-11-26.json"), Path.Combine(anchors, "kept"));
        Assert.Equal(AuditFaultKind.AnchorMissing, (await feature.VerifyAsync()).FirstFault!.Kind);
        File.Move(Path.Combine(anchors, "kept"), Path.Combine(anchors, "anchors", "2026-11-26.json"));
        Directory.Move(anchors, anchors + "-away");
        Assert.Equal(AuditFaultKind.AnchorMissing, (await feature.VerifyAsync()).FirstFault!.Kind);
        Directory.Move(anchors + "-away", anchors);
        Assert.True((await feature.VerifyAsync()).Ok);
        Directory.Delete(archive, recursive: true);
        Assert.Equal(AuditFaultKind.ArchiveMissing, (await feature.VerifyAsync()).FirstFault!.Kind);
        driver.Time.Advance(TimeSpan.FromDays(2));
        await feature.SealTimer(alerts).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.Contains(alerts, static alert => alert.Type == "audit.trail_broken");
    }

    [Fact]
    public async Task Whoever_says_that_everything_is_anchored_does_not_keep_the_next_days_from_it()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        foreach (var what in (string[])["archive", "anchor"])
        {
            await WriteAsync(feature, new Entity("progress", what) { Properties = { ["Schema"] = 1, ["Day"] = "2999-01-01" } });
        }

        driver.Time.Advance(TimeSpan.FromDays(2));
        await feature.SealTimer(new SentAlerts()).InvokeAsync(new(IsPastDue: false), Cancellation);
        Assert.Equal(("2026-11-28", "2026-11-28"), (await feature.Anchors.LastDayAsync(Cancellation), await feature.Archive.LastDayAsync(Cancellation)));
    }

    [Fact]
    public async Task A_day_that_is_changed_in_the_store_is_not_archived()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var before = await FilesAsync(feature.ArchivePath);
        await RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? Forge(entry, "{\"forged\":true}") : entry);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await feature.Archive.PutAsync((await feature.Seals.FindAsync("2026-11-25", Cancellation))!, Cancellation));
        var after = await FilesAsync(feature.ArchivePath);
        Assert.All(before, file => Assert.Equal(file.Value, after[file.Key]));
    }

    [Fact]
    public async Task A_case_that_was_taken_from_the_index_of_a_day_is_missed()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        Assert.Equal(5, (await feature.FindAsync(new() { CaseId = "case-1" })).Count);
        for (var bucket = 0; bucket < 32; bucket++)
        {
            await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete($"index|{bucket:D2}", "2026-11-25")), Cancellation);
        }

        Assert.Empty(await feature.FindAsync(new() { CaseId = "case-1" }));
        Assert.Equal((AuditFaultKind.IndexBroken, "2026-11-25"), ((await feature.VerifyAsync()).FirstFault!.Kind, (await feature.VerifyAsync()).FirstFault!.Day));
    }

    [Theory]
    [InlineData("retention")]
    [InlineData("time")]
    public async Task A_changed_class_or_time_of_an_entry_is_named(string what)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await RewriteAsync(feature, "other", entry => entry.Sequence != 8 ? entry
            : what == "time" ? entry with { RecordedAt = entry.RecordedAt.AddTicks(1) } : entry with { Retention = AuditRetention.Operational });
        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Changed, "other", 8L), (fault.Kind, fault.Chain, fault.Sequence!.Value));
    }

    [Fact]
    public async Task Two_archived_days_that_changed_places_and_a_day_in_the_place_of_another_are_named()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        string PathOf(string day, string suffix) => Path.Combine(feature.ArchivePath, "days", "2026", "11", day + suffix);
        foreach (var suffix in (string[])[".seal.json", ".jsonl.gz"])
        {
            File.Move(PathOf("2026-11-24", suffix), PathOf("2026-11-25", suffix + ".new"));
            File.Move(PathOf("2026-11-25", suffix), PathOf("2026-11-24", suffix));
            File.Move(PathOf("2026-11-25", suffix + ".new"), PathOf("2026-11-25", suffix));
        }

        Assert.Equal((AuditFaultKind.SealBroken, "2026-11-24"), await FirstAsync());
        foreach (var suffix in (string[])[".seal.json", ".jsonl.gz"])
        {
            File.Copy(PathOf("2026-11-25", suffix), PathOf("2026-11-24", suffix), overwrite: true);
        }

        Assert.Equal((AuditFaultKind.SealBroken, "2026-11-25"), await FirstAsync());

        async Task<(AuditFaultKind, string?)> FirstAsync()
        {
            var fault = (await new ArchiveVerifier(feature.Archive).VerifyAsync(Cancellation)).FirstFault!;
            return (fault.Kind, fault.Day);
        }
    }

    private static AuditSeal Rooted(AuditSeal seal) => seal with { Root = seal.ExpectedRoot() };

    private static async Task<Dictionary<string, string>> FilesAsync(string directory)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.GetFiles(directory, "*", SearchOption.AllDirectories))
        {
            files[file] = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(await File.ReadAllBytesAsync(file, Cancellation)));
        }

        return files;
    }
}
