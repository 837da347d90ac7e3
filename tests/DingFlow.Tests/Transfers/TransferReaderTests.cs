using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using CsCheck;
using DingFlow.Tests.Scim;
using DingFlow.Transfers;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>The reader of batches by itself: formats, judgements, half lines, random bytes.</summary>
public sealed class TransferReaderTests
{
    private static readonly TransfersOptions Options = new()
    {
        Exporters = new Dictionary<string, Exporter>(StringComparer.OrdinalIgnoreCase)
        {
            ["acme-zhuhai"] = new() { Id = "acme-zhuhai", City = "zhuhai", CorpId = "dingcorp1" },
        },
        Recipients = new Dictionary<string, Recipient>(StringComparer.OrdinalIgnoreCase)
        {
            ["acme-sg"] = new() { Id = "acme-sg", Country = Country.Parse("SG") },
            ["acme-mo"] = new() { Id = "acme-mo", Country = Country.Parse("MO") },
        },
    };

    private static readonly FieldClassifier Classifier = FieldClassifier.Load(ClassificationProfile.Conservative, Options.FieldMap, (_, _) => { });

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_record_of_the_contract_becomes_its_facts()
    {
        var (transfers, refusals, _) = await ReadAsync(TransferSender.Record("t-1", "E1001").ToString(), TransferFormat.Json);

        Assert.Empty(refusals);
        var transfer = Assert.Single(transfers);
        Assert.Equal(("t-1", "acme-zhuhai"), (transfer.RecordId, transfer.Exporter));
        Assert.Equal([(DataClass.General, "acme-sg"), (DataClass.Finance, "acme-sg")], transfer.Facts.Select(fact => (fact.Class, fact.Recipient)));
        Assert.Equal(["name", "mobile", "bankCardNumber"], transfer.Circumstances.Fields);
        Assert.Equal(TransferNotices.None, transfer.Circumstances.Notices);
    }

