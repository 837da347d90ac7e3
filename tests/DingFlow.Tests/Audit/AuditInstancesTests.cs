using DingFlow.Audit;
using DingFlow.Messaging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Audit;

/// <summary>Many instances whose clocks differ write, seal and go; the trail stays one, and whole.</summary>
public sealed class AuditInstancesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Whatever_the_clocks_of_writers_and_sealers_show_every_entry_is_sealed_once_and_found_once(int seed)
    {
        await using var driver = new TrailDriver();
        var random = new Random(seed);
        var seals = new AuditSeals(driver.Real);

        // Two of them share a name, as instances that were given none may; clocks are apart by up to three quarters of an hour.
        var instances = ((string[])["i-01", "i-02", "i-02", "main"]).Select(name =>
        {
            var time = new FakeTimeProvider(TrailDriver.Start.AddMinutes(random.Next(-45, 45)));
            return (Time: time, Trail: new AuditTrail(driver.Real, new() { Writer = name }, time, NullLogger<AuditTrail>.Instance),
                Sealer: new AuditSealer(driver.Real, seals, time, NullLogger<AuditSealer>.Instance));
        }).ToList();
        List<string> said = [];
        for (var hour = 0; hour < 24 * 5; hour++)
        {
            foreach (var (time, trail, sealer) in instances)
            {
                time.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(random.Next(-20, 20)));
                for (var i = random.Next(3); i > 0; i--)
                {
                    said.Add($"{hour}.{said.Count}");
                    await trail.AppendAsync(TrailDriver.Event(said[^1]), Cancellation);
                }

                if (random.Next(4) == 0)
                {
                    await sealer.SealAsync(Cancellation);
                }
            }
        }

        driver.Time.SetUtcNow(instances.Max(static one => one.Time.GetUtcNow()).AddDays(2));
        using var feature = new AuditFeature(driver);
        await feature.Sealer.SealAsync(Cancellation);
        var result = await feature.VerifyAsync();
        Assert.True(result.Ok, result.FirstFault?.ToString());
        Assert.Equal(0, result.OpenEntries);
        Assert.Equal(said.Order(StringComparer.Ordinal), (await feature.FindAsync(new() { Kind = TrailDriver.Kind.Name })).Order(StringComparer.Ordinal));
        Assert.Equal(result.Entries, (await seals.ReadAsync(null, null, Cancellation).ToListAsync(Cancellation)).Sum(static seal => seal.Count));
        foreach (var instance in instances)
        {
            await instance.Trail.DisposeAsync();
        }
    }

    [Fact]
    public void Instances_that_come_and_go_share_a_few_chains()
    {
        var names = Enumerable.Range(0, 2000).Select(static i =>
        {
            var faults = new DingFlow.Settings.SettingsFaults();
            var configuration = new Microsoft.Extensions.Configuration.ConfigurationManager { ["FUNCTIONS_CUSTOMHANDLER_PORT"] = "7071", ["WEBSITE_INSTANCE_ID"] = $"{i:x64}" };
            return AuditTrailOptions.Read(configuration, faults).Writer;
        }).Distinct().ToList();
        Assert.Equal(32, names.Count);
        Assert.All(names, static name => Assert.True(AuditTrailOptions.IsValid(name)));
    }
}
