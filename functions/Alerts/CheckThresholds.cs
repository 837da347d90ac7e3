using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Rules;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Alerts;

/// <summary>
/// By <c>Alerts:Interval</c>: compares every exporter's counters with the rules, notes where they stand today, latches tiers, and tells
/// people of levels, of what was reached, and of limits that will be reached before a filing could be finished.
/// </summary>
/// <remarks>
/// What was told is kept per exporter and rule (<see cref="ThresholdMemory"/>). An alert is sent before that is noted: a crash between
/// the two sends it again under the same id, under which it is told once. Two timers at once do the same.
/// </remarks>
public sealed partial class CheckThresholds(
    TransfersOptions transfers, AlertOptions options, ThresholdReader reader, TierLatch latch, ThresholdMemory memory, AlertStore alerts,
    IAlertSender sender, ThresholdMetrics metrics, TimeProvider time, ILogger<CheckThresholds> logger)
    : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        EntityStoreException? trouble = null;
        foreach (var exporter in transfers.Exporters.Values.OrderBy(static exporter => exporter.Id, StringComparer.Ordinal))
        {
            try
            {
                await CheckAsync(exporter, cancellationToken);
            }
            catch (EntityStoreException exception)
            {
                // The others may lie elsewhere; the next run makes up for this one.
                Log.StoreFailed(logger, exporter.Id, exception);
                trouble = exception;
            }
            catch (LedgerMismatchException mismatch)
            {
                Log.NotEvaluated(logger, exporter.Id, mismatch.Setting);
                await sender.SendAsync(ThresholdAlerts.NotEvaluated(exporter.Id, mismatch.Setting, time.GetUtcNow()), cancellationToken);
            }
        }

        if (trouble is not null)
        {
            throw new EntityStoreException("The thresholds of some exporters could not be looked at.", trouble);
        }
    }

    private async Task CheckAsync(Exporter exporter, CancellationToken cancellationToken)
    {
        var thresholds = await reader.ReadAndRecordAsync(exporter, cancellationToken);
        HashSet<string> watched = new(StringComparer.Ordinal);
        foreach (var rule in thresholds.Rules.Where(static rule => rule is { Lower: > 0, Applicable: true, ConditionsHold: true }))
        {
            watched.Add(rule.Rule);
            metrics.Looked(exporter.Id, rule);
            await CheckAsync(exporter.Id, rule, thresholds.AsOf, cancellationToken);
        }

        foreach (var (rule, told) in await memory.ListAsync(exporter.Id, cancellationToken))
        {
            if (!watched.Contains(rule))
            {
                await StandDownAsync(exporter.Id, rule, told, thresholds.AsOf, cancellationToken);
            }
        }

        // After the alerts: what is latched was told.
        foreach (var tier in await latch.ObserveAsync(thresholds, told: true, cancellationToken))
        {
            Log.Latched(logger, exporter.Id, tier.Key);
        }

        await CheckLastYearAsync(exporter, thresholds.AsOf, cancellationToken);
    }

    /// <summary>A tier that last year's counters reach only now is told once, by its rules, and latched.</summary>
    private async Task CheckLastYearAsync(Exporter exporter, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var lastYear = await reader.ReadLastYearAsync(exporter, cancellationToken);
        foreach (var ruleSet in lastYear.Tiers.Keys)
        {
            foreach (var tier in await latch.UntoldAsync(lastYear, ruleSet, cancellationToken))
            {
                foreach (var rule in lastYear.Rules.Where(rule => rule.RuleSet == ruleSet && rule.Reached && rule.Tier == tier))
                {
                    await sender.SendAsync(ThresholdAlerts.AtLevel(exporter.Id, rule, 100, LateRound, null, now), cancellationToken);
                }
            }
        }

        foreach (var tier in await latch.ObserveAsync(lastYear, told: true, cancellationToken))
        {
            Log.Latched(logger, exporter.Id, tier.Key);
        }
    }

    /// <summary>
    /// A rule that was told and is not looked at now: it is not for this exporter any more, its further conditions ceased to hold, nothing
    /// touches it any more (the last incident was closed, the last batch taken back), or the settings no longer choose its set. What it
    /// said is over, and it is armed again.
    /// </summary>
    private async Task StandDownAsync(string exporter, string rule, ThresholdTold told, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var isPast = told.Window != ThresholdAlerts.StockWindow && string.CompareOrdinal(told.Window, ThresholdAlerts.WindowOf(now)) < 0;
        if (told is { Level: 0, ForecastTold: false } || (told.Window != ThresholdAlerts.StockWindow && string.CompareOrdinal(told.Window, ThresholdAlerts.WindowOf(now)) > 0))
        {
            return;
        }

        // What an earlier year reached stands until somebody acknowledges it.
        await alerts.ResolveAsync(ThresholdAlerts.LevelSeries(exporter, rule, told.Window), rank => !isPast || rank < 100, now, cancellationToken);
        await alerts.ResolveAsync(ThresholdAlerts.ForecastSeries(exporter, rule, told.Window), static _ => true, now, cancellationToken);
        Log.Corrected(logger, exporter, rule, told.Level, 0);
        await memory.SaveAsync(exporter, rule, told.Disarmed() with { Level = 0, Round = told.Round + 1 }, cancellationToken);
    }

    private async Task CheckAsync(string exporter, ThresholdRule rule, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var window = ThresholdAlerts.WindowOf(rule);
        var known = await memory.FindAsync(exporter, rule.Rule, cancellationToken);
        var told = known ?? new ThresholdTold(window);
        if (told.Window != window)
        {
            if (string.CompareOrdinal(window, told.Window) < 0)
            {
                // A clock that was set back over a new year must not tell last year's levels again.
                Log.EarlierWindow(logger, exporter, rule.Rule, window, told.Window);
                return;
            }

            // Armed anew. What was approached last year is over; what was reached stands until somebody acknowledges it.
            await alerts.ResolveAsync(ThresholdAlerts.LevelSeries(exporter, rule.Rule, told.Window), static rank => rank < 100, now, cancellationToken);
            await alerts.ResolveAsync(ThresholdAlerts.ForecastSeries(exporter, rule.Rule, told.Window), static _ => true, now, cancellationToken);
            told = new ThresholdTold(window) { ETag = told.ETag };
        }

        var next = await CheckForecastAsync(exporter, rule, await CheckLevelAsync(exporter, rule, told, now, cancellationToken), now, cancellationToken);
        if (next != known)
        {
            await memory.SaveAsync(exporter, rule.Rule, next, cancellationToken);
        }
    }

    private async Task<ThresholdTold> CheckLevelAsync(
        string exporter, ThresholdRule rule, ThresholdTold told, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (rule.Upper <= rule.Count)
        {
            // Another rule has taken over; nothing is told and nothing armed again.
            return told;
        }

        var level = LevelOf(rule);
        var series = ThresholdAlerts.LevelSeries(exporter, rule.Rule, told.Window);
        if (level > told.Level)
        {
            await sender.SendAsync(ThresholdAlerts.AtLevel(exporter, rule, level, told.Round, BeginBy(rule), now), cancellationToken);
            return told with { Level = level };
        }

        if (level < told.Level && !IsAt(rule, Math.Max(told.Level - options.Hysteresis, 0)))
        {
            await alerts.ResolveAsync(series, rank => rank > level, now, cancellationToken);
            Log.Corrected(logger, exporter, rule.Rule, told.Level, level);
            return told with { Level = level, Round = told.Round + 1 };
        }

        return told;
    }

    private async Task<ThresholdTold> CheckForecastAsync(
        string exporter, ThresholdRule rule, ThresholdTold told, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (rule.Tier < Tier.ScOrCert || rule.Predicate is null)
        {
            return told;
        }

        if (rule.Count >= rule.Lower)
        {
            // Reached, or another rule has taken over: the forecast has come true. A correction may make it a forecast again.
            return told.ForecastTold ? await EndForecastAsync(exporter, rule, told, now, cancellationToken) : told;
        }

        var today = LegalTime.DayOf(now);
        var beginBy = BeginBy(rule);
        // While a corrected count lies within the hysteresis, the limit still stands as reached.
        if (!told.ForecastTold && told.Level < 100 && beginBy is { } begin && today >= begin.Day)
        {
            await sender.SendAsync(ThresholdAlerts.AtForecast(exporter, rule, begin, told.ForecastRound, now), cancellationToken);
            return told with { ForecastTold = true };
        }

        // The pace has fallen for good, not by a quiet day.
        return told.ForecastTold && (beginBy is null || beginBy.Value.Day > today.AddDays(ForecastMarginDays))
            ? await EndForecastAsync(exporter, rule, told, now, cancellationToken)
            : told;
    }

    private async Task<ThresholdTold> EndForecastAsync(
        string exporter, ThresholdRule rule, ThresholdTold told, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await alerts.ResolveAsync(ThresholdAlerts.ForecastSeries(exporter, rule.Rule, told.Window), static _ => true, now, cancellationToken);
        return told.Disarmed();
    }

    /// <summary>The last day on which a filing could begin that is done when the forecast comes true; <see langword="null"/> without a forecast.</summary>
    private WorkingDay? BeginBy(ThresholdRule rule) =>
        rule.Forecast.Date is { } day ? WorkingCalendar.Default.Before(day, options.FilingLeadDays) : null;

    private const int ForecastMarginDays = 14;

    /// <summary>Stands in an alert's id in place of the round for what a year reached only after its end.</summary>
    private const int LateRound = 0;

    /// <summary>The highest level that the count is at; 0 for none. Rules with a lower bound of one person know only their transition.</summary>
    private int LevelOf(ThresholdRule rule) => rule.Lower > 1
        ? options.Levels.Where(level => IsAt(rule, level)).DefaultIfEmpty(0).Max()
        : rule.Reached ? 100 : 0;

    /// <summary>In whole numbers: a share in floating point could miss a level by a hair.</summary>
    private static bool IsAt(ThresholdRule rule, int percent) => (Int128)rule.Count * 100 >= (Int128)rule.Lower * percent;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The thresholds of {Exporter} could not be looked at: the store does not answer")]
        public static partial void StoreFailed(ILogger logger, string exporter, Exception exception);

        [LoggerMessage(2, LogLevel.Critical, "The thresholds of {Exporter} cannot be looked at: {Setting} does not fit the stored ledger")]
        public static partial void NotEvaluated(ILogger logger, string exporter, string setting);

        [LoggerMessage(3, LogLevel.Warning, "The clock says {Window} for {Exporter} and {Rule}, which were in {Known} already; nothing is told")]
        public static partial void EarlierWindow(ILogger logger, string exporter, string rule, string window, string known);

        [LoggerMessage(4, LogLevel.Information, "The count of {Exporter} for {Rule} was corrected from level {From} to {To}; higher levels are armed again")]
        public static partial void Corrected(ILogger logger, string exporter, string rule, int from, int to);

        [LoggerMessage(5, LogLevel.Warning, "{Exporter} has reached {Tier}; it stands until a person has reviewed it")]
        public static partial void Latched(ILogger logger, string exporter, string tier);
    }
}