    [Theory]
    [InlineData("id", null, "missing-property")]
    [InlineData("id", "\"\"", "invalid-property")]
    [InlineData("id", "7", "invalid-property")]
    [InlineData("occurredAt", "\"2026-11-22\"", "invalid-time")]
    [InlineData("occurredAt", "\"2026-11-22T09:00:00\"", "invalid-time")]
    [InlineData("occurredAt", "\"2026-11-22T10:00:00+08:00\"", "in-the-future")]
    [InlineData("occurredAt", "\"2022-12-31T15:59:59Z\"", "too-old")]
    [InlineData("exporter", "\"nobody\"", "unknown-exporter")]
    [InlineData("subject", "\"E1001\"", "invalid-property")]
    [InlineData("subject", "{\"type\":\"shoeSize\",\"id\":\"43\"}", "unknown-subject-type")]
    [InlineData("subject", "{\"type\":\"email\",\"id\":\"nobody\"}", "invalid-subject")]
    [InlineData("subject", "{\"type\":\"email\"}", "missing-property")]
    [InlineData("subject", "{\"type\":\"idCard\",\"id\":\"110105202611230015\"}", "invalid-subject")]
    [InlineData("subject", "{\"type\":\"idCard\",\"id\":\"110105999001010016\"}", "invalid-subject")]
    [InlineData("subject", "{\"type\":\"employeeId\",\"id\":null,\"id\":\"E2\"}", "duplicate-property")]
    [InlineData("exemption", "{\"code\":\"EX-LEGAL\",\"evidence\":{\"duty\":\"d\"},\"code\":\"EX-CONTRACT\"}", "duplicate-property")]
    [InlineData("exemption", "{\"code\":\"EX-LEGAL\",\"evidence\":{\"duty\":\"d\"},\"evidence\":{\"duty\":\"e\"}}", "duplicate-property")]
    [InlineData("mechanism", "{\"kind\":\"sc\",\"number\":\"1\",\"kind\":\"gba\"}", "duplicate-property")]
    [InlineData("fields", "[]", "no-fields")]
    [InlineData("fields", "\"name\"", "invalid-property")]
    [InlineData("categories", "[\"secrets\"]", "unknown-category")]
    [InlineData("origin", "\"XX\"", "invalid-country")]
    [InlineData("destination", "\"CN\"", "not-a-transfer")]
    [InlineData("recipient", "\"a b\"", "invalid-property")]
    [InlineData("exemption", "\"luck\"", "unknown-exemption")]
    [InlineData("exemption", "\"EX-VOLUME\"", "exemption-by-volume")]
    [InlineData("exemption", "\"hr\"", "exemption-evidence-missing")]
    [InlineData("exemption", "\"ftz\"", "exemption-not-open-to-exporter")]
    [InlineData("mechanism", "\"gba:F-1\"", "exemption-not-applicable")]
    [InlineData("scenario", "\"a b\"", "invalid-property")]
    [InlineData("scenario", "7", "invalid-property")]
    [InlineData("noticeVersion", "\"\"", "invalid-property")]
    [InlineData("noticeVersion", "\"12345678901234567890123456789012345678901234567890123456789012345\"", "invalid-property")]
    [InlineData("consent", "true", "invalid-property")]
    [InlineData("consent", "{\"id\":\"\"}", "invalid-property")]
    [InlineData("consent", "{\"id\":\"a\\u0007b\"}", "invalid-property")]
    [InlineData("consent", "{\"id\":7}", "invalid-property")]
    [InlineData("consent", "{\"at\":\"2026-11-01\"}", "invalid-time")]
    [InlineData("consent", "{\"at\":\"2026-11-23T00:00:00Z\"}", "in-the-future")]
    [InlineData("consent", "{\"version\":\"12345678901234567890123456789012345678901234567890123456789012345\"}", "invalid-property")]
    [InlineData("consent", "{\"separate\":\"yes\"}", "invalid-property")]
    public async Task A_record_that_is_not_as_it_must_be_is_refused_with_its_code(string property, string? value, string code)
    {
        var record = TransferSender.Record("t-1", "E1001");
        if (value is null)
        {
            record.Remove(property);
        }
        else
        {
            record[property] = new JRaw(value);
        }

        var (transfers, refusals, _) = await ReadAsync(Text(record), TransferFormat.NdJson);

        Assert.Empty(transfers);
        Assert.Equal((0L, code), (refusals[0].Index, refusals[0].Code));
    }

    [Fact]
    public async Task Consent_notice_and_scenario_stay_with_the_record()
    {
        var (transfers, refusals, _) = await ReadAsync(
            string.Join('\n',
                Text(TransferSender.Record("t-1", "E1", change: record =>
                {
                    (record["scenario"], record["noticeVersion"]) = ("Payroll-SG", "2026-03");
                    record["consent"] = JObject.Parse("""{"id":"c-é","at":"2026-03-02T10:15:00.123+08:00","version":"v3","separate":true,"by":{"id":"nobody's"}}""");
                })),
                Text(TransferSender.Record("t-2", "E2", change: record => record["consent"] = JObject.Parse("""{"id":null,"at":null,"version":null,"separate":null}"""))),
                Text(TransferSender.Record("t-3", "E3", change: record => record["consent"] = JObject.Parse("""{"separate":false}""")))),
            TransferFormat.NdJson);

        Assert.Empty(refusals);
        Assert.Equal(new ConsentEvidence("c-é", new(2026, 3, 2, 10, 15, 0, 123, TimeSpan.FromHours(8))), transfers[0].Consent);
        Assert.Equal(new TransferPaperwork("payroll-sg", "2026-03", "v3", true), transfers[0].Circumstances.Paperwork);
        Assert.Equal((null, null), (transfers[1].Consent, transfers[1].Circumstances.Paperwork));
        Assert.Equal((null, new TransferPaperwork(null, null, null, false)), (transfers[2].Consent, transfers[2].Circumstances.Paperwork));
        Assert.DoesNotContain("c-é", $"{transfers[0].Consent} {new TransferConsent("c-é")}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"id\":\"t-2\"")]
    [InlineData("\"mechanism\":\"sc:1\"")]
    [InlineData("\"exemption\":null")]
    [InlineData("\"consent\":{\"id\":\"c-1\",\"id\":\"c-2\"}")]
    [InlineData("\"scenario\":\"a\",\"scenario\":\"a\"")]
    public async Task A_property_that_stands_twice_is_refused_with_or_without_a_value(string again)
    {
        var record = Text(TransferSender.Record("t-1", "E1001"));

        var (transfers, refusals, _) = await ReadAsync($"{record[..^1]},{again}}}", TransferFormat.NdJson);

        Assert.Empty(transfers);
        Assert.Equal("duplicate-property", Assert.Single(refusals).Code);
    }

