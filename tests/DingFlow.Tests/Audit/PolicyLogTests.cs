using DingFlow.Audit;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>What settings decide stands in the trail, and each change of it once.</summary>
public sealed class PolicyLogTests
{
    private static readonly AuditPseudonyms s_pseudonyms = new("0123456789abcdef0123456789abcdef"u8);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_change_is_recorded_once_with_what_it_was_and_is()
    {
        await using var driver = new TrailDriver();
        Assert.Equal(2, await StartAsync(driver, Brake(20), Key("ops", "secret", "audit.read")));
        Assert.Equal(0, await StartAsync(driver, Brake(20), Key("ops", "secret", "audit.read")));
        Assert.Equal(2, await StartAsync(driver, Brake(50), Key("ops", "rotated", "audit.read", "audit.hold")));
        Assert.Equal(1, await StartAsync(driver, Brake(50)));

        var entries = (await driver.ReadAsync()).Select(static entry => (entry.Kind, Content: entry.Read()!)).ToList();
        Assert.Equal(
            ["policy.stated apiKey/ops", "policy.stated offboarding.brake", "policy.changed apiKey/ops", "policy.changed offboarding.brake", "policy.withdrawn apiKey/ops"],
            entries.Select(static one => $"{one.Kind} {one.Content.On!.Id}"));
        Assert.Equal("20", entries[1].Content.Details!["value.count"]);
        Assert.Equal("20 -> 50", entries[3].Content.Details!["value.count"]);
        Assert.DoesNotContain("value.window", entries[3].Content.Details!.Keys);
        Assert.Equal("audit.read -> audit.hold, audit.read", entries[2].Content.Details!["value.roles"]);
        Assert.Contains("value.keyFingerprint", entries[2].Content.Details!.Keys);
        Assert.Equal(entries[1].Content.Details!["hashAfter"], entries[3].Content.Details!["hashBefore"]);
        Assert.Equal(entries[3].Content.Details!["hashAfter"], entries[3].Content.PayloadHash);
        Assert.Equal("none", entries[4].Content.Details!["hashAfter"]);
        var hash = Convert.ToHexStringLower(KeyHash("secret"));
        Assert.All(entries, one => Assert.DoesNotContain(one.Content.Details!.Values, value => value.Contains(hash, StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public async Task Many_that_start_at_once_write_one_entry()
    {
        await using var driver = new TrailDriver();
        await StartAsync(driver, Brake(20));
        var instances = Enumerable.Range(0, 8).Select(i => driver.Open($"i-{i}", driver.Real)).ToList();
        var written = await Task.WhenAll(instances.Select(trail => Task.Run(() => Log(driver.Real, trail, Brake(50)).RecordOnceAsync(Cancellation))));
        await Task.WhenAll(instances.Select(trail => trail.DrainAsync(Cancellation)));

        Assert.Equal(1, written.Sum());
        var search = new AuditSearch(driver.Real, new AuditSeals(driver.Real));
        Assert.Equal(1, await search.ReadAsync(new() { Kind = "policy.changed" }, new(), Cancellation).CountAsync(Cancellation));
    }

    [Fact]
    public async Task A_kill_at_any_operation_leaves_neither_a_state_without_its_entry_nor_an_entry_without_its_state()
    {
        for (var operations = 0; ; operations++)
        {
            var over = true;
            foreach (var loseAnswer in (bool[])[false, true])
            {
                await using var driver = new TrailDriver();
                await StartAsync(driver, Brake(20), Key("ops", "secret", "audit.read"));
                driver.Store.DieAfter(operations, loseAnswer);
                var dying = driver.Open();
                try
                {
                    await Log(driver.Store, dying, Brake(50), Key("ops", "secret", "audit.hold")).RecordOnceAsync(Cancellation);
                    await dying.DrainAsync(Cancellation);
                    over &= !driver.Store.Dead;
                }
                catch (EntityStoreException)
                {
                    over = false;
                }

                await dying.DisposeAsync();
                driver.Store.Heal();
                var next = driver.Open();
                await next.SweepAsync(Cancellation);
                await Log(driver.Store, next, Brake(50), Key("ops", "secret", "audit.hold")).RecordOnceAsync(Cancellation);
                await next.DrainAsync(Cancellation);
                Assert.Equal(2, (await driver.ReadAsync()).Count(static entry => entry.Kind == "policy.changed"));
            }

            if (over)
            {
                Assert.True(operations > 4);
                return;
            }
        }
    }

    private static PolicyStatement Brake(int count) =>
        PolicyStatement.Of("offboarding.brake", ("count", count), ("window", TimeSpan.FromMinutes(10)));

    private static byte[] KeyHash(string key) => System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key));

    private static PolicyStatement Key(string name, string key, params string[] roles) => AuthPolicy.Of(
        new([new ApiKey(name, KeyHash(key), roles.ToHashSet(), new HashSet<string>(), new HashSet<string>())], null), s_pseudonyms).Single();

    private static PolicyLog Log(IEntityStore store, AuditTrail trail, params PolicyStatement[] statements) =>
        new([new PolicySource(() => statements)], new AuditSeals(store), trail);

    private static async Task<int> StartAsync(TrailDriver driver, params PolicyStatement[] statements)
    {
        var trail = driver.Open("main", driver.Real);
        var written = await Log(driver.Real, trail, statements).RecordOnceAsync(Cancellation);
        await trail.DrainAsync(Cancellation);
        return written;
    }
}
