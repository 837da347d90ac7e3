using System.Text;
using System.Text.Json;
using CsCheck;
using DingFlow.Tests.Scim;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>Records that are known by their shape say exactly what they say when each is read in full.</summary>
public sealed class RecordShapeTests
{
    private static readonly TransfersOptions Options = new()
    {
        Exporters = new Dictionary<string, Exporter>(StringComparer.OrdinalIgnoreCase)
        {
            ["acme-zhuhai"] = new() { Id = "acme-zhuhai", City = "zhuhai", CorpId = "dingcorp1" },
            ["acme-macau"] = new() { Id = "acme-macau" },
        },
        Recipients = new Dictionary<string, Recipient>(StringComparer.OrdinalIgnoreCase) { ["acme-sg"] = new() { Id = "acme-sg", Country = Country.Parse("SG") } },
        MaxRecordBytes = 8 * 1024,
    };

    private static readonly FieldClassifier Classifier = FieldClassifier.Load(ClassificationProfile.Conservative, Options.FieldMap, (_, _) => { });

    // Every property as some sender might write it: few ways each, so that shapes meet again.
    private static readonly Gen<string> Id = Pick.One(
        "\"id\":\"t-1\"", "\"id\":\"t-2\"", "\"id\":\"t-2\"", "\"id\":\"\"", "\"id\":\"t\\u002d3\"", "\"i\\u0064\":\"t-4\"", "\"id\": \"t-5\"", "\"id\":\"中\"",
        "\"id\":7", "\"id\":null,\"id\":\"t-6\"", "\"id\":\"t-7\",\"id\":\"t-8\"", "\"id\":\"\u007F\"", $"\"id\":\"{new string('x', 128)}\"", $"\"id\":\"{new string('x', 129)}\"");

    private static readonly Gen<string> OccurredAt = Pick.One(
        "2026-11-20T09:00:00+08:00", "2026-11-20T09:00:00+08:00", "2026-11-21T10:00:00+08:00", "2026-11-20T01:02:03.25Z", "2025-12-31T23:59:59+08:00",
        "2026-01-01T00:00:00+08:00", "2022-01-01T00:00:00Z", "2026-12-31T00:00:00Z", "2026-11-20", "2026-11-20T09:00Z", "2026-02-30T00:00:00Z", "2026-11-20T24:00:00Z",
        "2026-11-20T09:00:00.Z", "2026-11-20T09:00:00.12345678Z", "2026-11-20T09:00:00+14:00", "2026-11-20T09:00:00+08:60", "2026-11-20t09:00:00Z", "")
        .Select(time => $"\"occurredAt\":\"{time}\"");

