using System.Diagnostics.Metrics;
using DingFlow.Rules;

namespace DingFlow.Alerts;

/// <summary>How near the limits are, for dashboards.</summary>
public sealed class ThresholdMetrics
{
    private readonly Gauge<double> _share;

    /// <summary>Creates the instrument.</summary>
    public ThresholdMetrics(IMeterFactory meters)
    {
        ArgumentNullException.ThrowIfNull(meters);
        _share = meters.Create("DingFlow").CreateGauge<double>(
            "dingflow.thresholds.share", "1", "Count by limit of each exporter and rule that has a limit above one person, whenever the timer has looked.");
    }

    /// <summary>The timer has looked at a rule.</summary>
    public void Looked(string exporter, ThresholdRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        if (rule.Lower > 1)
        {
            _share.Record(rule.Share, new KeyValuePair<string, object?>("exporter", exporter), new KeyValuePair<string, object?>("rule", rule.Rule));
        }
    }
}
