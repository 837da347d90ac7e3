using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Where the counters stood at the end of each day, for forecasts and charts: what was observed, not what is counted. The truth are the
/// ledger's counters; a day that nobody looked at is missing here. Days are those of Asia/Shanghai.
/// </summary>
public sealed class CounterHistory(IEntityStore store, TimeProvider time)
{
    private const string Table = "CounterDays";
    private const int PageSize = 400;

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

        // Names that belong to no value: a row must not grow with recipients, and no rule looks at one.
        var row = new Entity(counters.Exporter, KeyOf(LegalTime.DayOf(now)))
        {
            Properties = new()
            {
                ["V"] = 1,
                ["At"] = now,
                ["Counters"] = JsonSerializer.Serialize(
                    counters.Counters.Where(counter => !counter.Key.StartsWith("recipient.", StringComparison.Ordinal) && !counter.Key.Contains(".recipient.", StringComparison.Ordinal)
                        && !counter.Key.StartsWith("lane.", StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal),
                    CounterHistoryJson.Default.DictionaryStringInt64),
            },
        };
        await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(row)), cancellationToken);
    }

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
                JsonSerializer.Deserialize(row.Properties.Require<string>("Counters"), CounterHistoryJson.Default.DictionaryStringInt64) ?? [])));
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
public sealed record CounterDay(DateOnly Day, IReadOnlyDictionary<string, long> Counters);

[JsonSerializable(typeof(Dictionary<string, long>))]
internal sealed partial class CounterHistoryJson : JsonSerializerContext;
