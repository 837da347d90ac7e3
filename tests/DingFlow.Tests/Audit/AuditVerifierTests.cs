using System.Text.Json;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using static DingFlow.Tests.Audit.TrailMeddling;

namespace DingFlow.Tests.Audit;

/// <summary>Somebody with the database in hand changes what was written; the verification names the first entry that is wrong.</summary>
public sealed class AuditVerifierTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_nobody_touched_is_whole()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var result = await feature.VerifyAsync();

        Assert.Null(result.FirstFault);
        Assert.Equal(("2026-11-24", "2026-11-26", 3, 30L, 2L, 3), (result.From, result.To, result.Days, result.Entries, result.OpenEntries, result.Anchored));
        var part = await feature.VerifyAsync("2026-11-25", "2026-11-25");
        Assert.Equal((1, 10L, 0L), (part.Days, part.Entries, part.OpenEntries));
    }

    [Theory]
    [InlineData("2026-12-24", "2026-12-25")]
    [InlineData("2020-01-01", "2020-01-02")]
    public async Task A_range_without_days_is_whole_and_says_that_it_is_empty(string from, string to)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var result = await feature.VerifyAsync(from, to);
        Assert.Equal((true, 0, 0L), (result.Ok, result.Days, result.Entries));
    }

    [Fact]
    public Task A_changed_content_is_named() => ExpectAsync(
        feature => RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? entry with { Content = "{}"u8.ToArray() } : entry),
        AuditFaultKind.Changed, "2026-11-25", "main", 7);

    [Fact]
    public Task A_changed_head_is_named() => ExpectAsync(
        feature => RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? entry with { Kind = "tests.other" } : entry),
        AuditFaultKind.Changed, "2026-11-25", "main", 7);

    [Fact]
    public Task A_forged_entry_with_a_right_hash_is_named() => ExpectAsync(
        feature => RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? Forge(entry, "{\"forged\":true}") : entry),
        AuditFaultKind.Forged, "2026-11-25", "main", 7);

    [Fact]
    public Task A_chain_that_was_forged_to_its_end_is_named_at_its_first_forged_entry() => ExpectAsync(
        async feature =>
        {
            ReadOnlyMemory<byte>? previous = null;
            await RewriteAsync(feature, "main", entry =>
            {
                var forged = entry.Sequence < 7 ? entry : Forge(entry with { Previous = previous ?? entry.Previous }, entry.Sequence == 7 ? "{\"forged\":true}" : null);
                previous = forged.Hash;
                return forged;
            });
        },
        AuditFaultKind.Forged, "2026-11-25", "main", 7);

    [Fact]
    public Task A_removed_entry_is_named() => ExpectAsync(
        feature => feature.Driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("other", AuditRows.EntryRow(3))), Cancellation),
        AuditFaultKind.Removed, "2026-11-24", "other", 3);

    [Fact]
    public Task The_last_entry_of_a_sealed_day_cannot_be_removed() => ExpectAsync(
        feature => feature.Driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("other", AuditRows.EntryRow(15))), Cancellation),
        AuditFaultKind.Removed, "2026-11-26", "other", 15);

    [Fact]
    public Task The_last_entry_of_all_cannot_be_removed() => ExpectAsync(
        feature => feature.Driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("main", AuditRows.EntryRow(17))), Cancellation),
        AuditFaultKind.Removed, null, "main", 17);

    [Fact]
    public Task An_inserted_entry_is_named() => ExpectAsync(
        async feature =>
        {
            var second = await EntryAsync(feature, "main", 2);
            await PutAsync(feature, "main", 2, [second, second]);
        },
        AuditFaultKind.Inserted, "2026-11-24", "main", 2);

    [Fact]
    public Task An_entry_behind_the_end_of_its_chain_is_named() => ExpectAsync(
        async feature =>
        {
            var last = await EntryAsync(feature, "main", 17);
            await PutAsync(feature, "main", 18, [Forge(last with { Sequence = 18, Previous = last.Hash }, "{}")]);
        },
        AuditFaultKind.Inserted, null, "main", 18);

    [Fact]
    public Task Reordered_entries_are_named() => ExpectAsync(
        async feature =>
        {
            var (second, third) = (await EntryAsync(feature, "main", 2), await EntryAsync(feature, "main", 3));
            await PutAsync(feature, "main", 2, [third]);
            await PutAsync(feature, "main", 3, [second]);
        },
        AuditFaultKind.Reordered, "2026-11-24", "main", 2);

    [Fact]
    public Task Bytes_that_are_no_entry_are_named() => ExpectAsync(
        feature => PutBytesAsync(feature, "main", 4, "{\"chain\":\"main\"}\n"u8.ToArray()), AuditFaultKind.Changed, "2026-11-24", "main", 4);

    [Fact]
    public Task A_content_that_went_before_its_time_is_named() => ExpectAsync(
        feature => RewriteAsync(feature, "main", entry => entry.Sequence == 2 ? entry with { Content = null } : entry),
        AuditFaultKind.ContentMissing, "2026-11-24", "main", 2);

    [Fact]
    public Task An_entry_that_is_not_sealed_yet_is_known_by_the_one_after_it() => ExpectAsync(
        feature => RewriteAsync(feature, "main", entry => entry.Sequence == 16 ? Forge(entry, "{\"forged\":true}") : entry),
        AuditFaultKind.Forged, null, "main", 16);

    [Fact]
    public Task A_removed_seal_is_named() => ExpectAsync(
        feature => feature.Driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", "2026-11-25")), Cancellation),
        AuditFaultKind.SealBroken, "2026-11-26", null, null);

    [Fact]
    public Task Swapped_seals_are_named() => ExpectAsync(
        async feature =>
        {
            var (first, second) = ((await SealRowAsync(feature, "2026-11-24"))!, (await SealRowAsync(feature, "2026-11-25"))!);
            await WriteAsync(feature, new Entity("seals", "2026-11-24") { Properties = second.Properties }, new Entity("seals", "2026-11-25") { Properties = first.Properties });
        },
        AuditFaultKind.SealBroken, "2026-11-25", null, null);

    [Fact]
    public Task The_last_seal_cannot_be_removed() => ExpectAsync(
        async feature =>
        {
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", "2026-11-26")), Cancellation);
            Directory.Delete(feature.AnchorPath, recursive: true);
        },
        AuditFaultKind.SealBroken, "2026-11-26", "main", null);

    [Fact]
    public Task The_last_seal_cannot_be_removed_and_the_chains_turned_back_without_touching_the_anchor() => ExpectAsync(
        async feature =>
        {
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", "2026-11-26")), Cancellation);
            var seal = (await feature.Seals.FindAsync("2026-11-25", Cancellation))!;
            await feature.Seals.AdvanceAsync(seal, await feature.Seals.ChainsAsync(Cancellation), Cancellation);
        },
        AuditFaultKind.AnchorMismatch, "2026-11-26", null, null);

    [Fact]
    public Task All_seals_cannot_be_removed_without_touching_the_anchor() => ExpectAsync(
        async feature =>
        {
            foreach (var chain in (string[])["main", "other"])
            {
                await RemoveAsync(feature, chain, 1);
                await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete(chain, AuditRows.HeadRow)), Cancellation);
                await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, chain)), Cancellation);
            }

            foreach (var day in (string[])["2026-11-24", "2026-11-25", "2026-11-26"])
            {
                await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", day)), Cancellation);
            }
        },
        AuditFaultKind.AnchorMismatch, null, null, null);

    [Fact]
    public Task A_removed_anchor_is_named() => ExpectAsync(
        feature =>
        {
            File.Delete(Path.Combine(feature.AnchorPath, "anchors", "2026-11-25.json"));
            return Task.CompletedTask;
        },
        AuditFaultKind.AnchorMissing, "2026-11-25", null, null);

    [Fact]
    public Task A_damaged_anchor_is_named() => ExpectAsync(
        feature => File.WriteAllTextAsync(Path.Combine(feature.AnchorPath, "anchors", "2026-11-25.json"), "{\"day\":", Cancellation),
        AuditFaultKind.SealBroken, "2026-11-25", null, null);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_chain_that_was_removed_as_a_whole_is_named(bool withItsPlaceInTheList) => ExpectAsync(
        async feature =>
        {
            await RemoveAsync(feature, "other", 1);
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("other", AuditRows.HeadRow)), Cancellation);
            if (withItsPlaceInTheList)
            {
                await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, "other")), Cancellation);
            }
        },
        AuditFaultKind.Removed, withItsPlaceInTheList ? null : "2026-11-24", "other", withItsPlaceInTheList ? null : 1);

    [Fact]
    public Task A_chain_that_went_from_the_list_only_is_named() => ExpectAsync(
        feature => feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, "main")), Cancellation),
        AuditFaultKind.Removed, null, "main", null);

    [Fact]
    public Task What_was_removed_before_its_day_was_sealed_is_named_though_the_day_is_sealed_then() => ExpectAsync(
        async feature =>
        {
            await feature.Trail.AppendAsync(TrailDriver.Event("open 3"), Cancellation);
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("main", AuditRows.EntryRow(17))), Cancellation);
            feature.Driver.Time.Advance(TimeSpan.FromDays(1));
            await feature.SealAsync();
            Assert.Equal(1, (await feature.Seals.LastAsync(Cancellation))!.Count);
        },
        AuditFaultKind.Removed, null, "main", 17);

    [Fact]
    public async Task The_newest_entries_removed_with_the_head_turned_back_are_found_only_through_what_was_anchored()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await TruncateAsync(feature, "main", 16);
        Assert.True((await feature.VerifyAsync()).Ok, "nothing remembers the entry, as docs/audit.md says");

        await feature.Trail.DisposeAsync();
        var restarted = driver.Open("main", driver.Real);
        await restarted.AppendAsync(TrailDriver.Event("open 2, again"), Cancellation);
        await feature.Anchors.PutHeadsAsync(await feature.Seals.HeadsAsync(Cancellation), Cancellation);
        Assert.True((await feature.VerifyAsync()).Ok);
        await TruncateAsync(feature, "main", 16);
        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Removed, "main", 17L), (fault.Kind, fault.Chain, fault.Sequence!.Value));

        // Another entry in its place is none.
        await driver.Open("main", driver.Real).AppendAsync(TrailDriver.Event("instead"), Cancellation);
        fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Forged, "main", 17L), (fault.Kind, fault.Chain, fault.Sequence!.Value));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Without_anchors_the_newest_days_cut_off_are_found_through_the_archive(bool sealedAgain)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        Directory.Delete(feature.AnchorPath, recursive: true);
        await CutAfterAsync(feature, "2026-11-25", 10);
        if (sealedAgain)
        {
            await feature.Sealer.SealAsync(Cancellation);
        }

        var result = await feature.VerifyAsync();
        Assert.Equal((AuditFaultKind.SealBroken, "2026-11-26"), (result.FirstFault!.Kind, result.FirstFault.Day));
        Assert.Equal((null, "2026-11-26"), (result.VouchedThrough, result.ArchivedThrough));
    }

    [Fact]
    public async Task With_neither_the_answer_says_what_it_does_not_prove()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        Directory.Delete(feature.AnchorPath, recursive: true);
        Directory.Delete(feature.ArchivePath, recursive: true);
        await CutAfterAsync(feature, "2026-11-25", 10);

        var result = await feature.VerifyAsync();
        Assert.Equal((true, "2026-11-25", null, null, 1), (result.Ok, result.To, result.VouchedThrough, result.ArchivedThrough, result.UnsealedDays));
    }

    [Fact]
    public async Task A_day_without_its_anchor_is_named_also_when_it_is_verified_alone()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        File.Delete(Path.Combine(feature.AnchorPath, "anchors", "2026-11-25.json"));
        Assert.Equal(AuditFaultKind.AnchorMissing, (await feature.VerifyAsync("2026-11-25", "2026-11-25")).FirstFault!.Kind);
    }

    [Fact]
    public async Task What_was_changed_long_ago_is_found_though_nobody_asks()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        driver.Time.Advance(TimeSpan.FromDays(10));
        await feature.SealAsync();
        Assert.Equal(AuditRounds.DaysPerRun, (await feature.Rounds.RunAsync(Cancellation)).Count(static day => day.Ok));
        Assert.Equal(13 - AuditRounds.DaysPerRun, (await feature.Rounds.RunAsync(Cancellation)).Count(static day => day.Ok));
        await RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? entry with { Content = "{}"u8.ToArray() } : entry);
        Assert.Empty(await feature.Rounds.RunAsync(Cancellation)); // A short trail is not verified over and over.

        driver.Time.Advance(TimeSpan.FromDays(1));
        var results = await feature.Rounds.RunAsync(Cancellation);
        Assert.Equal(("2026-11-25", "main", 7L), results.Where(static day => !day.Ok).Select(static day => (day.FirstFault!.Day, day.FirstFault.Chain, day.FirstFault.Sequence!.Value)).Single());
        Assert.Equal(AuditRounds.DaysPerRun, results.Count);

        // A broken day does not keep the later ones from their turn.
        await RewriteAsync(feature, "other", entry => entry.Sequence == 1 ? entry with { Content = "{}"u8.ToArray() } : entry);
        Assert.All(await feature.Rounds.RunAsync(Cancellation), static day => Assert.True(day.Ok));
        driver.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(["2026-11-24", "2026-11-25"], (await feature.Rounds.RunAsync(Cancellation)).Where(static day => !day.Ok).Select(static day => day.FirstFault!.Day));
    }

    [Fact]
    public async Task People_are_told_by_the_hourly_timer_that_a_day_of_last_month_was_changed()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var alerts = new SentAlerts();
        var timer = feature.SealTimer(alerts);
        driver.Time.Advance(TimeSpan.FromDays(30));
        for (var hour = 0; hour < 6; hour++)
        {
            await timer.InvokeAsync(new(IsPastDue: false), Cancellation);
            driver.Time.Advance(TimeSpan.FromHours(1));
        }

        Assert.Empty(alerts);
        await RewriteAsync(feature, "main", entry => entry.Sequence == 7 ? entry with { Content = "{}"u8.ToArray() } : entry);
        for (var hour = 0; hour < 24; hour++)
        {
            await timer.InvokeAsync(new(IsPastDue: false), Cancellation);
            driver.Time.Advance(TimeSpan.FromHours(1));
        }

        Assert.Equal(["audit.trail_broken:2026-11-25:main:7"], alerts.Select(static alert => alert.AlertId).Distinct());
        Assert.Contains(await feature.FindAsync(new() { Kind = "audit.verified" }), static reason => reason == "The content is not the one that was hashed.");
    }

    [Fact]
    public async Task Rounds_know_what_was_removed_lawfully()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await feature.Rounds.RunAsync(Cancellation);
        for (var days = 200; days < 204; days++)
        {
            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(days));
            await feature.SealAsync();
            await feature.Expiry.RunAsync(Cancellation);
            Assert.All(await feature.Rounds.RunAsync(Cancellation), static day => Assert.True(day.Ok, day.FirstFault?.ToString()));
        }
    }

    [Fact]
    public async Task One_verification_runs_at_a_time()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var anchors = new WaitingAnchors();
        using var function = new VerifyAudit(
            new(feature.Store, feature.Seals, feature.Policy, anchors, feature.Archive, driver.Time), feature.Trail, driver.Time);
        var (first, second, third) = (NewContext(), NewContext(), NewContext());
        var running = function.InvokeAsync(first);
        await function.InvokeAsync(second);
        Assert.Equal((409, "60"), (second.Response.StatusCode, second.Response.Headers.RetryAfter.ToString()));
        anchors.Go.SetResult();
        await running;
        await function.InvokeAsync(third);
        Assert.Equal((200, 200), (first.Response.StatusCode, third.Response.StatusCode));
    }

    [Fact]
    public async Task Where_a_seal_is_damaged_a_search_and_a_proof_say_so()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await WriteAsync(feature, new Entity("seals", "2026-11-25") { Properties = { ["Schema"] = 1, ["C0"] = "{"u8.ToArray() } });
        foreach (var function in (DingFlow.Hosting.IHttpFunction[])
            [
                new SearchAudit(feature.Search, new AuditPseudonyms([]), feature.Trail, driver.Time),
                new ProveAuditEntry(feature.Store, feature.Seals, feature.Anchors, feature.Trail),
            ])
        {
            var context = NewContext();
            context.Request.QueryString = new("?from=2026-11-24");
            context.Request.RouteValues = new() { ["chain"] = "main", ["sequence"] = "7" };
            await function.InvokeAsync(context);
            Assert.Equal(503, context.Response.StatusCode);
        }
    }

    [Fact]
    public async Task A_new_chain_that_was_removed_with_everything_is_found_through_what_was_anchored()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await driver.Open("young", driver.Real).AppendAsync(TrailDriver.Event("young"), Cancellation);
        await feature.Anchors.PutHeadsAsync(await feature.Seals.HeadsAsync(Cancellation), Cancellation);
        await RemoveAsync(feature, "young", 1);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete("young", AuditRows.HeadRow)), Cancellation);
        await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.ChainsPartition, "young")), Cancellation);

        var fault = (await feature.VerifyAsync()).FirstFault!;
        Assert.Equal((AuditFaultKind.Removed, "young", 1L), (fault.Kind, fault.Chain, fault.Sequence!.Value));
    }

    [Fact]
    public async Task A_running_writer_notices_that_its_newest_entries_were_removed()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await TruncateAsync(feature, "main", 15);
        await feature.Trail.AppendAsync(TrailDriver.Event("next"), Cancellation);

        var entries = await driver.ReadAsync();
        Assert.Equal(["audit.chain_shortened", "tests.happened"], entries.Skip(15).Select(static entry => entry.Kind));
        Assert.Equal(("17", "15"), (entries[15].Read()!.Details!["left"], entries[15].Read()!.Details!["found"]));
    }

    [Fact]
    public Task A_changed_list_of_hashes_is_named() => ExpectAsync(
        feature => feature.Seals.PutLeavesAsync("2026-11-25", new byte[320], Cancellation), AuditFaultKind.SealBroken, "2026-11-25", null, null);

    [Fact]
    public async Task Whoever_rewrites_everything_is_found_out_by_the_anchor()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await using var forger = new TrailDriver();
        using var forged = await AuditFeature.WithThreeDaysAsync(forger);
        Assert.True((await forged.VerifyAsync()).Ok);

        var verifier = new AuditVerifier(forger.Real, forged.Seals, forged.Policy, feature.Anchors, forged.Archive, forger.Time);
        var result = await verifier.VerifyAsync(null, null, Cancellation);
        Assert.Equal((AuditFaultKind.AnchorMismatch, "2026-11-24"), (result.FirstFault!.Kind, result.FirstFault.Day));
    }

    [Fact]
    public async Task A_proof_holds_offline_and_a_changed_one_does_not()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var seal = (await feature.Seals.FindAsync("2026-11-25", Cancellation))!;
        var leaves = await feature.Seals.LeavesAsync(seal, Cancellation);
        var proof = AuditProof.Of(await EntryAsync(feature, "other", 8), seal, leaves, 7, await feature.Anchors.ReadAsync(seal.Day, Cancellation));
        var json = JsonSerializer.Serialize(proof, AuditApiJson.Default.AuditProof);
        Assert.Empty(JsonSerializer.Deserialize(json, AuditApiJson.Default.AuditProof)!.Faults());

        // Another entry that is right by itself, in the place of this one.
        var another = AuditProof.Of(await EntryAsync(feature, "other", 9), seal, leaves, 8, null);
        Assert.Empty(another.Faults());
        Assert.NotEmpty((proof with { Entry = another.Entry }).Faults());
        Assert.NotEmpty((proof with { Entry = another.Entry, LeafIndex = 8 }).Faults());
        foreach (var (before, after) in new[]
        {
            ("other 1.2", "other 1.3"), ("\"leafIndex\":7", "\"leafIndex\":6"), ("\"sequence\":8", "\"sequence\":9"), ("tests.lawful", "tests.awful_"),
            (seal.MerkleRoot, seal.Root), ("\"path\":[\"", "\"path\":[\"00"), ("proof-1", "proof-2"),
            ("\"retention\":\"legal\"", "\"retention\":\"forever\""), ("\"chains\":[", "\"chains\":null,\"other\":["), ("\"kind\":\"tests.lawful", $"\"kind\":\"tests.{new string('x', 490)}"),
        })
        {
            Assert.NotEmpty(JsonSerializer.Deserialize(json.Replace(before, after, StringComparison.Ordinal), AuditApiJson.Default.AuditProof)!.Faults());
        }
    }

    private static DefaultHttpContext NewContext() => new()
    {
        RequestServices = new ServiceCollection().AddLogging().BuildServiceProvider(), Response = { Body = new MemoryStream() },
    };

    private static async Task ExpectAsync(Func<AuditFeature, Task> tamper, AuditFaultKind kind, string? day, string? chain, long? sequence)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await tamper(feature);
        var result = await feature.VerifyAsync();

        Assert.False(result.Ok);
        var fault = result.FirstFault!;
        Assert.Equal((kind, day, chain, sequence), (fault.Kind, fault.Day, fault.Chain, fault.Sequence));
    }

    /// <summary>Anchors that answer when they are told to.</summary>
    private sealed class WaitingAnchors : IAuditAnchors
    {
        public TaskCompletionSource Go { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsNone => false;

        public IAsyncEnumerable<AuditHeads> HeadsAsync(string fromDay, CancellationToken cancellationToken) => AsyncEnumerable.Empty<AuditHeads>();

        public async Task<string?> LastDayAsync(CancellationToken cancellationToken)
        {
            await Go.Task.WaitAsync(cancellationToken);
            return null;
        }

        public Task<AuditAnchor?> ReadAsync(string day, CancellationToken cancellationToken) => Task.FromResult<AuditAnchor?>(null);
    }
}
