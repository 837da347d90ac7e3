using DingFlow.Alerts;
using DingFlow.Rules;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Reports;

/// <summary>Gathers a report from the ledger's exact counters, what was observed of their days, and the records that are kept.</summary>
public sealed class ReportBuilder(
    TransfersOptions options, SubjectLedger ledger, CounterHistory history, RuleEngine engine, ThresholdReader thresholds, TierLatch latch, IncidentStore incidentStore, ScenarioStore scenarioStore, PeopleFeedOptions feeds,
    Lazy<FieldClassifier> classifier, TimeProvider time)
{
    private const string General = "cn.counted.general";
    private const string Sensitive = "cn.counted.sensitive";
    private const string ClassPrefix = "cn.counted.class.";
    private const string SensitivePrefix = "sensitive.";
    private const string ExemptPrefix = "cn.all.exempt.";
    private const string CountedRecipientPrefix = "cn.counted.recipient.";
    private const string RecipientPrefix = "recipient.";
    private const string CountryPrefix = "cn.counted.country.";

    /// <summary>The counters of a filing: without exempt transfers, then with them.</summary>
    private static readonly string[] Main =
    [
        "cn.counted.any", General, "cn.counted.generalOnly", Sensitive, "cn.all.any", "cn.all.general", "cn.all.generalOnly", "cn.all.sensitive",
        "cn.all.minor",
    ];

    /// <summary>Makes the report of a year that has begun.</summary>
    /// <param name="exporter">Whose.</param>
    /// <param name="year">The calendar year in Asia/Shanghai.</param>
    /// <param name="language">In which the items of the filings are named.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<ExporterReport> BuildAsync(Exporter exporter, int year, AlertLanguage language, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var now = time.GetUtcNow();
        var isPresent = year == LegalTime.YearOf(now);
        var asOf = isPresent ? now : LegalTime.StartOf(year + 1).AddTicks(-1);
        var counters = await ledger.ReadCountersAsync(exporter.Id, year, cancellationToken);
        var before = await ledger.ReadCountersAsync(exporter.Id, year - 1, cancellationToken);
        var predicates = PredicateSet.Load(options.ChoicesFor(classifier.Value));
        var register = new RegisterReport(await scenarioStore.ReadAsync(exporter.Id, cancellationToken), year, LegalTime.DayOf(asOf));
        var records = new YearRecords(new(predicates, year), new(predicates, year - 1), register);
        await records.ReadAsync(ledger, exporter.Id, year, cancellationToken);
        var days = await DaysAsync(exporter.Id, records.Days, counters, LegalTime.DayOf(asOf), cancellationToken);
        var daysBefore = await DaysAsync(exporter.Id, records.DaysBefore, before, new(year - 1, 12, 31), cancellationToken);
        var numbers = new Numbers(counters.Counters, before.Counters, days, daysBefore, LegalTime.DayOf(asOf), isPresent);
        IReadOnlyList<Incident> incidents =
            [.. (await incidentStore.ListAsync(exporter.Id, cancellationToken)).Where(incident => LegalTime.YearOf(incident.DiscoveredAt) == year)];
        var standing = isPresent
            ? await thresholds.ReadAsync(exporter, cancellationToken)
            : engine.Evaluate(exporter, counters.Counters, asOf, null, IncidentSize.Largest(incidents));
        var latched = await latch.ListAsync(exporter.Id, cancellationToken);
        var basis = new ReportBasis(
            RuleCatalogue.Default.Fingerprint, classifier.Value.Fingerprint, predicates.Fingerprint,
            options.Profile, options.Overlap, options.CountExempt, options.CountStatutoryDuty, options.CountGbaContract);
        var recipients = RecipientsOf(counters.Counters, before.Counters, numbers).ToList();
        var scenarios = records.Sums.Scenarios.OrderBy(static entry => entry.Key)
            .Select(entry => ScenarioOf(entry.Key, entry.Value, records.SumsBefore, LegalTime.DayOf(asOf), isPresent)).ToList();
        var registered = register.ToRegistered(predicates, isPresent, LegalTime.DayOf(now), options.RetentionYears);
        return new()
        {
            GeneratedAt = LegalTime.Of(now),
            Year = year,
            Window = new(new DateOnly(year, 1, 1), LegalTime.DayOf(asOf)),
            Exporter = new(
                exporter.Id, exporter.Name, exporter.CreditCode, exporter.Ciio, exporter.FreeTradeZone, exporter.ImportantData,
                exporter.ProcessedPersons, exporter.StoredFaces),
            Basis = basis,
            Standing = standing with { Latched = [.. latched.Where(tier => tier.Year == year)] },
            Persons = [.. Main.Select(name => numbers.Of(name, name))],
            Classes =
            [
                .. numbers.By(ClassPrefix, ""),
                .. numbers.By(SensitivePrefix, SensitivePrefix),
            ],
            Exemptions = [.. numbers.By(ExemptPrefix, "")],
            Destinations = [.. numbers.By(CountryPrefix, "")],
            Recipients = recipients,
            Scenarios = scenarios,
            Register = registered,
            UnknownScenarios = register.Sums.UnknownScenarios,
            Consent = register.Sums.ToConsent(),
            Missing = [.. RegisterReport.Gaps(exporter, recipients, registered, scenarios)],
            Fields = [.. records.Sums.Fields.OrderByDescending(static field => field.Value).ThenBy(static field => field.Key, StringComparer.Ordinal).Select(field => FieldOf(field.Key, field.Value))],
            Records = records.Sums.Count,
            Notices = records.Sums.Notices,
            OpeningBalances = [.. (await ledger.ReadOpeningBalancesAsync(exporter.Id, cancellationToken)).Where(balance => balance.Year == year)],
            Instance = feeds.Region is not { } region ? null : new(region.ToString(), [.. feeds.ReceivedHere(exporter.Id).Select(static feed =>
                new ReportReceived(feed.Source, $"{feed.Origin}-{feed.Destination}", feed.Recipient, feed.Purpose, feed.Fields))]),
            Incidents = incidents,
            Days = [.. days.Select(day => new ReportDay(day.Day, day.Counters.GetValueOrDefault(basis.GeneralCounter), day.Counters.GetValueOrDefault(basis.SensitiveCounter)))
                .SkipWhile(static day => day is { General: 0, Sensitive: 0 })],
            Filings = ReportTexts.Default.Filings(language),
        };
    }

    /// <summary>
    /// The days as the records tell them, with the present one as the counters stand; as they were observed where the records do not tell all.
    /// </summary>
    private async Task<IReadOnlyList<CounterDay>> DaysAsync(
        string exporter, DayCounter counter, LedgerCounters counters, DateOnly through, CancellationToken cancellationToken) => counter.ToCompleteDays(counters.Subjects) is { } days
        ? [.. days.Where(day => day.Day < through), new(through, counters.Counters)]
        : await history.ReadAsync(exporter, counters.Year, cancellationToken);

    private static ReportScenario ScenarioOf(ScenarioKey key, RecordSums.Scenario scenario, RecordSums before, DateOnly today, bool isPresent)
    {
        var earlier = before.Scenarios.GetValueOrDefault(key);
        return scenario.ToScenario(key) with
        {
            PreviousYear = earlier is null ? 0 : earlier.PersonsThrough(366),
            PreviousYearToDate = earlier is null ? 0 : earlier.PersonsThrough(isPresent ? today.AddYears(-1).DayOfYear : 366),
            ExpectedYear = isPresent ? scenario.Expected(today) : scenario.PersonsThrough(366),
        };
    }

    private IEnumerable<ReportRecipient> RecipientsOf(IReadOnlyDictionary<string, long> counters, IReadOnlyDictionary<string, long> before, Numbers numbers)
    {
        var ids = counters.Where(static counter => counter.Value != 0 && counter.Key.StartsWith(RecipientPrefix, StringComparison.Ordinal))
            .Select(static counter => counter.Key[RecipientPrefix.Length..]);
        foreach (var id in ids.Order(StringComparer.Ordinal))
        {
            var known = options.Recipients.GetValueOrDefault(id);
            var counted = numbers.Of(CountedRecipientPrefix + id, id);
            yield return new(
                id, known?.Name, known?.Country?.ToString(), known?.City, known?.Onward ?? [], known is not null,
                counted.Persons, counters.GetValueOrDefault(RecipientPrefix + id), counted.PreviousYearToDate, before.GetValueOrDefault(CountedRecipientPrefix + id),
                counted.ExpectedYear);
        }
    }

    private ReportField FieldOf(string name, long records)
    {
        if (Vocabulary.TryClass(name, out var category))
        {
            // The record named the category in place of the field.
            return new(name, Vocabulary.Of(category), classifier.Value.IsSensitive(category), records);
        }

        var found = classifier.Value.Classify(name);
        return new(name, found.Class is { } dataClass ? Vocabulary.Of(dataClass) : null, found.Class is { } held && classifier.Value.IsSensitive(held), records);
    }

    /// <summary>What the records of the year and of the one before say, in one reading.</summary>
    private sealed class YearRecords(DayCounter days, DayCounter daysBefore, RegisterReport register)
    {
        public DayCounter Days => days;

        public DayCounter DaysBefore => daysBefore;

        public RecordSums Sums { get; } = new(register.Book);

        public RecordSums SumsBefore { get; } = new();

        public async Task ReadAsync(SubjectLedger ledger, string exporter, int year, CancellationToken cancellationToken)
        {
            await foreach (var record in ledger.ReadRecordsAsync(exporter, null, cancellationToken))
            {
                days.Add(record);
                daysBefore.Add(record);
                register.Sums.Add(record);
                var yearOfRecord = LegalTime.YearOf(record.OccurredAt);
                if (yearOfRecord == year)
                {
                    Sums.Add(record);
                }
                else if (yearOfRecord == year - 1)
                {
                    SumsBefore.Add(record);
                }
            }
        }
    }

    /// <summary>Counters of the year beside those of the year before.</summary>
    private sealed class Numbers(
        IReadOnlyDictionary<string, long> counters, IReadOnlyDictionary<string, long> before, IReadOnlyList<CounterDay> days,
        IReadOnlyList<CounterDay> daysBefore, DateOnly today, bool isPresent)
    {
        private readonly CounterDay? _sameDayBefore = isPresent
            ? daysBefore.LastOrDefault(day => day.Day == today.AddYears(-1))
            : daysBefore.LastOrDefault(day => day.Day == new DateOnly(today.Year - 1, 12, 31));

        private readonly IReadOnlyList<CounterDay> _full = [.. days.Where(day => day.Day < today)];

        public ReportCount Of(string counter, string name) => new(
            name, counters.GetValueOrDefault(counter), _sameDayBefore?.Counters.GetValueOrDefault(counter), before.GetValueOrDefault(counter),
            isPresent ? Expected(counter) : counters.GetValueOrDefault(counter));

        public IEnumerable<ReportCount> By(string prefix, string shown) => counters.Keys.Concat(before.Keys)
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Distinct(StringComparer.Ordinal)
            .Where(name => counters.GetValueOrDefault(name) != 0 || before.GetValueOrDefault(name) != 0)
            .Order(StringComparer.Ordinal).Select(name => Of(name, shown + name[prefix.Length..]));

        private long? Expected(string counter)
        {
            var (known, atEnd) = DailyHistory.Of(_full, counter);
            var present = counters.GetValueOrDefault(counter);
            return known is null ? null : CrossingForecast.AtYearEnd(known, Math.Min(atEnd, present), present, today);
        }
    }
}