    [Fact]
    public async Task A_mistyped_identity_number_among_good_ones_is_refused_alone()
    {
        var lines = string.Join('\n', ((string[])["11010519491231002X", "110105999001010016", "110105202611230015", "440524198001010013"]).Select((number, i) =>
            Text(TransferSender.Record($"t-{i}", "E1", change: record => record["subject"] = new JObject { ["type"] = "idCard", ["id"] = number }))));

        var (transfers, refusals, _) = await ReadAsync(lines, TransferFormat.NdJson);

        Assert.Equal(["t-0", "t-3"], transfers.Select(transfer => transfer.RecordId));
        Assert.Equal([(1L, "invalid-subject"), (2L, "invalid-subject")], refusals.Select(refusal => (refusal.Index, refusal.Code)));
    }

    [Theory]
    [InlineData("2025-12-31T23:59:59+08:00", TransferNotices.LastYear)]
    [InlineData("2026-01-01T00:00:00+08:00", TransferNotices.None)]
    public async Task Last_year_ends_at_midnight_in_Shanghai(string moment, TransferNotices expected)
    {
        var (transfers, _, _) = await ReadAsync(Text(TransferSender.Record("t-1", "E1", change: record => record["occurredAt"] = moment)), TransferFormat.NdJson);

        Assert.Equal(expected, Assert.Single(transfers).Circumstances.Notices);
    }

    [Fact]
    public async Task What_a_person_should_look_at_is_flagged_and_counted()
    {
        var (transfers, refusals, reader) = await ReadAsync(
            string.Join('\n',
                Text(TransferSender.Record("t-1", "E1", change: record => record["recipient"] = "Who-Is-This")),
                Text(TransferSender.Record("t-2", "E2", change: record => record["fields"] = new JArray("shoeSizeOfTheAunt"))),
                Text(TransferSender.Record("t-3", "E3", change: record => record["destination"] = "JP")),
                Text(TransferSender.Record("t-4", "E4", change: record => record["categories"] = new JArray("notPersonal")))),
            TransferFormat.NdJson);

        Assert.Empty(refusals);
        Assert.Equal(
            [TransferNotices.UnknownRecipient, TransferNotices.UnknownField, TransferNotices.RecipientElsewhere, TransferNotices.None],
            transfers.Select(transfer => transfer.Circumstances.Notices));
        Assert.All(transfers[0].Facts, fact => Assert.Equal("who-is-this", fact.Recipient));
        Assert.Equal(DataClass.Undetermined, Assert.Single(transfers[1].Facts).Class);
        Assert.Equal(["shoeSizeOfTheAunt"], reader);
    }