/// <summary>What people were told on a rule.</summary>
/// <param name="Window">The calendar year, or <c>stock</c>.</param>
public sealed record ThresholdTold(string Window)
{
    /// <summary>The highest level that was told; 0 for none.</summary>
    public int Level { get; init; }

    /// <summary>How often the levels were armed within the window.</summary>
    public int Round { get; init; } = 1;

    /// <summary>A forecast was told, and nothing has made it untrue.</summary>
    public bool ForecastTold { get; init; }

    /// <summary>How often the forecast was armed within the window.</summary>
    public int ForecastRound { get; init; } = 1;

    /// <summary>The version that was read; <see langword="null"/> for a new one.</summary>
    internal string? ETag { get; init; }

    /// <summary>The same with its forecast over and armed again.</summary>
    internal ThresholdTold Disarmed() => ForecastTold ? this with { ForecastTold = false, ForecastRound = ForecastRound + 1 } : this;
}

/// <summary>Keeps what people were told: the table <c>ThresholdsTold</c>, a row per exporter and rule.</summary>
public sealed class ThresholdMemory(IEntityStore store)
{
    private const string Table = "ThresholdsTold";
    private const int PageSize = 200;

    /// <summary>What was told; <see langword="null"/> when nothing was.</summary>
    public async Task<ThresholdTold?> FindAsync(string exporter, string rule, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, exporter, rule, cancellationToken) is { } entity ? Read(entity) : null;

