using System.Globalization;
using System.Text;
using DingFlow.Benchmarks.Ledger;

namespace DingFlow.Benchmarks;

/// <summary>A way of writing the records of an import. All ways say the same.</summary>
/// <param name="Name">What it is called in the results, and in <c>--only</c>.</param>
/// <param name="ContentType">Of the request.</param>
/// <param name="Start">What stands before the first record.</param>
/// <param name="Between">What stands between two records.</param>
/// <param name="End">What stands behind the last.</param>
/// <param name="Text">The text of a record.</param>
internal sealed record ImportWriting(
    string Name, string ContentType, string Start, string Between, string End, Func<LedgerWorkload, long, string> Text)
{
    private const string Lines = "application/x-ndjson";

    /// <summary>Orders of properties in which systems write the same record, by their place in <see cref="Properties"/>.</summary>
    private static readonly int[][] Orders =
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        [3, 2, 0, 1, 4, 5, 6, 7, 9, 8, 10, 11, 13, 12],
        [6, 2, 4, 0, 9, 10, 1, 5, 8, 7, 3, 11, 12, 13],
        [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        [1, 0, 3, 13, 2, 12, 5, 6, 7, 4, 9, 8, 11, 10],
        [0, 3, 1, 7, 8, 9, 2, 4, 13, 5, 6, 12, 11, 10],
    ];

    /// <summary>NDJSON first.</summary>
    public static IReadOnlyList<ImportWriting> All { get; } =
    [
        // What a script writes that goes through a table.
        new("lines", Lines, "", "\n", "\n", Line),

        // What an event bus hands on: an array of events of one source, each with an id and a time of its own.
        new("events", "application/cloudevents-batch+json", "[", ",", "]", Event),

        // Six systems write into one file, each in its order; a note and a mechanism are there or not.
        new("ways", Lines, "", "\n", "\n", static (workload, record) => InOrder(workload, record, Orders[Mixed(record) % Orders.Length])),

        // No two records have their properties in the same order.
        new("unlike", Lines, "", "\n", "\n", static (workload, record) => InOrder(workload, record, Shuffled(record))),
    ];

    /// <summary>Writes all records of a workload into a file.</summary>
    public async Task WriteAsync(LedgerWorkload workload, string path)
    {
        await using var file = new StreamWriter(path, append: false, new UTF8Encoding(false), 1 << 20);
        await file.WriteAsync(Start);
        for (long record = 0; record < workload.Records; record++)
        {
            await file.WriteAsync(record == 0 ? "" : Between);
            await file.WriteAsync(Text(workload, record));
        }

        await file.WriteAsync(End);
    }

    private static string Line(LedgerWorkload workload, long record)
    {
        var (subject, kind) = workload.At(record);
        var destination = LedgerWorkload.Countries[kind];
        return string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"id":"t-{{record}}","occurredAt":"{{LedgerWorkload.Year}}-01-05T09:00:00+08:00","exporter":"{{LedgerWorkload.Exporter}}","subject":{"type":"employeeId","id":"E{{subject}}"},"fields":["name","mobile","bankCardNumber"],"origin":"CN","destination":"{{destination.Country}}","recipient":"{{destination.Recipient}}","purpose":"payroll","legalBasis":"contract","method":"api","system":"dingtalk"}""");
    }

    private static string Event(LedgerWorkload workload, long record) => string.Create(
        CultureInfo.InvariantCulture,
        $$"""{"specversion":"1.0","id":"{{new Guid(Mixed(record), 0, 0, BitConverter.GetBytes(record))}}","source":"/hr/payroll","type":"com.example.transfer.recorded","time":"{{new DateTime(LedgerWorkload.Year, 1, 5, 1, 0, 0, DateTimeKind.Utc).AddMilliseconds(record):yyyy-MM-ddTHH:mm:ss.fffZ}}","datacontenttype":"application/json","data":{{Line(workload, record)}}}""");

    /// <summary>The properties of a record in an order; the last two are there or not.</summary>
    private static string InOrder(LedgerWorkload workload, long record, int[] order)
    {
        var properties = Properties(workload, record);
        var rest = Mixed(record) / 64;
        var text = new StringBuilder("{");
        foreach (var property in order)
        {
            if (property < 12 || ((rest >> (property - 12)) & 1) == 0)
            {
                text.Append(text.Length == 1 ? "" : ",").Append(properties[property]);
            }
        }

        return text.Append('}').ToString();
    }

    private static string[] Properties(LedgerWorkload workload, long record)
    {
        var (subject, kind) = workload.At(record);
        var destination = LedgerWorkload.Countries[kind];
        return
        [
            $"\"id\":\"t-{record}\"", $"\"occurredAt\":\"{LedgerWorkload.Year}-01-05T09:00:00+08:00\"", $"\"exporter\":\"{LedgerWorkload.Exporter}\"",
            $"\"subject\":{{\"type\":\"employeeId\",\"id\":\"E{subject}\"}}", "\"fields\":[\"name\",\"mobile\",\"bankCardNumber\"]", "\"origin\":\"CN\"",
            $"\"destination\":\"{destination.Country}\"", $"\"recipient\":\"{destination.Recipient}\"", "\"purpose\":\"payroll\"", "\"legalBasis\":\"contract\"",
            "\"method\":\"api\"", "\"system\":\"dingtalk\"", "\"mechanism\":\"scc\"", $"\"note\":\"run {record}\"",
        ];
    }

    private static int[] Shuffled(long record)
    {
        var order = Orders[0].ToArray();
        new Random((int)record).Shuffle(order);
        return order;
    }

    /// <summary>A number that looks random, the same for the same record.</summary>
    private static int Mixed(long record) => (int)(((ulong)(record + 1) * 0x9E3779B97F4A7C15) >> 33);
}
