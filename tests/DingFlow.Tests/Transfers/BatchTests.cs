using System.Globalization;
using System.Text;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>Batches in every format and size over HTTP against the real program: streams, compression, repetition, limits, crashes.</summary>
public sealed class BatchTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, "import-1")]
    [InlineData(true, "import-2")]
    public async Task Lines_are_counted_plain_or_compressed_with_a_key_or_without(bool gzip, string? key)
    {
        var exporter = program.NewExporter();
        var lines = TransferSender.Lines(Enumerable.Range(0, 25_000).Select(i => i % 20_000), exporter);

        var first = await program.Sender.PostAsync(lines, TransferSender.NdJson, key, gzip);
        var again = await program.Sender.PostAsync(lines, TransferSender.NdJson, key, gzip);

        Assert.True(first.Status == 202, first.Text);
        Assert.Equal((20_000, 5_000, 25_000, true), (Number(first, "accepted"), Number(first, "duplicates"), Number(first, "read"), (bool)first.Json["complete"]!));
        Assert.Equal((0, 25_000, first.Json["batchId"]), (Number(again, "accepted"), Number(again, "duplicates"), again.Json["batchId"]));
        Assert.Equal(20_000, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
        await AgreesAsync(program.Program, exporter);
    }

    [Fact]
    public async Task CloudEvents_are_counted()
    {
        var exporter = program.NewExporter();
        var batch = new JArray(Enumerable.Range(1, 3).Select(i => new JObject
        {
            ["specversion"] = "1.0", ["type"] = "com.example.transfer", ["source"] = "/hr", ["id"] = $"e-{i}", ["data"] = TransferSender.Record($"t-{i}", $"E{i}", exporter),
        }));

        var answer = await program.Sender.PostAsync(batch.ToString(), TransferSender.CloudEvents);

        Assert.Equal((3, 0), (Number(answer, "accepted"), Number(answer, "rejectedCount")));
        Assert.Equal(3, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
    }

    [Fact]
    public async Task A_thousand_rejections_are_listed_and_all_are_counted()
    {
        var exporter = program.NewExporter();
        var lines = TransferSender.Lines(Enumerable.Range(0, 1500), exporter, (record, i) => record["origin"] = i < 1400 ? "??" : "CN");

        var answer = await program.Sender.PostAsync(lines, TransferSender.NdJson);

        Assert.Equal((100, 1400, 1000), (Number(answer, "accepted"), Number(answer, "rejectedCount"), answer.Json["rejected"]!.Count()));
        Assert.Equal(Enumerable.Range(0, 1000), answer.Json["rejected"]!.Select(rejected => (int)rejected["index"]!));
    }

    [Fact]
    public async Task An_Idempotency_Key_is_the_callers_own_and_loses_no_record_of_another_body()
    {
        var (exporter, other) = (program.NewExporter(), program.NewExporter());
        await program.Sender.PostAsync(TransferSender.Lines([1, 2], exporter), TransferSender.NdJson, "the-key");

        var more = await program.Sender.PostAsync(TransferSender.Lines([2, 3, 4], exporter), TransferSender.NdJson, "the-key");
        using var confined = new TransferSender(program.Program.CreateOperator(TransfersProgram.ConfinedKey));
        var others = await confined.PostAsync(TransferSender.Lines([1], "exporter-1"), TransferSender.NdJson, "the-key");
        var elsewhere = await program.Sender.PostAsync(TransferSender.Lines([1, 2], other), TransferSender.NdJson, "the-key");

        Assert.Equal((2, 1), (Number(more, "accepted"), Number(more, "duplicates")));
        Assert.Equal((1, 2), (Number(others, "accepted"), Number(elsewhere, "accepted")));
        Assert.NotEqual((string?)more.Json["batchId"], (string?)others.Json["batchId"]);
        Assert.Equal(4, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
        (await program.Sender.PostAsync("[]", "application/json", new string('k', 256))).IsProblem(400, "malformed");
    }

    [Fact]
    public async Task Late_records_correct_last_year_this_year_and_the_window_of_two_years()
    {
        var exporter = program.NewExporter();
        var year = (int)(await program.Compliance.CountersAsync(exporter, null))["year"]!;
        await program.Sender.PostAsync(
            TransferSender.Record("now", "E1", exporter, record => record["occurredAt"] = $"{year}-01-01T00:00:00+08:00"),
            TransferSender.Record("late", "E2", exporter, record => record["occurredAt"] = $"{year - 1}-12-31T23:59:59+08:00"));

        var (last, present) = (await program.Compliance.CountersAsync(exporter, year - 1), await program.Compliance.CountersAsync(exporter, null));

        Assert.Equal((1, 1), ((int)last["subjects"]!, (int)present["subjects"]!));
        Assert.Equal((1, 2), ((int)last["counters"]!["cn.counted.any.twoYears"]!, (int)present["counters"]!["cn.counted.any.twoYears"]!));
    }

    [Fact]
    public async Task Two_exporters_in_one_batch_and_in_batches_at_once_are_counted_apart()
    {
        var (one, two) = (program.NewExporter(), program.NewExporter());
        var mixed = string.Concat(TransferSender.Lines(Enumerable.Range(0, 500), one), TransferSender.Lines(Enumerable.Range(0, 300), two));

        var answers = await Task.WhenAll(
            program.Sender.PostAsync(mixed, TransferSender.NdJson),
            program.Sender.PostAsync(TransferSender.Lines(Enumerable.Range(400, 600), one), TransferSender.NdJson),
            program.Sender.PostAsync(TransferSender.Lines(Enumerable.Range(200, 800), two), TransferSender.NdJson),
            program.Sender.PostAsync(mixed, TransferSender.NdJson));

        Assert.All(answers, answer => Assert.Equal(202, answer.Status));
        Assert.Equal(800, Number(answers[0], "accepted") + Number(answers[3], "accepted"));
        Assert.Equal((1000, 1000), ((int)(await program.Compliance.CountersAsync(one))["subjects"]!, (int)(await program.Compliance.CountersAsync(two))["subjects"]!));
        await AgreesAsync(program.Program, one);
        await AgreesAsync(program.Program, two);
    }

    [Fact]
    public async Task An_unknown_recipient_is_counted_and_flagged_and_an_unknown_field_is_named()
    {
        var exporter = program.NewExporter();

        var answer = await program.Sender.PostAsync(
            TransferSender.Record("t-1", "E1", exporter, record => record["recipient"] = "somebody-new"),
            TransferSender.Record("t-2", "E2", exporter, record => record["fields"] = new JArray("shoeSizeOfTheAunt")));

        Assert.Equal((1, 1), ((int)answer.Json["notices"]!["unknownRecipient"]!, (int)answer.Json["notices"]!["unknownField"]!));
        Assert.Equal("shoeSizeOfTheAunt", (string?)Assert.Single(answer.Json["unknownFields"]!));
        var counters = (await program.Compliance.CountersAsync(exporter))["counters"]!;
        Assert.Equal((1, 1), ((int)counters["recipient.somebody-new"]!, (int)counters["sensitive.undetermined"]!));
    }

    [Fact]
    public async Task A_batch_that_breaks_says_how_far_it_got()
    {
        var exporter = program.NewExporter();
        var lines = TransferSender.Lines(Enumerable.Range(0, 30_000), exporter);
        var array = new JArray(Enumerable.Range(0, 3).Select(i => TransferSender.Record($"a-{i}", $"A{i}", exporter))).ToString();
        var compressed = TransferSender.Compress(Encoding.UTF8.GetBytes(lines));

        var half = await program.Sender.PostAsync(lines[..^30], TransferSender.NdJson);
        var broken = await program.Sender.PostAsync(array.TrimEnd(']') + ", }", "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/transfers") { Content = new ByteArrayContent(compressed[..(compressed.Length * 2 / 3)]) };
        request.Content.Headers.ContentType = new(TransferSender.NdJson);
        request.Content.Headers.ContentEncoding.Add("gzip");
        var damaged = await program.Sender.Client.AskAsync(request);

        Assert.Equal((29_999, "malformed-json"), (Number(half, "accepted"), (string)half.Json["rejected"]![0]!["code"]!));
        Assert.Equal((3, 3, false, "malformed"), (Number(broken, "accepted"), Number(broken, "read"), (bool)broken.Json["complete"]!, (string)broken.Json["stopped"]!));
        Assert.Equal(202, damaged.Status);
        Assert.Equal((false, "damaged"), ((bool)damaged.Json["complete"]!, (string)damaged.Json["stopped"]!));
        Assert.Equal(Number(damaged, "read"), Number(damaged, "accepted"));
        Assert.InRange(Number(damaged, "read"), 10_000, 29_999);
        Assert.Equal(30_002, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
    }

    [Fact]
    public async Task Limits_end_a_batch_and_the_answer_says_where()
    {
        var settings = TransfersProgram.Settings();
        settings["Transfers:MaxBatchRecords"] = "20000";
        settings["Transfers:MaxBodyBytes"] = "20000000";
        settings["Transfers:MaxExpandedBytes"] = "6000000";
        await using var limited = await DingFlowProcess.StartStandaloneAsync(settings);
        using var sender = new TransferSender(limited.CreateOperator(TransfersProgram.SenderKey));
        var many = TransferSender.Lines(Enumerable.Range(0, 35_000), "exporter-2");

        var records = await sender.PostAsync(many, TransferSender.NdJson);
        var rest = await sender.PostAsync(string.Join('\n', many.Split('\n').Skip((int)Number(records, "read"))), TransferSender.NdJson);
        var expanded = await sender.PostAsync(TransferSender.Lines(Enumerable.Range(0, 20_000), "exporter-3"), TransferSender.NdJson, gzip: true);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/transfers") { Content = new ByteArrayContent(new byte[20_000_001]) };
        request.Content.Headers.ContentType = new(TransferSender.NdJson);
        request.Headers.ExpectContinue = true;
        var body = await sender.Client.AskAsync(request);

        Assert.Equal((20_000, "recordLimit"), (Number(records, "read"), (string)records.Json["stopped"]!));
        Assert.Equal((15_000, true), (Number(rest, "accepted"), (bool)rest.Json["complete"]!));
        Assert.Equal("expandedLimit", (string)expanded.Json["stopped"]!);
        Assert.InRange(Number(expanded, "read"), 8_000, 19_999);
        Assert.Equal(Number(expanded, "read"), Number(expanded, "accepted"));
        body.IsProblem(413, "too-large");
    }

    [Fact]
    public async Task Very_many_records_are_taken_in_with_little_memory_and_a_webhook_is_answered_meanwhile()
    {
        var settings = TransfersProgram.Settings();

        // The program dies when its heap grows beyond this, which is less than half of what the batch has bytes.
        settings["DOTNET_GCHeapHardLimit"] = "0x9000000";
        await using var small = await DingFlowProcess.StartStandaloneAsync(settings);
        using var sender = new TransferSender(small.CreateOperator(TransfersProgram.SenderKey));
        using var compliance = new TransferSender(small.CreateOperator(TransfersProgram.ComplianceKey));
        var hr = new HrSender(small.Client, "sandbox", small.HrSecret);
        const int Records = 600_000;
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/transfers") { Content = new LineContent(Records, "exporter-2") };

        var import = sender.Client.AskAsync(request);
        var webhooks = 0;
        while (!import.IsCompleted && webhooks < 50)
        {
            await hr.AcceptedAsync(HrSender.Leaver($"E{8000 + webhooks++}"));
        }

        var answer = await import;
        Assert.True(answer.Status == 202, answer.Text);
        Assert.Equal(Records, Number(answer, "accepted"));
        Assert.InRange(webhooks, 5, 50);
        Assert.Equal(Records, (int)(await compliance.CountersAsync("exporter-2"))["subjects"]!);
    }

    [Fact]
    public async Task A_kill_while_a_batch_is_taken_in_leaves_exact_counts_when_it_is_sent_again()
    {
        await using var killed = await DingFlowProcess.StartStandaloneAsync(TransfersProgram.Settings());
        var lines = TransferSender.Lines(Enumerable.Range(0, 60_000), "exporter-2");
        for (var round = 0; round < 3; round++)
        {
            using var sender = new TransferSender(killed.CreateOperator(TransfersProgram.SenderKey));
            using var compliance = new TransferSender(killed.CreateOperator(TransfersProgram.ComplianceKey));
            var import = AttemptAsync(sender, lines);

            // Killed somewhere between the first part and the last.
            await Eventually.IsTrueAsync(
                async () => import.IsCompleted || (int)(await compliance.CountersAsync("exporter-2"))["subjects"]! > round * 15_000, () => "a part of the batch", Cancellation);
            await killed.KillAsync();
            await import;
            await killed.StartAsync();
        }

        using var last = new TransferSender(killed.CreateOperator(TransfersProgram.SenderKey));
        using var reader = new TransferSender(killed.CreateOperator(TransfersProgram.ComplianceKey));
        var answer = await last.PostAsync(lines, TransferSender.NdJson, "killed");

        Assert.Equal(60_000, Number(answer, "accepted") + Number(answer, "duplicates"));
        Assert.Equal(60_000, (int)(await reader.CountersAsync("exporter-2"))["subjects"]!);
        var batch = (await reader.Client.AskAsync(HttpMethod.Get, $"/api/transfers/batches/{(string?)answer.Json["batchId"]}")).Json;
        Assert.Equal(60_000, (int)Assert.Single(batch["exporters"]!)["records"]!);
        await AgreesAsync(killed, "exporter-2");
    }

    private static async Task AttemptAsync(TransferSender sender, string lines)
    {
        try
        {
            await sender.PostAsync(lines, TransferSender.NdJson, "killed");
        }
        catch (HttpRequestException)
        {
            // The process is gone.
        }
    }

    private static long Number(Answer answer, string name) => answer.Json[name] is { } value ? (long)value : throw new InvalidOperationException(answer.Text);

    /// <summary>Every counter is what its rows say.</summary>
    private static async Task AgreesAsync(DingFlowProcess process, string exporter)
    {
        using var client = process.CreateOperator(TransfersProgram.OperationsKey);
        var report = await client.AskAsync(HttpMethod.Post, $"/api/transfers/recount?exporter={exporter}");
        Assert.Equal(200, report.Status);
        Assert.True((bool)report.Json["agrees"]!, report.Text);
        Assert.Empty(report.Json["differences"]!);
    }

    /// <summary>Lines that are made while they are sent.</summary>
    private sealed class LineContent : HttpContent
    {
        private readonly int _records;
        private readonly string _template;

        public LineContent(int records, string exporter)
        {
            _records = records;
            _template = TransferSender.Record("t-#", "E#", exporter).ToString(Newtonsoft.Json.Formatting.None);
            Headers.ContentType = new(TransferSender.NdJson);
        }

        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            var parts = _template.Split('#');
            var buffer = new StringBuilder();
            for (var i = 0; i < _records; i++)
            {
                buffer.Append(parts[0]).Append(i.ToString(CultureInfo.InvariantCulture)).Append(parts[1]).Append(i.ToString(CultureInfo.InvariantCulture)).Append(parts[2]).Append('\n');
                if (i % 500 == 499)
                {
                    await stream.WriteAsync(Encoding.UTF8.GetBytes(buffer.ToString()), Cancellation);
                    buffer.Clear();
                }
            }

            await stream.WriteAsync(Encoding.UTF8.GetBytes(buffer.ToString()), Cancellation);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