    private static readonly Gen<string> Subject = Gen.Select(
        Pick.One("employeeId", "customerId", "dingTalkUserId", "idCard", "idCard", "email", "mobile", "passport", "entraObjectId", "shoeSize"),
        Pick.One(
            "E1", "e1", " E2 ", "E 3", "110105201506010016", "11010519491231002X", "110105201211200015", "Li.Ming@Example.com", "13800138000", "+853 6212 3456",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff", " ", "a\\tb", "\\u0045", "Ｅ１", "AB123456"),
        Pick.One("", "", ",\"minor\":true", ",\"minor\":false", ",\"scope\":\"CN\"", ",\"corpId\":\"ding2\"", ",\"id\":\"twice\""),
        Gen.Bool,
        (type, id, more, typeFirst) => typeFirst
            ? $"\"subject\":{{\"type\":\"{type}\",\"id\":\"{id}\"{more}}}"
            : $"\"subject\":{{\"id\":\"{id}\"{more},\"type\":\"{type}\"}}");

    private static readonly Gen<string> Others = Gen.Select(
        Pick.One("\"acme-zhuhai\"", "\"acme-zhuhai\"", "\"ACME-zhuhai\"", "\"acme-macau\"", "\"nobody\""),
        Pick.One("[\"name\",\"mobile\"]", "[\"name\",\"bankCardNumber\"]", "[\"name\"]", "[]", "[\"shoeSizeOfTheAunt\"]"),
        Pick.One("SG", "SG", "MO", "CN", "XX"),
        Pick.One("", "", ",\"note\":{\"id\":\"decoy\",\"occurredAt\":\"2026-01-01T00:00:00Z\"}", ",\"exemption\":\"hr\"", ",\"mechanism\":\"gba:F-1\"", ",\"x\":1e400",
            ",\"note\":\"one\"", ",\"note\":\"another\"", ",\"note\":\"es\\u0063aped\"", ",\"note\":\"中\"", ",\"note\":\"one\",\"note\":\"two\"",
            ",\"scenario\":\"Payroll-SG\",\"noticeVersion\":\"n1\",\"consent\":{\"version\":\"v1\",\"separate\":true}", ",\"consent\":{\"id\":\"c-1\",\"at\":\"2026-01-01T00:00:00Z\"}",
            ",\"consent\":{\"at\":\"2026-12-31T00:00:00Z\"}", ",\"consent\":{\"version\":\"v2\",\"separate\":true}", ",\"consent\":{\"id\":\"c-2\",\"at\":\"2026-01-01T00:00:00Z\"}"),
        (exporter, fields, destination, more) =>
            $"\"exporter\":{exporter},\"fields\":{fields},\"origin\":\"CN\",\"destination\":\"{destination}\",\"recipient\":\"acme-sg\",\"purpose\":\"payroll\",\"legalBasis\":\"contract\",\"method\":\"api\",\"system\":\"dingtalk\"{more}");

    private static readonly Gen<string> Line = Gen.Select(
        Gen.Select(Id, OccurredAt, Subject, Others, (id, time, subject, others) => (string[])[id, time, subject, others]),
        Pick.One<int[]>([0, 1, 2, 3], [0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]), Pick.One(",", ",", ", ", ",\t"), Pick.One("", "\r", " "),
        (parts, order, comma, end) => $"{{{string.Join(comma, order.Select(part => parts[part]))}}}{end}");

    // An event around a record that may lack its id and its moment, as the event may.
    private static readonly Gen<string> Data = Gen.Select(
        Gen.OneOf(Id, Gen.Const("")), Gen.OneOf(OccurredAt, Gen.Const("")), Subject, Others,
        (id, time, subject, others) => $"\"data\":{{{string.Join(',', ((string[])[id, time, subject, others]).Where(part => part.Length > 0))}}}");

    private static readonly Gen<string> Event = Gen.Select(
        Gen.Select(
            Pick.One(
                "\"specversion\":\"1.0\"", "\"specversion\":\"1.0\"", "\"specversion\":\"1.0\"", "\"specversion\":\"0.3\"", "\"specversion\":1.0", "\"specversion\":\"1\\u002e0\"", "",
                "\"specversion\":\"1.0\",\"specversion\":\"1.0\""),
            Pick.One(
                "\"id\":\"e-1\"", "\"id\":\"e-2\"", "\"id\":\"e-2\"", "", "\"id\":\"\"", "\"id\":7", "\"id\":null", "\"id\":\"e\\u002d3\"", "\"i\\u0064\":\"e-4\"", "\"id\":\"中\"",
                "\"id\":\"\u007F\"", "\"id\":\"e-5\",\"id\":\"e-6\"", $"\"id\":\"{new string('x', 129)}\""),
            Pick.One(
                "\"time\":\"2026-11-20T00:00:00Z\"", "\"time\":\"2026-11-20T00:00:00Z\"", "\"time\":\"2026-11-21T10:00:00.5+08:00\"", "", "\"time\":\"yesterday\"", "\"time\":null",
                "\"time\":\"2026-11-20T00:00:00\\u005a\"", "\"time\":\"2026-12-31T00:00:00Z\"", "\"time\":\"2025-11-20T00:00:00Z\"", "\"time\":\"\""),
            Pick.One(
                "\"type\":\"com.example.transfer\",\"source\":\"/hr\"", "\"source\":\"/hr\",\"type\":\"com.example.transfer\",\"datacontenttype\":\"application/json\"", "\"source\":\"\\/hr\"",
                "\"subject\":\"E1\",\"source\":\"/hr\"", "\"subject\":\"E2\",\"source\":\"/hr\"", "\"subject\":{\"id\":\"decoy\",\"time\":\"2026-01-01T00:00:00Z\"}", "\"sequence\":1", "\"sequence\":2", "\"subject\":\"中\""),
            Gen.OneOf(Data, Data, Data, Pick.One("\"data\":\"text\"", "\"data\":null", "\"data_base64\":\"e30=\"", "")),
            (version, id, time, others, data) => (string[])[version, id, time, others, data]),
        Pick.One<int[]>([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 4, 2, 0, 3]), Pick.One(",", ",", ", ", ",\t"),
        (parts, order, comma) => $"{{{string.Join(comma, order.Select(part => parts[part]).Where(part => part.Length > 0))}}}");

    [Fact]
    public void Many_records_read_by_one_reader_say_what_each_says_by_itself() => Line.List[1, 40].Sample(
        lines => Compare(lines.ConvertAll(Encoding.UTF8.GetBytes)), iter: 400);

    [Fact]
    public void So_do_many_events() => Event.List[1, 40].Sample(
        events => Compare(events.ConvertAll(Encoding.UTF8.GetBytes), cloudEvents: true), iter: 600);

    [Fact]
    public void Whatever_happens_to_the_bytes_of_events() => Gen.Select(Event.List[2, 4], Changes).Sample(
        (events, changes) => Compare(Damaged(events, changes), cloudEvents: true), iter: 800);

    [Fact]
    public void Whatever_happens_to_their_bytes() => Gen.Select(Line.List[2, 4], Changes).Sample(
        (lines, changes) => Compare(Damaged(lines, changes)), iter: 800);

    [Theory]
    [InlineData("""{"specversion":"1.0","id":"@1","source":"/hr","type":"t","time":"@2","subject":"@3","data":{@R,"subject":{"type":"employeeId","id":"@3"}}}""")]
    [InlineData("""{"specversion":"1.0","type":"@4","data":{"id":"@1","occurredAt":"@2",@R,"subject":{"id":"@3","type":"employeeId"}},"time":"@2","id":"@4"}""")]
    [InlineData("""{"id":"@1","occurredAt":"@2","subject":{"type":"employeeId","id":"@3","note":"@4"},@R,"note":"@4"}""")]
    public void A_shape_holds_for_other_values_wherever_one_may_differ(string template)
    {
        var events = template.Contains("specversion", StringComparison.Ordinal);
        var (shapes, pools) = (new RecordShapes(), new RecordPools(Options, Classifier));
        var (json, draft) = (new RecordJson(pools), new RecordDraft());
        var first = Text("t-1", "2026-11-20T00:00:00Z", "E1", "one");
        Assert.Equal(RefusalReason.None, json.Read(first, draft, events));
        Assert.NotNull(shapes.Learn(first, json.Values, order => new()
        {
            Order = order, Exporter = "", SubjectType = default, CanonicalPrefix = [], SaidToBeMinor = false,
        }));

        var other = Text("another", "2026-11-21T10:00:00.5+08:00", "E2002", "something else");

        Assert.True(shapes.TryFind(other, out var shape));
        Assert.Equal(
            ["another", "2026-11-21T10:00:00.5+08:00", "E2002"],
            ((RecordValue[])[RecordValue.Id, RecordValue.OccurredAt, RecordValue.SubjectId]).Select(value => Encoding.UTF8.GetString(shapes.PlaceOf(shape, value).Of(other))));
        Assert.False(shapes.TryFind(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(other).Replace("payroll", "bonus", StringComparison.Ordinal)), out _));

        byte[] Text(string id, string time, string subject, string nothing) => Encoding.UTF8.GetBytes(template
            .Replace("@1", id, StringComparison.Ordinal).Replace("@2", time, StringComparison.Ordinal)
            .Replace("@3", subject, StringComparison.Ordinal).Replace("@4", nothing, StringComparison.Ordinal)
            .Replace("@R", "\"exporter\":\"acme-macau\",\"fields\":[\"name\"],\"origin\":\"MO\",\"destination\":\"SG\",\"recipient\":\"acme-sg\",\"purpose\":\"payroll\",\"legalBasis\":\"contract\",\"method\":\"api\",\"system\":\"dingtalk\"", StringComparison.Ordinal));
    }

