using System.Text;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>What senders get wrong, and what is right in an unusual way, over HTTP against the real program.</summary>
public sealed class BadInputTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    [Fact]
    public async Task A_person_counts_once_however_the_identifier_is_spelt()
    {
        (string Type, string[] Spellings)[] people =
        [
            ("employeeId", ["E1001", "e1001", " E1001 ", "Ｅ１００１", "E1001\u200b", "\ufeffE1001"]),
            ("employeeId", ["E01001"]),
            ("email", ["wang@bücher.example", "WANG@BÜCHER.EXAMPLE", "wang@xn--bcher-kva.example.", "wang＠bücher。example"]),
            ("email", ["iI@example.com", "II@EXAMPLE.COM", "ii@example.com"]),
            ("mobile", ["13800138000", "+86 138-0013-8000", "0086 (138) 0013 8000", "8613800138000", "１３８００１３８０００"]),
            ("mobile", ["+853 6612 3456", "00853-66123456"]),
            ("mobile", ["+852 6612 3456"]),
            ("idCard", ["11010519491231002X", "11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ"]),
            ("hongKongIdCard", ["A123456(3)", "a1234563"]),
            ("macauIdCard", ["1234567(8)", "12345678"]),
            ("entraObjectId", ["{0F8FAD5B-D9CB-469F-A165-70867728950E}", "0f8fad5b-d9cb-469f-a165-70867728950e"]),
            ("customerId", ["José"]), ("customerId", ["JOSÉ"]), ("customerId", ["ı"]), ("customerId", ["i"]),
        ];
        var exporter = program.NewExporter();
        var records = people.SelectMany(person => person.Spellings.Select(spelling => (person.Type, spelling)))
            .Select((name, i) => TransferSender.Record($"t-{i}", "-", exporter, record => record["subject"] = new JObject { ["type"] = name.Type, ["id"] = name.spelling })).ToList();

        var whole = await program.Sender.PostAsync(records);
        var oneByOne = await Task.WhenAll(records.Select(record => program.Sender.PostAsync(record)));

        Assert.Equal((0, records.Count), ((int)whole.Json["rejectedCount"]!, (int)whole.Json["accepted"]!));
        Assert.All(oneByOne, answer => Assert.Equal(1, (int)answer.Json["accepted"]!));
        Assert.Equal(people.Length, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
    }

    [Fact]
    public async Task What_can_be_read_in_two_ways_is_refused_and_the_others_count()
    {
        var exporter = program.NewExporter();
        var good = TransferSender.Record("good", "E1", exporter).ToString(Newtonsoft.Json.Formatting.None);
        (string Line, string Code)[] lines =
        [
            (good.Replace("\"good\"", "\"t-1\"", StringComparison.Ordinal)[..^1] + ",\"exemption\":null}", "duplicate-property"),
            (With("fields", "[\"name\",7]"), "invalid-property"),
            (With("id", "123456789012345678901234567890"), "invalid-property"),
            (With("occurredAt", "1e999"), "invalid-property"),
            (With("occurredAt", "\"2026-06-30T23:59:60Z\""), "invalid-time"),
            (With("occurredAt", "\"2026-06-30T23:59:59\""), "invalid-time"),
            (With("occurredAt", "\"2026-06-31T23:59:59Z\""), "invalid-time"),
            (With("occurredAt", "\"9999-12-31T23:59:59-05:00\""), "invalid-time"),
            (With("occurredAt", "\"0001-01-01T00:00:00Z\""), "too-old"),
            (With("subject", "{\"type\":\"idCard\",\"id\":\"110105999001010016\"}"), "invalid-subject"),
            (With("subject", "{\"type\":\"employeeId\",\"id\":\"\\ud800\"}"), "invalid-property"),
            (With("subject", "{\"type\":\"customerId\",\"id\":\"Jose\\u0301\"}"), "invalid-subject"),
            (With("subject", "{\"type\":\"shoeSize\",\"id\":\"43\"}"), "unknown-subject-type"),
            (With("note", new string('[', 2000) + new string(']', 2000)), "too-deep"),
            (With("fields", $"[{string.Join(',', Enumerable.Repeat("\"name\"", 201))}]"), "too-many-fields"),
            (good[..^20], "malformed-json"),
            ("7", "malformed-record"),
        ];
        var body = string.Join('\n', lines.Select(line => line.Line).Prepend(good).Append(good.Replace("E1\"", "E2\"", StringComparison.Ordinal).Replace("\"good\"", "\"last\"", StringComparison.Ordinal)));

        var answer = await program.Sender.PostAsync(body, TransferSender.NdJson);

        Assert.True(answer.Status == 202, answer.Text);
        Assert.Equal(
            lines.Select((line, i) => (i + 1, line.Code)), answer.Json["rejected"]!.Select(rejected => ((int)rejected["index"]!, (string)rejected["code"]!)));
        Assert.Equal((2, true), ((int)answer.Json["accepted"]!, (bool)answer.Json["complete"]!));
        Assert.Equal(2, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);

        string With(string property, string value) => TransferSender.Record("bad", "E9", exporter, record => record[property] = new JRaw(value)).ToString(Newtonsoft.Json.Formatting.None);
    }

    [Fact]
    public async Task Events_of_other_types_and_without_a_record_are_refused_one_by_one()
    {
        var exporter = program.NewExporter();
        JObject Event(string id, string type, string name, JToken? data)
        {
            var said = new JObject { ["specversion"] = "1.0", ["type"] = type, ["source"] = "/hr", ["id"] = id, ["time"] = "2026-11-20T00:00:00Z" };
            if (data is not null)
            {
                said[name] = data;
            }

            return said;
        }

        var record = TransferSender.Record("t-1", "E1", exporter);
        var batch = new JArray(
            Event("e-1", "com.example.transfer", "data", record),
            Event("e-2", "com.example.other", "data", new JObject { ["employee"] = "E2" }),
            Event("e-3", "com.example.transfer", "data_base64", Convert.ToBase64String(Encoding.UTF8.GetBytes(record.ToString()))),
            Event("e-4", "com.example.transfer", "data", "text"),
            Event("e-5", "com.example.transfer", "data", null),
            Event("e-6", "com.example.transfer", "data", TransferSender.Record("t-6", "E6", exporter)));

        var answer = await program.Sender.PostAsync(batch.ToString(), TransferSender.CloudEvents);

        Assert.Equal(
            [(1, "missing-property"), (2, "malformed-record"), (3, "malformed-record"), (4, "malformed-record")],
            answer.Json["rejected"]!.Select(rejected => ((int)rejected["index"]!, (string)rejected["code"]!)));
        Assert.Equal((2, 2), ((int)answer.Json["accepted"]!, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!));
    }

    [Fact]
    public async Task A_compressed_body_that_is_none_or_nothing_but_a_bomb_is_a_problem()
    {
        var settings = TransfersProgram.Settings();
        settings["Transfers:MaxExpandedBytes"] = "3000000";
        await using var limited = await DingFlowProcess.StartStandaloneAsync(settings);
        using var sender = new TransferSender(limited.CreateOperator(TransfersProgram.SenderKey));
        using var compliance = new TransferSender(limited.CreateOperator(TransfersProgram.ComplianceKey));
        var blanks = new byte[50_000_000];
        blanks.AsSpan().Fill((byte)'\n');

        var bomb = await sender.PostAsync(blanks, TransferSender.NdJson, gzip: true);
        var nothing = await PostAsync("1 2 3"u8.ToArray());
        var head = await PostAsync(TransferSender.Compress(Encoding.UTF8.GetBytes(TransferSender.Lines([1, 2], "exporter-2")))[..15]);

        bomb.IsProblem(413, "too-large");
        nothing.IsProblem(400, "malformed");
        head.IsProblem(400, "malformed");
        Assert.Equal(0, (int)(await compliance.CountersAsync("exporter-2"))["subjects"]!);

        async Task<Answer> PostAsync(byte[] compressed)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/transfers") { Content = new ByteArrayContent(compressed) };
            request.Content.Headers.ContentType = new(TransferSender.NdJson);
            request.Content.Headers.ContentEncoding.Add("gzip");
            return await sender.Client.AskAsync(request);
        }
    }

    /// <summary>Three minutes into 2027 in Shanghai.</summary>
    [Fact]
    public async Task Every_moment_counts_in_the_year_that_it_has_in_Shanghai_and_in_no_other_window()
    {
        using var data = new DataDirectory();
        await using var clocked = await ClockedProgram.StartAsync(data.Path, "2026-12-31T16:03:00Z");
        using var sender = new TransferSender(clocked.CreateOperator());
        (string Subject, string Moment)[] said =
        [
            ("last-of-2026", "2026-12-31T23:59:59.9999999+08:00"), ("first-of-2027", "2027-01-01T00:00:00+08:00"), ("first-of-2027-in-utc", "2026-12-31T16:00:00Z"),
            ("first-of-2027-in-new-york", "2026-12-31T11:00:00-05:00"), ("last-of-2026-in-tokyo", "2027-01-01T00:59:59+09:00"), ("ahead", "2027-01-01T00:06:00+08:00"),
            ("first-of-2026", "2026-01-01T00:00:00+08:00"), ("last-of-2025", "2025-12-31T15:59:59.999Z"), ("first-of-2024", "2024-01-01T00:00:00+08:00"),
            ("last-of-2023", "2023-12-31T23:59:59+08:00"), ("too-far-ahead", "2027-01-01T00:30:00+08:00"),
        ];

        var answer = await sender.PostAsync(said.Select(one => TransferSender.Record(one.Subject, one.Subject, change: record => record["occurredAt"] = one.Moment)));

        Assert.Equal([(9, "too-old"), (10, "in-the-future")], answer.Json["rejected"]!.Select(rejected => ((int)rejected["index"]!, (string)rejected["code"]!)));
        Assert.Equal([(2024, 1, 1), (2025, 1, 2), (2026, 3, 4), (2027, 4, 7), (2028, 0, 4)], await Task.WhenAll(Enumerable.Range(2024, 5).Select(YearAsync)));

        async Task<(int, int, int)> YearAsync(int year)
        {
            var counters = await sender.CountersAsync("acme-zhuhai", year);
            return (year, (int)counters["subjects"]!, (int)counters["counters"]!["cn.counted.any.twoYears"]!);
        }
    }
}
