using System.Security.Cryptography;
using System.Text;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>Days are closed into one hash each.</summary>
public sealed class AuditSealTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_day_is_one_root_over_all_chains_and_the_roots_are_chained()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        var other = driver.Open("other", driver.Real);
        await feature.Trail.AppendAsync(TrailDriver.Event("1"), Cancellation);
        await other.AppendAsync(TrailDriver.Event("2"), Cancellation);
        await feature.Trail.AppendAsync(TrailDriver.Event("3"), Cancellation);
        Assert.Empty(await feature.SealAsync());

        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(1));
        await feature.Trail.AppendAsync(TrailDriver.Event("4"), Cancellation);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(3));
        var seals = await feature.SealAsync();

        Assert.Equal(["2026-11-24", "2026-11-25", "2026-11-26"], seals.Select(seal => seal.Day));
        Assert.Equal([3, 1, 0], seals.Select(seal => seal.Count));
        var (main, others) = (await driver.ReadAsync(), await driver.ReadAsync("other"));
        Assert.Equal(RootByHand(main[0].Hash, main[1].Hash, others[0].Hash), seals[0].MerkleRoot);
        Assert.Equal(AuditSeal.NoPrevious, seals[0].Previous);
        Assert.Equal((seals[0].Root, seals[1].Root), (seals[1].Previous, seals[2].Previous));
        Assert.Equal(
            Hash($"dingflow-audit-day-1\n2026-11-24\n3\n{seals[0].MerkleRoot}\n{new string('0', 64)}\nmain 1 2 {new string('0', 64)} {Hex(main[1].Hash)}\nother 1 1 {new string('0', 64)} {Hex(others[0].Hash)}"),
            seals[0].Root);
        Assert.True((await feature.VerifyAsync()).Ok);
    }

    [Fact]
    public async Task Whatever_dies_while_a_day_is_sealed_the_next_run_completes_it()
    {
        for (var operations = 0; ; operations++)
        {
            await using var driver = new TrailDriver();
            using var feature = new AuditFeature(driver, store: driver.Store);
            await feature.Trail.AppendAsync(TrailDriver.Event("1"), Cancellation);
            await feature.Trail.AppendAsync(TrailDriver.Event("2"), Cancellation);
            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(1));
            driver.Store.DieAfter(operations, loseAnswer: operations % 2 == 1);
            var died = false;
            try
            {
                await feature.Sealer.SealAsync(Cancellation);
            }
            catch (EntityStoreException)
            {
                died = true;
            }

            driver.Store.Heal();
            var meanwhile = await feature.VerifyAsync();
            Assert.True(meanwhile.Ok, $"after {operations} operations: {meanwhile.FirstFault}");
            Assert.Equal(["1", "2"], await feature.FindAsync(new() { Kind = TrailDriver.Kind.Name }));
            await feature.Trail.AppendAsync(TrailDriver.Event("3"), Cancellation);
            await feature.Sealer.SealAsync(Cancellation);
            var verification = await feature.VerifyAsync();
            Assert.True(verification.Ok, verification.FirstFault?.ToString());
            Assert.Equal((2, 1), (verification.Entries, verification.OpenEntries));
            Assert.Equal(["1", "2"], await feature.FindAsync(new() { Kind = TrailDriver.Kind.Name, To = TrailDriver.Start + TimeSpan.FromHours(1) }));
            if (!died)
            {
                Assert.True(operations > 5);
                return;
            }
        }
    }

    [Fact]
    public async Task A_day_is_sealed_alike_from_the_hashes_beside_its_rows_and_from_its_lines()
    {
        List<AuditSeal> sealedDays = [];
        foreach (var fromLines in (bool[])[false, true])
        {
            await using var driver = new TrailDriver();
            using var feature = new AuditFeature(driver);
            await Task.WhenAll(Enumerable.Range(0, 700).Select(i => feature.Trail.AppendAsync(
                TrailDriver.Event(new string('x', 300)) with { CaseId = $"case-{i % 50}" }, Cancellation)));
            var rows = await driver.Real.QueryAsync(AuditRows.EntriesTable, "main", AuditRows.EntriesFrom(1), 1000, null, Cancellation);
            Assert.InRange(rows.Entities.Count, 8, 700);
            foreach (var row in fromLines ? rows.Entities : [])
            {
                var bare = AuditRows.Entries("main", AuditRows.FirstOf(row.RowKey), InboxPayload.JoinChunks(row.Properties));
                await driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(bare)), Cancellation);
            }

            driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(1));
            sealedDays.AddRange(await feature.SealAsync());
            Assert.True((await feature.VerifyAsync()).Ok);
            Assert.Equal(14, (await feature.FindAsync(new() { CaseId = "case-7" })).Count);
            Assert.Equal(700, sealedDays[^1].Count);
        }
    }

    [Fact]
    public async Task Two_that_seal_at_once_make_one_seal()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        await feature.Trail.AppendAsync(TrailDriver.Event("1"), Cancellation);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(2));
        using var second = new AuditFeature(driver);
        var made = await Task.WhenAll(feature.Sealer.SealAsync(Cancellation), second.Sealer.SealAsync(Cancellation));

        Assert.Equal(["2026-11-24", "2026-11-25"], made.SelectMany(static seals => seals).Select(static seal => seal.Day).Order());
        Assert.True((await feature.VerifyAsync()).Ok);
    }

    [Fact]
    public async Task An_entry_of_a_clock_that_is_ahead_or_behind_is_sealed_all_the_same()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        await feature.Trail.AppendAsync(TrailDriver.Event("1"), Cancellation);
        driver.Time.SetUtcNow(TrailDriver.Start + TimeSpan.FromDays(2000));
        await feature.Trail.AppendAsync(TrailDriver.Event("from the future"), Cancellation);
        driver.Time.AdjustTime(TrailDriver.Start + TimeSpan.FromDays(1));
        await feature.Trail.AppendAsync(TrailDriver.Event("3"), Cancellation);
        await feature.SealAsync();
        driver.Time.AdjustTime(TrailDriver.Start);
        await feature.Trail.AppendAsync(TrailDriver.Event("into a closed day"), Cancellation);
        driver.Time.AdjustTime(TrailDriver.Start + TimeSpan.FromDays(2));
        await feature.SealAsync();

        var seals = await feature.Seals.ReadAsync(null, null, Cancellation).ToListAsync(Cancellation);
        Assert.Equal([2, 4], seals.Select(seal => seal.Count));
        Assert.True((await feature.VerifyAsync()).Ok);
        Assert.Equal(6, (await driver.ReadAsync()).Count);
    }

    private static string RootByHand(params ReadOnlyMemory<byte>[] hashes)
    {
        var leaves = hashes.Select(hash => SHA256.HashData([0, .. hash.Span])).ToList();
        return Convert.ToHexStringLower(SHA256.HashData([1, .. SHA256.HashData([1, .. leaves[0], .. leaves[1]]), .. leaves[2]]));
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Hex(ReadOnlyMemory<byte> bytes) => Convert.ToHexStringLower(bytes.Span);
}