    [Fact]
    public void A_text_that_is_a_record_and_an_event_is_read_as_what_it_was_sent_as()
    {
        const string others = "\"exporter\":\"acme-macau\",\"fields\":[\"name\"],\"origin\":\"MO\",\"destination\":\"SG\",\"recipient\":\"acme-sg\",\"purpose\":\"p\",\"legalBasis\":\"b\",\"method\":\"m\",\"system\":\"s\"";
        var text = Encoding.UTF8.GetBytes(
            $$$"""{"specversion":"1.0","id":"outer","occurredAt":"2026-11-20T00:00:00Z","subject":{"type":"employeeId","id":"E1"},{{{others}}},"data":{"id":"inner","occurredAt":"2026-11-20T00:00:00Z","subject":{"type":"employeeId","id":"E2"},{{{others}}}}}""");
        using var reader = NewReader();

        var read = ((bool[])[false, true, false, true]).Select(cloudEvents => reader.ReadRecords(text, [new(0, text.Length)], cloudEvents).Transfers.Single().RecordId);

        Assert.Equal(["outer", "inner", "outer", "inner"], read);
    }

    private static Gen<List<(int Place, byte Value, int How)>> Changes { get; } = Gen.Select(
        Gen.Int[0, 10_000], Gen.OneOf(Gen.Byte, Pick.One((byte)'"', (byte)'\\', (byte)'{', (byte)0xFF)), Gen.Int[0, 3]).List[1, 12];

