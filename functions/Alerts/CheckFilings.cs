using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Rules;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Alerts;

/// <summary>
/// Every morning in Shanghai: looks at the register of scenarios and tells people of mechanisms that end, of impact assessments that are to be
/// looked at again, and of more persons than a mechanism approves.
/// </summary>
/// <remarks>
/// What was told is kept like that of the limits (<see cref="ThresholdMemory"/>): an alert is sent before that is noted, under an id of its
/// own within a window, so that it is told once whatever dies when.
/// </remarks>
public sealed partial class CheckFilings(
    TransfersOptions transfers, AlertOptions options, ScenarioStore scenarios, SubjectLedger ledger, ThresholdMemory memory, AlertStore alerts,
    IAlertSender sender, TimeProvider time, ILogger<CheckFilings> logger) : ITimerFunction
{
    /// <summary>Order 16 article 9: an extension is applied for within the 60 working days before the end.</summary>
    private const int AssessmentLeadDays = 60;

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        EntityStoreException? trouble = null;
        foreach (var exporter in transfers.Exporters.Values.OrderBy(static exporter => exporter.Id, StringComparer.Ordinal))
        {
            try
            {
                await CheckAsync(exporter.Id, cancellationToken);
            }
            catch (EntityStoreException exception)
            {
                Log.StoreFailed(logger, exporter.Id, exception);
                trouble = exception;
            }
            catch (LedgerMismatchException mismatch)
            {
                Log.NotCounted(logger, exporter.Id, mismatch.Setting);
                await sender.SendAsync(ThresholdAlerts.NotEvaluated(exporter.Id, mismatch.Setting, time.GetUtcNow()), cancellationToken);
            }
        }

        if (trouble is not null)
        {
            throw new EntityStoreException("The registers of some exporters could not be looked at.", trouble);
        }
    }

    private async Task CheckAsync(string exporter, CancellationToken cancellationToken)
    {
        var register = await scenarios.ReadAsync(exporter, cancellationToken);
        var now = time.GetUtcNow();
        var today = LegalTime.DayOf(now);
        foreach (var scenario in register.Scenarios)
        {
            var terms = InForce(scenario, today)?.Terms;
            await TellAsync(MechanismOf(exporter, scenario.Id, terms?.Mechanism, today, now), cancellationToken);
            await TellAsync(AssessmentOf(exporter, scenario.Id, terms?.Assessment, today, now), cancellationToken);
        }

        // Last: days need no ledger.
        var scopes = register.Scenarios
            .Select(scenario => InForce(scenario, today) is { } version ? ScenarioScope.Of(scenario.Id, version, today) : null).OfType<ScenarioScope>().ToList();
        var persons = await ScopeCounts.ReadAsync(ledger, register, scopes, cancellationToken);
        foreach (var scenario in register.Scenarios)
        {
            await TellAsync(ScopeOf(exporter, scenario.Id, scopes.Find(scope => scope.Scenario == scenario.Id), persons, now), cancellationToken);
        }
    }

    private static ScenarioVersion? InForce(Scenario scenario, DateOnly today) => scenario.On(today) is { Withdrawn: false } version ? version : null;

    private FilingStanding MechanismOf(string exporter, string scenario, ScenarioMechanism? mechanism, DateOnly today, DateTimeOffset now)
    {
        if (mechanism?.ValidTo is not { } end)
        {
            return new(exporter, scenario, FilingMatter.Mechanism);
        }

        var lead = mechanism.Kind switch
        {
            MechanismKind.SecurityAssessment => AssessmentLeadDays,
            MechanismKind.Certification => options.CertificationLeadDays,
            _ => options.ContractLeadDays,
        };
        var begin = WorkingCalendar.Default.Before(end, lead);
        return new(exporter, scenario, FilingMatter.Mechanism)
        {
            Window = Day(end),
            Level = today > end ? FilingStanding.Over : today >= begin.Day ? FilingStanding.Near : 0,
            Alert = (level, round) => FilingAlerts.Mechanism(exporter, scenario, mechanism, begin, level == FilingStanding.Over, round, now),
        };
    }

    private FilingStanding AssessmentOf(string exporter, string scenario, ScenarioAssessment? assessment, DateOnly today, DateTimeOffset now) =>
        assessment?.NextReview is not { } review ? new(exporter, scenario, FilingMatter.Assessment) : new(exporter, scenario, FilingMatter.Assessment)
        {
            Window = Day(review),
            Level = today > review ? FilingStanding.Over : today >= WorkingCalendar.Default.Before(review, options.ReviewLeadDays).Day ? FilingStanding.Near : 0,
            Alert = (level, round) => FilingAlerts.Assessment(exporter, scenario, assessment, level == FilingStanding.Over, round, now),
        };

    private FilingStanding ScopeOf(string exporter, string scenario, ScenarioScope? scope, IReadOnlyDictionary<string, long> persons, DateTimeOffset now)
    {
        if (scope is null)
        {
            return new(exporter, scenario, FilingMatter.Scope);
        }

        var (counted, approved) = (persons[scenario], scope.ApprovedPersons);
        return new(exporter, scenario, FilingMatter.Scope)
        {
            Window = scope.Mechanism.ScopeWindow == ScopeWindow.Term ? $"term-{Day(scope.From)}" : scope.From.Year.ToString(CultureInfo.InvariantCulture),

            // As many as are approved are within the scope; one more is not.
            Level = counted > approved ? FilingStanding.Over : options.Levels.Where(level => level < FilingStanding.Over && IsAt(level)).DefaultIfEmpty(0).Max(),
            Holds = level => level < FilingStanding.Over && IsAt(Math.Max(level - options.Hysteresis, 0)),
            Alert = (level, round) => FilingAlerts.Scope(exporter, scope, counted, level, round, now),
        };

        bool IsAt(int percent) => (Int128)counted * 100 >= (Int128)approved * percent;
    }

    /// <summary>Tells what is new since the last time, and ends what is not so any more.</summary>
    private async Task TellAsync(FilingStanding standing, CancellationToken cancellationToken)
    {
        var known = await memory.FindAsync(standing.MemoryPartition, standing.MemoryKey, cancellationToken);
        if (known is null && standing.Level == 0)
        {
            return;
        }

        var now = time.GetUtcNow();
        var told = known ?? new ThresholdTold(standing.Window);
        if (standing.Window.Length > 0 && told.Window != standing.Window)
        {
            // Another mechanism, another assessment, another year: what was told on the one before is over.
            await alerts.ResolveAsync(standing.SeriesOf(told.Window), static _ => true, now, cancellationToken);
            told = new ThresholdTold(standing.Window) { ETag = told.ETag };
        }

        if (standing.Level > told.Level)
        {
            await sender.SendAsync(standing.Alert!(standing.Level, told.Round), cancellationToken);
            told = told with { Level = standing.Level };
        }
        else if (standing.Level < told.Level && !standing.Holds(told.Level))
        {
            await alerts.ResolveAsync(standing.SeriesOf(told.Window), rank => rank > standing.Level, now, cancellationToken);
            Log.Corrected(logger, standing.Exporter, standing.Scenario, standing.Matter, told.Level, standing.Level);
            told = told with { Level = standing.Level, Round = told.Round + 1 };
        }

        if (told != known)
        {
            await memory.SaveAsync(standing.MemoryPartition, standing.MemoryKey, told, cancellationToken);
        }
    }

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The register of scenarios of {Exporter} could not be looked at: the store does not answer")]
        public static partial void StoreFailed(ILogger logger, string exporter, Exception exception);

        [LoggerMessage(2, LogLevel.Critical, "The persons of the scenarios of {Exporter} cannot be counted: {Setting} does not fit the stored ledger")]
        public static partial void NotCounted(ILogger logger, string exporter, string setting);

        [LoggerMessage(3, LogLevel.Information, "{Matter} of scenario {Scenario} of {Exporter} went from level {From} to {To}; higher levels are armed again")]
        public static partial void Corrected(ILogger logger, string exporter, string scenario, FilingMatter matter, int from, int to);
    }
}