    /// <summary>What was told on every rule of an exporter, also on rules that are not looked at any more.</summary>
    public async Task<IReadOnlyList<(string Rule, ThresholdTold Told)>> ListAsync(string exporter, CancellationToken cancellationToken)
    {
        List<(string, ThresholdTold)> told = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, exporter, RowKeyRange.All, PageSize, continuation, cancellationToken);
            told.AddRange(page.Entities.Select(static entity => (entity.RowKey, Read(entity))));
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return told;
    }

    private static ThresholdTold Read(Entity entity)
    {
        var properties = entity.Properties;
        return new(properties.Require<string>("Window"))
        {
            Level = properties.Require<int>("Level"),
            Round = properties.Require<int>("Round"),
            ForecastTold = properties.Require<bool>("ForecastTold"),
            ForecastRound = properties.Require<int>("ForecastRound"),
            ETag = entity.ETag,
        };
    }

    /// <summary>Keeps it. When another timer was faster its word stands: both saw the same counters, and the next run sees to the rest.</summary>
    public async Task SaveAsync(string exporter, string rule, ThresholdTold told, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(told);
        var entity = new Entity(exporter, rule)
        {
            Properties =
            {
                ["Schema"] = 1,
                ["Window"] = told.Window,
                ["Level"] = told.Level,
                ["Round"] = told.Round,
                ["ForecastTold"] = told.ForecastTold,
                ["ForecastRound"] = told.ForecastRound,
            },
        };
        await store.SubmitAsync(
            EntityTransaction.Of(Table, told.ETag is null ? EntityOperation.Insert(entity) : EntityOperation.Replace(entity, told.ETag)), cancellationToken);
    }
}
