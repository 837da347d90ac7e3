using System.Globalization;
using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>The alerts that senders cause.</summary>
internal static class IntakeAlerts
{
    /// <summary>A source named a person whom its settings keep from it; one alert a day.</summary>
    public static AlertMessage OutsideConfines(string source, string qualifiedName, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"intake.outside_confines:{source}:{now:yyyyMMdd}"),
        Type = "intake.outside_confines",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"The HR source {source} named a person outside its mail domains; nothing was done. Its secret may be in the wrong hands.",
        About = qualifiedName,
    };
}