    [Theory]
    [InlineData("{\"type\":\"idCard\",\"id\":\"110105201506010016\"}", true)]
    [InlineData("{\"type\":\"idCard\",\"id\":\"11010519491231002X\"}", false)]
    [InlineData("{\"type\":\"customerId\",\"id\":\"7\",\"minor\":true}", true)]
    public async Task A_person_under_14_is_sensitive_whatever_the_field(string subject, bool minor)
    {
        var (transfers, _, _) = await ReadAsync(
            Text(TransferSender.Record("t-1", "E1", change: record => (record["subject"], record["fields"]) = (JToken.Parse(subject), new JArray("name")))), TransferFormat.NdJson);

        var fact = Assert.Single(Assert.Single(transfers).Facts);
        Assert.Equal((minor, minor ? DataClass.Minor : DataClass.General), (fact.Minor, fact.Class));
    }

    [Fact]
    public async Task A_child_turns_fourteen_in_the_counting_of_transfers_too()
    {
        foreach (var (born, moment, minor) in ((string, string, bool)[])
        [
            ("20121120", "2026-11-19T23:59:59+08:00", true), ("20121120", "2026-11-20T23:59:59+08:00", true), ("20121120", "2026-11-21T00:00:00+08:00", false),
            ("20120229", "2026-02-28T12:00:00+08:00", true), ("20120229", "2026-03-01T00:00:00+08:00", false), ("20120301", "2026-03-01T00:00:00+08:00", true),
        ])
        {
            var number = IdCardOf(born);
            Assert.Equal(DateOnly.ParseExact(born, "yyyyMMdd", null), CanonicalSubject.BirthDate(SubjectType.IdCard, number));
            var subject = new JObject { ["type"] = "idCard", ["id"] = number };
            var (transfers, _, _) = await ReadAsync(
                Text(TransferSender.Record("t-1", "E1", change: record => (record["subject"], record["occurredAt"]) = (subject, moment))), TransferFormat.NdJson);
            Assert.All(Assert.Single(transfers).Facts, fact => Assert.Equal(minor, fact.Minor));
        }

        // The check character of GB 11643: weights 2^(17-i) modulo 11.
        static string IdCardOf(string born)
        {
            var digits = $"110105{born}001";
            var sum = digits.Select((digit, i) => (digit - '0') * ((1 << (17 - i)) % 11)).Sum();
            return digits + "10X98765432"[sum % 11];
        }
    }

    [Fact]
    public async Task A_Greater_Bay_contract_is_claimed_by_its_filing_number_and_fails_onward()
    {
        var lines = string.Join('\n',
            Text(TransferSender.Record("t-1", "E1", change: Gba)),
            Text(TransferSender.Record("t-2", "E2", change: record =>
            {
                Gba(record);
                record["mechanism"] = null;
                record["exemption"] = JObject.Parse("""{"code":"gba","evidence":{"filing":"F-1"},"onward":["zhuhai","US"]}""");
            })));

        var (transfers, refusals, _) = await ReadAsync(lines, TransferFormat.NdJson);

        Assert.All(Assert.Single(transfers).Facts, fact => Assert.Equal(ExemptionKind.GreaterBayContract, fact.Exemption));
        Assert.Equal((1L, "gba-onward"), (Assert.Single(refusals).Index, refusals[0].Code));

        static void Gba(JObject record) => (record["destination"], record["recipient"], record["mechanism"]) = ("MO", "acme-mo", "gba:F-1");
    }

