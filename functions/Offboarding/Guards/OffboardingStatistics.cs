using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Guards;

/// <summary>
/// <c>GET /api/offboarding/statistics?from=&amp;to=&amp;timeZone=</c>: how long leavers waited for the proof that they are frozen, by the day on
/// which their clock began. Computed from the cases themselves, so it is never another truth than theirs.
/// </summary>
public sealed class GetOffboardingStatistics(CaseStore cases, OffboardingPlans plans, OffboardingOptions options, TimeProvider time) : IHttpFunction
{
    private const int DefaultDays = 30;
    private const int MostDays = 400;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var zone = TimeZoneInfo.Utc;
        if (query["timeZone"].ToString() is { Length: > 0 } zoneText && !TimeZoneInfo.TryFindSystemTimeZoneById(zoneText, out zone!))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "timeZone must be an IANA name such as Asia/Shanghai.");
            return;
        }

        var today = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(time.GetUtcNow(), zone).Date);
        if (!TryReadDay(query["to"], today, out var to) || to.DayNumber < DefaultDays || !TryReadDay(query["from"], to.AddDays(1 - DefaultDays), out var from)
            || from > to || to.DayNumber - from.DayNumber >= MostDays)
        {
            await context.ProblemAsync(ProblemCode.Malformed, $"from and to must be days such as 2026-11-22, in order and at most {MostDays} days.");
            return;
        }

        var byDay = new SortedDictionary<DateOnly, DayOfCases>();
        await foreach (var c in cases.AllAsync(context.RequestAborted))
        {
            if (c is { MergedInto: null, Mode: CaseMode.Live } && DayOf(c, zone) is var day && day >= from && day <= to)
            {
                if (!byDay.TryGetValue(day, out var cases))
                {
                    byDay.Add(day, cases = new());
                }

                cases.Add(c);
            }
        }

        await context.WriteJsonAsync(
            new StatisticsView(
                from, to, zone.Id, options.Target.TotalSeconds,
                [.. plans.All.Select(p => new PlanTargetView(p.Name, (p.Target ?? options.Target).TotalSeconds))],
                [.. byDay.Select(d => d.Value.ToView(d.Key))]),
            OffboardingJson.Default.StatisticsView);
    }

    /// <summary>The clock begins with the receipt, or on the effective date if that is later.</summary>
    private static DateOnly DayOf(OffboardingCase c, TimeZoneInfo zone) => DateOnly.FromDateTime(
        TimeZoneInfo.ConvertTime(c.ScheduledFor > c.ReceivedAt ? c.ScheduledFor.Value : c.ReceivedAt, zone).Date);

    private static bool TryReadDay(string? text, DateOnly usual, out DateOnly day)
    {
        day = usual;
        return string.IsNullOrEmpty(text) || DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out day);
    }

    private sealed class DayOfCases
    {
        private readonly List<double> _seconds = [];
        private readonly SortedDictionary<string, int> _states = new(StringComparer.Ordinal);
        private int _cases;
        private int _breached;
        private int _held;

        public void Add(OffboardingCase c)
        {
            _cases++;
            var state = Words.Of(c.State);
            _states[state] = _states.GetValueOrDefault(state) + 1;
            _breached += c.IsBreached ? 1 : 0;
            _held += c.Quarantine is null ? 0 : 1;
            if (c.SecondsToVerified is { } seconds)
            {
                _seconds.Add(seconds);
            }
        }

        public DayView ToView(DateOnly day)
        {
            _seconds.Sort();
            return new(
                day, _cases, _states, _seconds.Count, _breached, _held,
                _seconds.Count == 0
                    ? null
                    : new(Percentile(50), Percentile(90), Percentile(95), Percentile(99), _seconds[^1]));
        }

        /// <summary>By nearest rank: a time that a leaver really waited.</summary>
        private double Percentile(int percent) => _seconds[Math.Max((int)Math.Ceiling(_seconds.Count * percent / 100.0), 1) - 1];
    }
}

/// <summary>The clock by day.</summary>
/// <param name="From">The first day.</param>
/// <param name="To">The last day.</param>
/// <param name="TimeZone">The zone in which days begin.</param>
/// <param name="TargetSeconds">From receipt (or the effective date) to verified, where a plan has no target of its own.</param>
/// <param name="Plans">The plans in force with the target of each. Whether a case met its own, its <c>dueAt</c> says.</param>
/// <param name="Days">The days on which a clock began, the earliest first.</param>
public sealed record StatisticsView(
    DateOnly From, DateOnly To, string TimeZone, double TargetSeconds, IReadOnlyList<PlanTargetView> Plans, IReadOnlyList<DayView> Days);

/// <summary>The target of a plan.</summary>
/// <param name="Plan">Its name.</param>
/// <param name="TargetSeconds">From receipt (or the effective date) to verified.</param>
public sealed record PlanTargetView(string Plan, double TargetSeconds);

/// <summary>The cases whose clock began on one day.</summary>
/// <param name="Day">The day.</param>
/// <param name="Cases">How many, without dry runs and those that became part of another.</param>
/// <param name="States">Where they stand now.</param>
/// <param name="Measured">How many were verified at least once.</param>
/// <param name="Breached">How many were not verified within their target.</param>
/// <param name="Held">How many the brake held, for whatever time.</param>
/// <param name="SecondsToVerified">The percentiles of the measured ones; <see langword="null"/> when there is none.</param>
public sealed record DayView(
    DateOnly Day, int Cases, IReadOnlyDictionary<string, int> States, int Measured, int Breached, int Held, PercentilesView? SecondsToVerified);

/// <summary>Percentiles by nearest rank, in seconds.</summary>
public sealed record PercentilesView(double P50, double P90, double P95, double P99, double Max);