    /// <summary>Each text whole first, so that its shape is known when its damaged copies come.</summary>
    private static List<byte[]> Damaged(List<string> texts, List<(int Place, byte Value, int How)> changes)
    {
        var all = texts.ConvertAll(Encoding.UTF8.GetBytes);
        foreach (var (place, value, how) in changes)
        {
            var bytes = Encoding.UTF8.GetBytes(texts[place % texts.Count]).ToList();
            Change(bytes, place, value, how);
            all.Add([.. bytes]);
        }

        return all;
    }

    [Fact]
    public void Shapes_are_found_again_and_forgotten_when_there_are_too_many()
    {
        var shapes = new RecordShapes();
        for (var round = 0; round < 3; round++)
        {
            for (var number = 0; number < 400; number++)
            {
                var found = 0;
                for (var use = 0; use < 6; use++)
                {
                    found += Meet(shapes, $"{{\"id\":\"t-{use}\",\"at\":\"{use}\",\"who\":\"{use}{use}\",\"round\":{round},\"n\":{number}}}") ? 1 : 0;
                }

                Assert.Equal(5, found);
            }
        }
    }

    [Fact]
    public void No_shape_is_learnt_any_more_when_none_is_met_twice()
    {
        var shapes = new RecordShapes();
        for (var number = 0; number < 1000; number++)
        {
            Assert.False(Meet(shapes, $"{{\"id\":\"t\",\"at\":\"0\",\"who\":\"1\",\"n\":{number}}}"));
        }

        Assert.False(Meet(shapes, "{\"id\":\"t\",\"at\":\"0\",\"who\":\"1\"}"));
        Assert.False(Meet(shapes, "{\"id\":\"t\",\"at\":\"0\",\"who\":\"1\"}"));
    }