    [Fact]
    public Task The_three_formats_say_the_same_however_the_bytes_arrive() =>
        Gen.Select(Gen.Int[0, 12].SelectMany(count => Shape.List[count]), Gen.Int[1, 97]).SampleAsync(
            async (shapes, piece) =>
            {
                var records = shapes.Select((shape, i) => TransferSender.Record($"t-{i}", $"E{shape.Subject}", change: record =>
                {
                    record["note"] = shape.Note;
                    record["purpose"] = shape.Note;
                    if (shape.Bad)
                    {
                        record["origin"] = "??";
                    }
                })).ToList();
                var array = await ReadAsync(new JArray(records).ToString(shapes.Count % 2 == 0 ? Formatting.None : Formatting.Indented), TransferFormat.Json, piece);
                var lines = await ReadAsync(string.Join("\r\n", records.Select(Text)) + (piece % 2 == 0 ? "\n\n" : ""), TransferFormat.NdJson, piece);
                var events = await ReadAsync(
                    new JArray(records.Select((record, i) => new JObject
                    {
                        ["specversion"] = "1.0", ["id"] = $"e-{i}", ["type"] = "com.example.transfer", ["source"] = "/hr", ["data"] = record,
                    })).ToString(), TransferFormat.CloudEvents, piece);

                Assert.Equal(shapes.Count(shape => !shape.Bad), array.Transfers.Count);
                foreach (var other in ((IReadOnlyList<SubjectTransfer> Transfers, IReadOnlyList<RecordRefusal> Refusals, IReadOnlyCollection<string>)[])[lines, events])
                {
                    Assert.Equal(array.Transfers.Select(Essence), other.Transfers.Select(Essence));
                    Assert.Equal(array.Refusals, other.Refusals);
                }
            },
            iter: 300);

    [Fact]
    public async Task A_CloudEvent_gives_its_id_and_time_to_a_record_without_any()
    {
        var record = TransferSender.Record("x", "E1", change: record =>
        {
            record.Remove("id");
            record.Remove("occurredAt");
        });
        var batch = new JArray(
            Event("e-1", "1.0", record), Event("e-2", "0.3", record), Event("e-3", 1.0, record), new JObject { ["specversion"] = "1.0", ["id"] = "e-4" }).ToString();

        var (transfers, refusals, _) = await ReadAsync(batch, TransferFormat.CloudEvents);

        var transfer = Assert.Single(transfers);
        Assert.Equal(("e-1", DateTimeOffset.Parse("2026-11-20T00:00:00Z", System.Globalization.CultureInfo.InvariantCulture)), (transfer.RecordId, transfer.OccurredAt));
        Assert.Equal([(1L, "malformed-record"), (2L, "malformed-record"), (3L, "malformed-record")], refusals.Select(refusal => (refusal.Index, refusal.Code)));

        static JObject Event(string id, JToken version, JObject data) => new()
        {
            ["specversion"] = version, ["id"] = id, ["type"] = "t", ["source"] = "s", ["time"] = "2026-11-20T00:00:00Z", ["data"] = data,
        };
    }

    [Fact]
    public async Task Half_a_line_is_refused_and_the_lines_before_it_count()
    {
        var lines = TransferSender.Lines(Enumerable.Range(1, 3), "acme-zhuhai");

        var (transfers, refusals, _) = await ReadAsync(lines[..^40], TransferFormat.NdJson);

        Assert.Equal(2, transfers.Count);
        Assert.Equal((2L, "malformed-json"), (Assert.Single(refusals).Index, refusals[0].Code));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(300)]
    public async Task An_array_that_ends_within_a_record_is_not_complete_and_says_where_to_go_on(int missing)
    {
        var array = $"[{string.Join(',', Enumerable.Range(1, 3).Select(i => Text(TransferSender.Record($"t-{i}", $"E{i}"))))}]";

        var (chunks, stop) = await ReadAsync(new MemoryStream(Encoding.UTF8.GetBytes(array[..^missing])), TransferFormat.Json);

        Assert.Equal(missing > 1 ? 2 : 3, Assert.Single(chunks).Transfers.Count);
        Assert.Empty(chunks[0].Refusals);
        Assert.Equal((BatchStop.Malformed, missing > 1 ? 2L : 3L), (stop, chunks[0].Records));
    }

