using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary><c>POST /api/transfers/preview</c>: the same answer as recording, and nothing recorded.</summary>
public sealed class PreviewTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    [Fact]
    public async Task A_preview_is_what_recording_makes_of_it_and_records_nothing()
    {
        var (one, two) = (program.NewExporter(), program.NewExporter());
        var year = (int)(await program.Compliance.CountersAsync(one, null))["year"]!;
        await program.Sender.PostAsync(TransferSender.Record("t-0", "E0", one), TransferSender.Record("t-1", "E1", one, record => record["fields"] = new JArray("name")));
        var batch = new JArray(
            TransferSender.Record("t-1", "E1", one), TransferSender.Record("t-1", "E9", one), TransferSender.Record("t-2", "E2", one, record => record["recipient"] = "acme-hk"),
            TransferSender.Record("t-3", "E3", one, record => record["origin"] = "??"), TransferSender.Record("t-4", "E4", one, record => record["occurredAt"] = $"{year - 1}-06-01T00:00:00+08:00"),
            TransferSender.Record("t-5", "E0", two), TransferSender.Record("t-6", "E5", one, record => record["exemption"] = JObject.Parse("""{"code":"contract","evidence":{"contract":"C-1"}}"""))).ToString();

        var preview = await program.Sender.PostAsync(batch, path: "/api/transfers/preview");
        var again = await program.Sender.PostAsync(batch, path: "/api/transfers/preview");
        var untouched = await program.Compliance.CountersAsync(one, null);
        var recorded = await program.Sender.PostAsync(batch);

        Assert.True(preview.Status == 200, preview.Text);
        Assert.Equal(2, (int)untouched["subjects"]!);
        Assert.True(JToken.DeepEquals(preview.Json["receipt"], again.Json["receipt"]));
        Assert.True(JToken.DeepEquals(preview.Json["receipt"], recorded.Json), $"{preview.Json["receipt"]} {recorded.Text}");
        Assert.Equal([one, two], preview.Json["exporters"]!.Select(exporter => (string)exporter["exporter"]!).Order(StringComparer.Ordinal));
        foreach (var exporter in preview.Json["exporters"]!)
        {
            var counted = await program.Compliance.CountersAsync((string)exporter["exporter"]!, null);
            Assert.Equal((int)counted["subjects"]!, (int)exporter["subjects"]!);
            Assert.True(JToken.DeepEquals(counted["counters"], exporter["counters"]), $"{counted} {exporter}");
        }

        // Recorded, it would change nothing any more.
        var after = await program.Sender.PostAsync(batch, path: "/api/transfers/preview");
        Assert.Equal((0, 6), ((int)after.Json["receipt"]!["accepted"]!, (int)after.Json["receipt"]!["duplicates"]!));
    }

    [Fact]
    public async Task A_preview_says_which_rule_the_batch_would_cross()
    {
        var exporter = program.NewExporter();
        var lines = TransferSender.Lines(Enumerable.Range(0, 10_000), exporter);
        await program.Sender.PostAsync(TransferSender.Record("t-x", "X", exporter));

        var below = await program.Sender.PostAsync(string.Join('\n', lines.Split('\n').Take(9_998)), TransferSender.NdJson, path: "/api/transfers/preview");
        var reached = await program.Sender.PostAsync(string.Join('\n', lines.Split('\n').Take(9_999)), TransferSender.NdJson, path: "/api/transfers/preview");

        Assert.DoesNotContain("CN24-SA-SPI", below.Json["exporters"]![0]!["crossed"]!.Select(rule => (string?)rule));
        Assert.Contains("CN24-SA-SPI", reached.Json["exporters"]![0]!["crossed"]!.Select(rule => (string?)rule));
        Assert.Equal("SA", (string?)reached.Json["exporters"]![0]!["thresholds"]!["tier"]);
        Assert.Equal(1, (int)(await program.Compliance.CountersAsync(exporter, null))["subjects"]!);
    }

    [Fact]
    public async Task A_preview_says_what_late_records_would_make_last_year_reach()
    {
        var exporter = program.NewExporter();
        var year = (int)(await program.Compliance.CountersAsync(exporter, null))["year"]!;
        var late = new JArray(TransferSender.Record("t-1", "E1", exporter, record => record["occurredAt"] = $"{year - 1}-06-01T00:00:00+08:00")).ToString();
        var present = new JArray(TransferSender.Record("t-2", "E1", exporter)).ToString();

        var before = (await program.Sender.PostAsync(late, path: "/api/transfers/preview")).Json["exporters"]![0]!;
        await program.Sender.PostAsync(late);
        var after = (await program.Sender.PostAsync(late, key: "again", path: "/api/transfers/preview")).Json["exporters"]![0]!;
        var other = (await program.Sender.PostAsync(present, path: "/api/transfers/preview")).Json["exporters"]![0]!;

        Assert.Contains("CN24-SC-SPI", before["crossedLastYear"]!.Select(static rule => (string?)rule));
        Assert.DoesNotContain("CN24-SC-SPI", before["crossed"]!.Select(static rule => (string?)rule));
        Assert.Empty(after["crossedLastYear"]!);
        Assert.Contains("CN24-SC-SPI", other["crossed"]!.Select(static rule => (string?)rule));
        Assert.Empty(other["crossedLastYear"]!);
    }

    [Fact]
    public async Task A_rule_on_what_is_held_that_begins_with_the_first_export_is_crossed_by_it()
    {
        using var data = new DataDirectory();
        await using var clocked = await ClockedProgram.StartAsync(data.Path, "2026-06-01T02:00:00Z", new Dictionary<string, string>
        {
            ["Exporters:acme-zhuhai:Name"] = "Acme (Zhuhai)", ["Exporters:acme-zhuhai:ProcessedPersons"] = "1000000", ["Transfers:RuleSets"] = "cn-2024,cn-2022",
        });
        using var sender = new TransferSender(clocked.CreateOperator());
        var first = new JArray(TransferSender.Record("t-1", "E1", change: static record => record["occurredAt"] = "2026-05-01T00:00:00+08:00")).ToString();

        var preview = (await sender.PostAsync(first, path: "/api/transfers/preview")).Json["exporters"]![0]!;

        Assert.Contains("CN22-SA-PROC", preview["crossed"]!.Select(static rule => (string?)rule));
        Assert.DoesNotContain("CN25-DPO", preview["crossed"]!.Select(static rule => (string?)rule));
    }
}