    [Fact]
    public void A_moment_in_the_plain_form_is_the_one_that_the_JSON_reader_finds()
    {
        var digit = Gen.Char['0', '9'].Select(static c => c.ToString());
        var two = Gen.OneOf(Pick.One("00", "01", "08", "12", "13", "23", "24", "28", "29", "30", "31", "32", "59", "60", "61", "-1", "+1", " 1"), Gen.Select(digit, digit, string.Concat));
        Gen.Select(
            Gen.Select(Pick.One("19", "20", "29", "00"), two, (century, year) => century + year), two, two,
            Gen.Select(two, two, two, (hour, minute, second) => $"{hour}:{minute}:{second}"),
            Gen.Select(Gen.Bool, digit.List[0, 9], (dot, digits) => dot ? "." + string.Concat(digits) : ""),
            Gen.OneOf(Pick.One("Z", "z", "", "+08:00", "-00:00", "+0800"), Gen.Select(Pick.One("+", "-"), two, two, (sign, hours, minutes) => $"{sign}{hours}:{minutes}")),
            (year, month, day, time, fraction, offset) => $"{year}-{month}-{day}T{time}{fraction}{offset}").Sample(
            text =>
            {
                var times = new PlainTime();
                var read = times.TryRead(Encoding.UTF8.GetBytes(text), out var moment);
                var (expected, valid) = Json(text);
                Assert.True(!read || (valid && moment.EqualsExact(expected)), text);
                Assert.Equal((read, moment), (times.TryRead(Encoding.UTF8.GetBytes(text), out var again), again));
            },
            iter: 50_000);
        Assert.True(new PlainTime().TryRead("2026-11-20T09:00:00+08:00"u8, out _));
        Assert.True(new PlainTime().TryRead("2024-02-29T23:59:59.1234567Z"u8, out _));
        Assert.False(new PlainTime().TryRead([], out _));

        static (DateTimeOffset, bool) Json(string text)
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes($"\"{text}\""));
            reader.Read();
            return reader.TryGetDateTimeOffset(out var moment) ? (moment, true) : (default, false);
        }
    }

    [Fact]
    public void An_identifier_in_ASCII_has_the_canonical_form_that_it_has_as_text()
    {
        var text = Gen.OneOf(
            Gen.String[Gen.Char[' ', '~'], 0, 40], Gen.String[Gen.Char["0123456789 -()xX"], 0, 20], Gen.String[Gen.Char["aB@.é "], 0, 10],
            Pick.One("110105201506010016", "11010519491231002X", "110105491231002", "A123456(3)", "1234567(8)", "+86 138 0013 8000", "6F9619FF-8B86-D011-B42D-00C04FC964FF"));
        Gen.Select(Gen.Enum<SubjectType>(), text, Pick.One("CN", "Acme", "ＡＣＭＥ")).Where((_, identifier, _) => Ascii.IsValid(identifier)).Sample(
            (type, identifier, scope) =>
            {
                Span<byte> whole = new byte[CanonicalSubject.MaximumBytes];
                Span<byte> part = new byte[CanonicalSubject.MaximumBytes];
                if (SubjectTypes.ScopeOf(type) == SubjectScope.IssuingCountry)
                {
                    scope = "CN";
                }

                var expected = CanonicalSubject.TryWrite(type, identifier, scope, whole, out var length);
                var written = CanonicalSubject.TryWriteIdentifier(type, Encoding.ASCII.GetBytes(identifier), part, out var partLength);
                Assert.Equal(expected, written);
                if (expected)
                {
                    Assert.Equal<byte>(whole[..length].ToArray(), (byte[])[.. CanonicalSubject.Prefix(type, scope), .. part[..partLength]]);
                }
            },
            iter: 20_000);
    }

    /// <summary>Replaces a byte (0), puts one in (1), takes some out (2) or cuts the rest off (3).</summary>
    internal static void Change(List<byte> bytes, int place, byte value, int how)
    {
        var at = place % bytes.Count;
        switch (how)
        {
            case 0:
                bytes[at] = value;
                break;
            case 1:
                bytes.Insert(at, value);
                break;
            case 2:
                bytes.RemoveRange(at, Math.Min(value % 7, bytes.Count - at));
                break;
            default:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
        }
    }

    private static void Compare(List<byte[]> records, bool cloudEvents = false)
    {
        records = records.ConvertAll(static record => Array.FindAll(record, static value => value != (byte)'\n'));
        using var reader = NewReader();
        // Twice, so that the second time what can have a shape has one.
        var twice = records.Concat(records).ToList();
        var together = Read(reader, twice, cloudEvents);
        var alone = new List<(object? Transfer, string? Refusal)>();
        foreach (var record in twice)
        {
            using var single = NewReader();
            var chunk = Read(single, [record], cloudEvents);
            if (chunk.Records > 0)
            {
                alone.Add((chunk.Transfers.Select(Essence).SingleOrDefault(), chunk.Refusals.SingleOrDefault()?.ToString()));
            }
        }

        Assert.Equal(alone.Count, together.Records);
        Assert.Equal(alone.Where(record => record.Transfer is not null).Select(record => record.Transfer), together.Transfers.Select(Essence));
        Assert.Equal(
            alone.Index().Where(record => record.Item.Refusal is not null).Select(record => record.Item.Refusal!.Replace("Index = 0", $"Index = {record.Index}", StringComparison.Ordinal)),
            together.Refusals.Select(refusal => refusal.ToString()));
    }

    /// <summary>Reads lines, or the texts of an array's events.</summary>
    private static TransferChunk Read(TransferReader reader, List<byte[]> records, bool cloudEvents)
    {
        var text = records.SelectMany(record => record.Append((byte)'\n')).ToArray();
        if (!cloudEvents)
        {
            return reader.ReadLines(text);
        }

        List<RecordPlace> places = [];
        foreach (var record in records)
        {
            places.Add(new(places.Sum(place => place.Length + 1), record.Length));
        }

        return reader.ReadRecords(text, places, cloudEvents: true);
    }

    /// <summary>Everything that a record says.</summary>
    private static object Essence(SubjectTransfer transfer) => (
        transfer.RecordId, transfer.Exporter, transfer.Subject, transfer.OccurredAt, transfer.OccurredAt.Offset, string.Join(',', transfer.Facts),
        transfer.Circumstances with { Fields = [] }, string.Join(',', transfer.Circumstances.Fields), transfer.Consent?.Id, transfer.Consent?.At);

    /// <summary>Whether the shape of a line is known; it is learnt otherwise.</summary>
    private static bool Meet(RecordShapes shapes, string line)
    {
        var json = Encoding.UTF8.GetBytes(line);
        if (shapes.TryFind(json, out var shape))
        {
            Assert.StartsWith("t", Encoding.UTF8.GetString(shapes.PlaceOf(shape, RecordValue.Id).Of(json)), StringComparison.Ordinal);
            return true;
        }

        shapes.Learn(json, [new(RecordValue.Id, Place("id")), new(RecordValue.OccurredAt, Place("at")), new(RecordValue.SubjectId, Place("who"))], order => new()
        {
            Order = order, Exporter = "", SubjectType = default, CanonicalPrefix = [], SaidToBeMinor = false,
        });
        return false;

        PlainText Place(string name)
        {
            var at = line.IndexOf($"\"{name}\":\"", StringComparison.Ordinal);
            var start = at + name.Length + 4;
            return new(at, start, line.IndexOf('"', start) - start);
        }
    }

    private static TransferReader NewReader() => new(
        Options, Classifier, new PseudonymKey(new byte[32]), UnlinkedSubjects.Instance, _ => true, LedgerScenario.Clock());
}