    [Fact]
    public async Task A_field_of_ten_megabytes_is_refused_without_being_held_and_the_next_record_counts()
    {
        var huge = Text(TransferSender.Record("t-1", "E1", change: record => record["purpose"] = new string('x', 10 * 1024 * 1024)));
        var good = Text(TransferSender.Record("t-2", "E2"));
        foreach (var (body, format) in ((string, TransferFormat)[])[($"{huge}\n{good}\n", TransferFormat.NdJson), ($"[{huge},{good}]", TransferFormat.Json)])
        {
            // The pipe holds no more than a few records: a reader that wanted the whole of one would never get it.
            var pipe = new Pipe(new(pauseWriterThreshold: 256 * 1024, resumeWriterThreshold: 128 * 1024));
            var writing = WriteAsync(pipe.Writer, Encoding.UTF8.GetBytes(body), 4096);
            var (chunks, stop) = await ReadAsync(pipe.Reader.AsStream(), format);

            await writing;
            Assert.Equal(BatchStop.None, stop);
            Assert.Equal("record-too-large", Assert.Single(chunks.SelectMany(chunk => chunk.Refusals)).Code);
            Assert.Equal("t-2", Assert.Single(chunks.SelectMany(chunk => chunk.Transfers)).RecordId);
        }
    }

    [Fact]
    public async Task Nesting_without_end_is_refused()
    {
        var deep = Text(TransferSender.Record("t-1", "E1"))[..^1] + ",\"x\":" + new string('[', 5000) + new string(']', 5000) + "}";

        var (transfers, refusals, _) = await ReadAsync(deep + "\n" + Text(TransferSender.Record("t-2", "E2")), TransferFormat.NdJson);

        Assert.Equal("too-deep", Assert.Single(refusals).Code);
        Assert.Single(transfers);
    }

    [Fact]
    public Task Whatever_bytes_come_every_record_is_taken_or_refused() =>
        Gen.Select(Gen.Enum<TransferFormat>(), Gen.Select(Gen.Int[0, 100_000], Gen.Byte, Gen.Int[0, 2]).Array[0, 12], Gen.Int[1, 300]).SampleAsync(
            async (format, changes, piece) =>
            {
                var bytes = Seed(format).ToList();
                foreach (var (place, value, how) in changes)
                {
                    RecordShapeTests.Change(bytes, place, value, how);
                    if (bytes.Count == 0)
                    {
                        break;
                    }
                }

                var pipe = new Pipe();
                var writing = WriteAsync(pipe.Writer, [.. bytes], piece);
                var (chunks, stop) = await ReadAsync(pipe.Reader.AsStream(), format);

                await pipe.Reader.CompleteAsync();
                await writing;
                var bad = chunks.SelectMany(chunk => chunk.Refusals).ToList();
                Assert.Equal(chunks.Count == 0 ? 0 : chunks[^1].Records, chunks.Sum(chunk => chunk.Transfers.Count) + bad.Count);
                Assert.Equal(bad.Select(refusal => refusal.Index).Distinct().Count(), bad.Count);
                Assert.True(format != TransferFormat.NdJson || stop == BatchStop.None);
            },
            iter: 4000);

    [Fact]
    public void A_record_of_our_own_making_is_judged_as_one_that_was_sent()
    {
        var record = new TransferRecord
        {
            Id = "t-1", OccurredAt = new(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)), Exporter = "acme-zhuhai", Subject = new("userId", "sb-1001"),
            Fields = ["name"], Origin = "CN", Destination = "SG", Recipient = "acme-sg", Purpose = "p", LegalBasis = "b", Method = "m", System = "s",
        };
        using var reader = NewReader();

