using System.Buffers.Binary;
using DingFlow.Transfers;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>
/// The same records for every program: so many distinct subjects, a fifth again as many records, in an order that looks random. Each
/// record says eight things to count.
/// </summary>
internal sealed class LedgerWorkload(long subjects)
{
    public const string Exporter = "acme-zhuhai";
    public const int Year = 2026;
    public const int BatchSize = 10_000;

    /// <summary>What a record counts towards besides the recipient's, country's and lane's counters: eight in all.</summary>
    public static readonly string[][] Dimensions = [.. Destinations().Select(destination => (string[])
    [
        "subjects", "pi.general", "pi.sensitive", "sensitive.finance", "cn.counted.any",
        $"recipient.{destination.Recipient}", $"country.{destination.Lane.Destination}", $"lane.{destination.Lane}",
    ])];

    /// <summary>Where the records of each kind go.</summary>
    public static readonly (string Country, string Recipient)[] Countries =
        [.. Destinations().Select(destination => (destination.Lane.Destination.ToString(), destination.Recipient))];

    private static readonly DateTimeOffset Start = new(Year, 1, 5, 0, 0, 0, TimeSpan.FromHours(8));

    private static readonly TransferFact[][] Facts = [.. Destinations().Select(destination => (TransferFact[])
    [
        new(destination.Lane, ExemptionKind.None, DataClass.General, false, destination.Recipient),
        new(destination.Lane, ExemptionKind.None, DataClass.Finance, false, destination.Recipient),
    ])];

    private static readonly TransferCircumstances Circumstances =
        new(["name", "mobile", "bankCardNumber"], "payroll", "contract", null, "api", "dingtalk", null, TransferNotices.None);

    public long Subjects => subjects;

    public long Records => subjects + (subjects / 5);

    public IEnumerable<List<SubjectTransfer>> Batches()
    {
        for (long from = 0; from < Records; from += BatchSize)
        {
            var count = (int)Math.Min(BatchSize, Records - from);
            var batch = new List<SubjectTransfer>(count);
            for (var i = 0; i < count; i++)
            {
                var (subject, kind) = At(from + i);
                batch.Add(new(
                    $"t-{from + i}", Exporter, new SubjectPseudonym(Pseudonym(subject)), Start.AddSeconds(from + i), Facts[kind], Circumstances));
            }

            yield return batch;
        }
    }

    /// <summary>The subject and the destination of a record.</summary>
    public (long Subject, int Kind) At(long record)
    {
        // A prime that divides neither count, so every record number is met once.
        var place = record * 7_368_787 % Records;
        var subject = place < subjects ? place : place - subjects;
        return (subject, (int)(subject % Facts.Length));
    }

    /// <summary>32 bytes that look random, as an HMAC's do.</summary>
    public static byte[] Pseudonym(long subject)
    {
        var bytes = new byte[SubjectPseudonym.Size];
        var state = (ulong)subject;
        for (var i = 0; i < bytes.Length; i += 8)
        {
            state += 0x9E3779B97F4A7C15;
            var mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i), mixed ^ (mixed >> 31));
        }

        return bytes;
    }

    private static IEnumerable<(Lane Lane, string Recipient)> Destinations() =>
    [
        (Lane.Parse("CN-SG"), "acme-sg"), (Lane.Parse("CN-MO"), "acme-mo"), (Lane.Parse("CN-DE"), "acme-de"), (Lane.Parse("CN-US"), "payroll-us"),
    ];
}
