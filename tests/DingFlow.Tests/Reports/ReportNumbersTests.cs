using System.Globalization;
using DingFlow.Reports;
using DingFlow.Tests.Alerts;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Reports;

/// <summary>Every number of a report beside the same number counted naively from the records, on days at which calendars differ.</summary>
public sealed class ReportNumbersTests
{
    private static readonly string[] Lanes = ["CN-SG", "CN-HK", "CN-MO", "MO-SG", "DE-CN"];
    private static readonly string[] Recipients = ["acme-sg", "acme-hk", "vendor"];
    private static readonly string[] Purposes = ["payroll", "travel"];
    private static readonly DataClass[] Classes = [DataClass.General, DataClass.General, DataClass.Finance, DataClass.MedicalHealth, DataClass.Minor];
    private static readonly ExemptionKind[] Exemptions = [ExemptionKind.None, ExemptionKind.None, ExemptionKind.Contract, ExemptionKind.HumanResources];

    [Theory]
    [InlineData("2028-03-10")] // after the leap day
    [InlineData("2028-02-29")]
    [InlineData("2029-03-10")] // the year before had one
    [InlineData("2027-12-31")]
    [InlineData("2028-01-01")]
    public async Task Every_number_is_what_a_naive_count_of_the_records_gives(string day)
    {
        var today = DateOnly.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture);
        var random = new Random(today.DayNumber);
        for (var world = 0; world < 12; world++)
        {
            await using var acme = new ThresholdDriver();
            acme.Time.SetUtcNow(LegalTime.StartOf(today).AddHours(13));
            var records = Enumerable.Range(0, 120).Select(_ => Any(random, today)).ToList();
            await acme.AppendAsync("b", [.. records.Select(static (record, index) => record.ToTransfer(index))]);

            Compare(await acme.ReportAsync(today.Year), new(records, today));
        }
    }

    /// <summary>The line of the year lies beside limits that the same persons are compared with.</summary>
    [Theory]
    [InlineData(CountingOverlap.Inclusive, null, 2, 1)]
    [InlineData(CountingOverlap.Exclusive, null, 1, 1)]
    [InlineData(CountingOverlap.Inclusive, true, 3, 2)]
    [InlineData(CountingOverlap.Exclusive, true, 1, 2)]
    public async Task The_chart_counts_as_the_settings_do(CountingOverlap overlap, bool? countExempt, long general, long sensitive)
    {
        await using var acme = new ThresholdDriver();
        acme.Transfers = acme.Transfers with { Overlap = overlap, CountExempt = countExempt };
        await acme.AppendAsync(
            "b", LedgerScenario.Record(2, "2026-02-01T09:00:00+08:00", LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.Finance)),
            LedgerScenario.Record(1, "2026-02-01T09:00:00+08:00"),
            LedgerScenario.Record(3, "2026-02-01T09:00:00+08:00", LedgerScenario.Fact(exemption: ExemptionKind.Contract), LedgerScenario.Fact(dataClass: DataClass.Finance, exemption: ExemptionKind.Contract)));

        var report = await acme.ReportAsync(2026);

        Assert.Equal((general, sensitive), (report.Days[^1].General, report.Days[^1].Sensitive));
        Assert.Equal(
            (general, sensitive),
            (report.Standing.Rules.Single(static rule => rule.Rule == "CN24-SA-PI").Count, report.Standing.Rules.Single(static rule => rule.Rule == "CN24-SA-SPI").Count));
        Assert.Contains("CN24-SA-SPI", System.Text.Encoding.UTF8.GetString(ReportPage.Write(report, DingFlow.Alerts.AlertLanguage.English)), StringComparison.Ordinal);
    }

    private static void Compare(ExporterReport report, Naive naive)
    {
        Assert.Equal(
            [
                naive.Count("cn.counted.any", static facts => facts.Any(static f => f.IsCounted)),
                naive.Count("cn.counted.general", static facts => facts.Any(static f => f is { IsCounted: true, IsSensitive: false })),
                naive.Count("cn.counted.generalOnly", static facts => facts.Any(static f => f is { IsCounted: true, IsSensitive: false }) && !facts.Any(static f => f is { IsCounted: true, IsSensitive: true })),
                naive.Count("cn.counted.sensitive", static facts => facts.Any(static f => f is { IsCounted: true, IsSensitive: true })),
                naive.Count("cn.all.any", static facts => facts.Any(static f => f.IsExported)),
                naive.Count("cn.all.general", static facts => facts.Any(static f => f is { IsExported: true, IsSensitive: false })),
                naive.Count("cn.all.generalOnly", static facts => facts.Any(static f => f is { IsExported: true, IsSensitive: false }) && !facts.Any(static f => f is { IsExported: true, IsSensitive: true })),
                naive.Count("cn.all.sensitive", static facts => facts.Any(static f => f is { IsExported: true, IsSensitive: true })),
                naive.Count("cn.all.minor", static facts => facts.Any(static f => f is { IsExported: true, Class: DataClass.Minor })),
            ],
            report.Persons.Select(NumbersOf));
        Assert.Equal(
            Naive.Some([
                .. Classes.Distinct().Select(one => naive.Count(Vocabulary.Of(one), facts => facts.Any(f => f.IsCounted && f.Class == one))),
                .. Classes.Distinct().Where(static one => one != DataClass.General).Select(one => naive.Count($"sensitive.{Vocabulary.Of(one)}", facts => facts.Any(f => f.Class == one))),
            ]),
            report.Classes.Select(NumbersOf).OrderBy(static count => count.Name, StringComparer.Ordinal));
        Assert.Equal(
            Naive.Some([.. Exemptions.Distinct().Where(static one => one != ExemptionKind.None).Select(one => naive.Count(Vocabulary.Of(one), facts => facts.Any(f => f.IsExported && f.Exemption == one)))]),
            report.Exemptions.Select(NumbersOf).OrderBy(static count => count.Name, StringComparer.Ordinal));
        Assert.Equal(
            Naive.Some([.. Lanes.Select(static lane => lane[3..]).Distinct().Select(to => naive.Count(to, facts => facts.Any(f => f.IsCounted && f.Lane.EndsWith(to, StringComparison.Ordinal))))]),
            report.Destinations.Select(NumbersOf).OrderBy(static count => count.Name, StringComparer.Ordinal));
        Assert.Equal(
            Recipients.Order(StringComparer.Ordinal)
                .Select(id => (Counted: naive.Count(id, facts => facts.Any(f => f.IsCounted && f.Recipient == id)), All: naive.Count(id, facts => facts.Any(f => f.Recipient == id))))
                .Where(static both => both.All.Year > 0).Select(static both => (both.Counted, both.All.Year)),
            report.Recipients.Select(static r => (new Number(r.Id, r.Counted, r.PreviousYearToDate!.Value, r.PreviousYear), r.WithExempt)));
        var scenarios = from purpose in Purposes from recipient in Recipients.Order(StringComparer.Ordinal) from lane in Lanes.Order(StringComparer.Ordinal) select (purpose, recipient, lane);
        Assert.Equal(
            scenarios.Select(key => (key, Number: naive.Count("", facts => facts.Any(f => (f.Purpose, f.Recipient, f.Lane) == key)), Records: naive.Year.LongCount(f => (f.Purpose, f.Recipient, f.Lane) == key)))
                .Where(static scenario => scenario.Records > 0),
            report.Scenarios.Select(static s => ((s.Purpose, s.Recipient, s.Lane), new Number("", s.Persons!.Value, s.PreviousYearToDate!.Value, s.PreviousYear!.Value), s.Records)));
        Assert.Equal(naive.Year.Count, report.Records);
        Assert.All(report.Days, one => Assert.Equal(
            (naive.Through(one.Day, static f => f is { IsCounted: true, IsSensitive: false }), naive.Through(one.Day, static f => f is { IsCounted: true, IsSensitive: true })), (one.General, one.Sensitive)));
    }

    private static Number NumbersOf(ReportCount count) => new(count.Name, count.Persons, count.PreviousYearToDate!.Value, count.PreviousYear);

    /// <summary>Something that happened in this year or in the one before, often around the days that matter.</summary>
    private static Transfer Any(Random random, DateOnly today)
    {
        var day = random.Next(3) == 0
            ? today.AddYears(-random.Next(2)).AddDays(random.Next(-3, 4))
            : new DateOnly(today.Year - 1, 1, 1).AddDays(random.Next(today.DayNumber - new DateOnly(today.Year - 1, 1, 1).DayNumber + 1));
        return new(
            random.Next(25), day > today ? today : day, Pick(Lanes), Pick(Recipients), Pick(Purposes), Pick(Classes), Pick(Exemptions));

        T Pick<T>(T[] choices) => choices[random.Next(choices.Length)];
    }

    private sealed record Number(string Name, long Year, long PreviousYearToDate, long PreviousYear);

    private sealed record Transfer(int Person, DateOnly Day, string Lane, string Recipient, string Purpose, DataClass Class, ExemptionKind Exemption)
    {
        public bool IsExported => Lane.StartsWith("CN-", StringComparison.Ordinal);

        public bool IsCounted => IsExported && Exemption == ExemptionKind.None;

        public bool IsSensitive => Class != DataClass.General;

        public SubjectTransfer ToTransfer(int index) => LedgerScenario.Record(
            Person, LegalTime.StartOf(Day).AddHours(9).ToString("O", CultureInfo.InvariantCulture),
            LedgerScenario.Fact(Lane, Recipient, Class, Exemption, minor: Class == DataClass.Minor)) with
        {
            RecordId = $"t-{index}", Circumstances = new(["name"], Purpose, "contract", null, "api", "dingtalk", null, TransferNotices.None),
        };
    }

    /// <summary>The records, and what is asked of them.</summary>
    private sealed record Naive(IReadOnlyList<Transfer> Records, DateOnly Today)
    {
        public IReadOnlyList<Transfer> Year => [.. Records.Where(record => record.Day.Year == Today.Year)];

        /// <summary>Persons for whom something holds: in the year, in the one before up to the same day, in the whole of that.</summary>
        public Number Count(string name, Func<IReadOnlyList<Transfer>, bool> holds) => new(
            name, Persons(Year, holds), Persons(Records.Where(record => record.Day.Year == Today.Year - 1 && record.Day <= Today.AddYears(-1)), holds),
            Persons(Records.Where(record => record.Day.Year == Today.Year - 1), holds));

        public long Through(DateOnly day, Func<Transfer, bool> holds) => Persons(Year.Where(record => record.Day <= day), facts => facts.Any(holds));

        public static IEnumerable<Number> Some(IEnumerable<Number> numbers) =>
            numbers.Where(static number => number.Year != 0 || number.PreviousYear != 0).OrderBy(static number => number.Name, StringComparer.Ordinal);

        private static long Persons(IEnumerable<Transfer> records, Func<IReadOnlyList<Transfer>, bool> holds) =>
            records.GroupBy(static record => record.Person).LongCount(person => holds([.. person]));
    }
}