/// <summary>What is looked at on a scenario.</summary>
internal enum FilingMatter
{
    /// <summary>The end of the mechanism.</summary>
    Mechanism,

    /// <summary>The next review of the impact assessment.</summary>
    Assessment,

    /// <summary>Approved against counted persons.</summary>
    Scope,
}

/// <summary>How one matter of a scenario stands.</summary>
internal sealed record FilingStanding(string Exporter, string Scenario, FilingMatter Matter)
{
    /// <summary>The level of what will be over soon.</summary>
    public const int Near = 50;

    /// <summary>The level of what is over.</summary>
    public const int Over = 100;

    /// <summary>Within which a level is told once; empty while there is nothing to look at.</summary>
    public string Window { get; init; } = "";

    /// <summary>How far it has come; 0 when there is nothing to tell.</summary>
    public int Level { get; init; }

    /// <summary>A level that was told still holds, though it is a little below.</summary>
    public Func<int, bool> Holds { get; init; } = static _ => false;

    /// <summary>The alert of a level and round.</summary>
    public Func<int, int, AlertMessage>? Alert { get; init; }

    /// <summary>Where it is remembered what was told: apart from the rules of the exporter, of which each that is not looked at is over.</summary>
    public string MemoryPartition => $"scenarios|{Exporter}";

    /// <summary>Under which it is remembered.</summary>
    public string MemoryKey => $"scenario|{Scenario}|{Matter}";

    /// <summary>Names the alerts on it within a window.</summary>
    public string SeriesOf(string window) => FilingAlerts.SeriesOf(Exporter, Scenario, Matter, window);
}
