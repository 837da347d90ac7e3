using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace DingFlow.Offboarding;

/// <summary>Counts and times of offboarding.</summary>
public sealed class OffboardingMetrics
{
    /// <summary>The spans of offboarding.</summary>
    internal static readonly ActivitySource Activities = new("DingFlow");

    private readonly Counter<long> _cases;
    private readonly Counter<long> _steps;
    private readonly Histogram<double> _seconds;

    /// <summary>Creates the instruments.</summary>
    public OffboardingMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("DingFlow");
        _cases = meter.CreateCounter<long>("dingflow.offboarding.cases", "{case}", "Cases concluded, by state.");
        _steps = meter.CreateCounter<long>("dingflow.offboarding.steps", "{step}", "Attempts of steps, by step and outcome.");
        _seconds = meter.CreateHistogram<double>("dingflow.offboarding.time_to_verified", "s", "From receipt (or the effective date) to verified.");
    }

    /// <summary>A case was concluded.</summary>
    public void CaseConcluded(OffboardingCase @case)
    {
        _cases.Add(1, new KeyValuePair<string, object?>("state", @case.State.ToString()));
        if (@case is { State: CaseState.Verified, SecondsToVerified: { } seconds })
        {
            _seconds.Record(seconds);
        }
    }

    /// <summary>An attempt of a step ended.</summary>
    public void StepEnded(string step, StepOutcome outcome) => _steps.Add(
        1, new KeyValuePair<string, object?>("step", step), new KeyValuePair<string, object?>("outcome", outcome.ToString()));
}