        Assert.NotNull(reader.Read(record).Transfer);
        var consented = reader.Read(record with { Scenario = "Payroll-SG", NoticeVersion = "n1", Consent = new("c-1", record.OccurredAt, "v1", true) }).Transfer;
        Assert.Equal((new ConsentEvidence("c-1", record.OccurredAt), new TransferPaperwork("payroll-sg", "n1", "v1", true)), (consented?.Consent, consented?.Circumstances.Paperwork));
        Assert.Null(reader.Read(record).Transfer?.Consent);
        Assert.Equal("invalid-property", reader.Read(record with { Scenario = "a b" }).Refusal?.Code);
        Assert.Equal("unknown-exporter", reader.Read(record with { Exporter = "nobody" }).Refusal?.Code);
        Assert.Equal("invalid-subject", reader.Read(record with { Subject = new("email", "x") }).Refusal?.Code);
        Assert.Equal("invalid-country", reader.Read(record with { Origin = "?" }).Refusal?.Code);
    }

    private static Gen<(int Subject, string Note, bool Bad)> Shape { get; } =
        Gen.Select(Gen.Int[0, 5], Pick.One("plain", "quote \" and \\ back", "braces {[]}", "中文", "tab\tless".Replace("\t", " ", StringComparison.Ordinal), "]"), Gen.Int[0, 9].Select(i => i == 0));

    private static byte[] Seed(TransferFormat format)
    {
        var records = Enumerable.Range(0, 3).Select(i => TransferSender.Record($"t-{i}", $"E{i}", change: record =>
            record["exemption"] = JObject.Parse("""{"code":"hr","evidence":{"labourRules":"L-\u00e9"},"onward":["zhuhai"]}"""))).ToList();
        return Encoding.UTF8.GetBytes(format switch
        {
            TransferFormat.NdJson => string.Join('\n', records.Select(Text)),
            TransferFormat.Json => new JArray(records).ToString(Formatting.None),
            _ => new JArray(records.Select(record => new JObject { ["specversion"] = "1.0", ["id"] = "e", ["time"] = "2026-11-20T00:00:00Z", ["data"] = record })).ToString(Formatting.None),
        });
    }

    private static object Essence(SubjectTransfer transfer) =>
        (transfer.RecordId, transfer.Subject, transfer.OccurredAt, string.Join(',', transfer.Facts), transfer.Circumstances.Purpose);

    private static string Text(JObject record) => record.ToString(Formatting.None);

    private static TransferReader NewReader() => new(
        Options, Classifier, new PseudonymKey(new byte[32]), UnlinkedSubjects.Instance, _ => true, LedgerScenario.Clock());

    private static async Task<(IReadOnlyList<SubjectTransfer> Transfers, IReadOnlyList<RecordRefusal> Refusals, IReadOnlyCollection<string> UnknownFields)> ReadAsync(
        string body, TransferFormat format, int piece = int.MaxValue)
    {
        var pipe = new Pipe(new(pauseWriterThreshold: 0));
        await WriteAsync(pipe.Writer, Encoding.UTF8.GetBytes(body), piece);
        using var readers = new ReaderPool(NewReader);
        var (chunks, _) = await ReadAsync(pipe.Reader.AsStream(), format, readers);
        return ([.. chunks.SelectMany(chunk => chunk.Transfers)], [.. chunks.SelectMany(chunk => chunk.Refusals)], readers.UnknownFields);
    }

    private static async Task<(List<TransferChunk> Chunks, BatchStop Stop)> ReadAsync(Stream body, TransferFormat format)
    {
        using var readers = new ReaderPool(NewReader);
        return await ReadAsync(body, format, readers);
    }

    private static async Task<(List<TransferChunk> Chunks, BatchStop Stop)> ReadAsync(Stream body, TransferFormat format, ReaderPool readers)
    {
        List<TransferChunk> chunks = [];
        var stop = await new RecordBlocks(body, null, RecordCutter.For(format, Options.MaxRecordBytes), Options, readers).ReadAsync(
            chunk =>
            {
                chunks.Add(chunk);
                return Task.CompletedTask;
            },
            Token, Token);
        return (chunks, stop);
    }

    private static async Task WriteAsync(PipeWriter writer, byte[] body, int piece)
    {
        for (var at = 0; at < body.Length; at += piece)
        {
            var part = body.AsMemory(at, Math.Min(piece, body.Length - at));
            writer.Write(part.Span);
            if ((await writer.FlushAsync(Token)).IsCompleted || piece == int.MaxValue)
            {
                break;
            }
        }

        await writer.CompleteAsync();
    }
}
