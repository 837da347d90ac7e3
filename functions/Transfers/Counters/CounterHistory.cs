using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Where the counters stood at the end of each day, for forecasts: what was observed, not what is counted. Days before anybody saw anything
/// are counted from the records every night (<see cref="RebuildCounterDays"/>). The truth are the ledger's counters. Days are those of Asia/Shanghai.
/// </summary>
public sealed class CounterHistory(IEntityStore store, TimeProvider time)
{
    private const string Table = "CounterDays";
    private const int PageSize = 400;

    /// <summary>A row has a few kilobytes.</summary>
    private const int RowsOfTransaction = 50;

    /// <summary>Notes where the counters stand today, over what was noted today before.</summary>
    /// <param name="counters">The counters of the present year.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task RecordAsync(LedgerCounters counters, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(counters);
        var now = time.GetUtcNow();
        if (counters.Year != LegalTime.YearOf(now))
        {
            return;
        }

        await store.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Upsert(RowOf(counters.Exporter, new(LegalTime.DayOf(now), counters.Counters), now))), cancellationToken);
    }

    /// <summary>
    /// Fills the days before the first on which anything was observed with what the records say of them: whoever begins in mid-year sends
    /// what happened before. Observed days stay: what comes late is news on the day on which it comes. Returns how many days changed.
    /// </summary>
    /// <param name="exporter">The exporter.</param>
    /// <param name="days">Days of one calendar year as the records tell them, in order.</param>
    /// <param name="cancellationToken">Gives up; the next run does the rest.</param>
    public async Task<int> FillAsync(string exporter, IReadOnlyList<CounterDay> days, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(days);
        if (days.Count == 0)
        {
            return 0;
        }

        var noted = await ReadAsync(exporter, days[0].Day.Year, cancellationToken);
        var firstSeen = noted.FirstOrDefault(static day => !day.FromRecords && day.Counters.Values.Any(static count => count != 0))?.Day ?? DateOnly.MaxValue;
        var before = noted.ToDictionary(static day => day.Day);
        var changed = days.Where(day => day.Day < firstSeen && !(before.TryGetValue(day.Day, out var known) && SaysTheSame(known.Counters, Kept(day.Counters)))).ToList();
        foreach (var chunk in changed.Chunk(RowsOfTransaction))
        {
            await store.SubmitAsync(
                EntityTransaction.Of(Table, [.. chunk.Select(day => EntityOperation.Upsert(RowOf(exporter, day with { FromRecords = true }, time.GetUtcNow())))]), cancellationToken);
        }

        return changed.Count;
    }

    private static bool SaysTheSame(IReadOnlyDictionary<string, long> one, Dictionary<string, long> other) =>
        one.All(counter => other.GetValueOrDefault(counter.Key) == counter.Value) && other.All(counter => one.GetValueOrDefault(counter.Key) == counter.Value);

    /// <summary>Names that belong to no value: a row must not grow with recipients, and no rule looks at one.</summary>
    private static Dictionary<string, long> Kept(IReadOnlyDictionary<string, long> counters) =>
        counters.Where(counter => !counter.Key.StartsWith("recipient.", StringComparison.Ordinal) && !counter.Key.Contains(".recipient.", StringComparison.Ordinal)
            && !counter.Key.StartsWith("lane.", StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal);

    private static Entity RowOf(string exporter, CounterDay day, DateTimeOffset now) => new(exporter, KeyOf(day.Day))
    {
        Properties = new()
        {
            ["V"] = 1,
            ["At"] = now,
            ["FromRecords"] = day.FromRecords,
            ["Counters"] = JsonSerializer.Serialize(Kept(day.Counters), CounterHistoryJson.Default.DictionaryStringInt64),
        },
    };

    /// <summary>Where the counters stood at the end of each day of a calendar year that was looked at, in order; today last, as far as it has come.</summary>
    public async Task<IReadOnlyList<CounterDay>> ReadAsync(string exporter, int year, CancellationToken cancellationToken)
    {
        var range = new RowKeyRange(KeyOf(new(year, 1, 1)), KeyOf(new(year + 1, 1, 1)));
        List<CounterDay> days = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, exporter, range, PageSize, continuation, cancellationToken);
            days.AddRange(page.Entities.Select(row => new CounterDay(
                DateOnly.ParseExact(row.RowKey, "yyyyMMdd", CultureInfo.InvariantCulture),
                JsonSerializer.Deserialize(row.Properties.Require<string>("Counters"), CounterHistoryJson.Default.DictionaryStringInt64) ?? [])
            {
                FromRecords = row.Properties.TryGetValue("FromRecords", out var fromRecords) && fromRecords is true,
            }));
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return days;
    }

    private static string KeyOf(DateOnly day) => day.ToString("yyyyMMdd", CultureInfo.InvariantCulture);
}

/// <summary>Where counters stood at the end of a day.</summary>
/// <param name="Day">The day in Asia/Shanghai.</param>
/// <param name="Counters">The counters of its calendar year by name.</param>
public sealed record CounterDay(DateOnly Day, IReadOnlyDictionary<string, long> Counters)
{
    /// <summary>It was counted from the records, by when the transfers happened; otherwise it was observed.</summary>
    public bool FromRecords { get; init; }
}

[JsonSerializable(typeof(Dictionary<string, long>))]
internal sealed partial class CounterHistoryJson : JsonSerializerContext;
