using System.Globalization;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>What people are told about cases. The same trouble of the same case is told once.</summary>
public sealed class CaseAlerts(IAlertSender sender, TimeProvider time)
{
    /// <summary>A person must decide or do something.</summary>
    public Task NeedsHumanAsync(OffboardingCase @case, CancellationToken cancellationToken) => SendAsync(
        @case, "offboarding.needs_human", AlertSeverity.Critical, "A leaver's case needs a person.", cancellationToken);

    /// <summary>The freeze did not work.</summary>
    public Task FailedAsync(OffboardingCase @case, CancellationToken cancellationToken) => SendAsync(
        @case, "offboarding.failed", AlertSeverity.Critical, "A leaver's accounts could not be frozen.", cancellationToken);

    /// <summary>The clock ran out.</summary>
    public Task OverdueAsync(OffboardingCase @case, CancellationToken cancellationToken) => SendAsync(
        @case, "offboarding.overdue", AlertSeverity.Critical, "A leaver's accounts are not verified as frozen within the target.", cancellationToken);

    /// <summary>The clocks of held cases ran out: told together, once for each pull of the brake.</summary>
    public Task HeldOverdueAsync(DateTimeOffset heldSince, int cases, CancellationToken cancellationToken) => sender.SendAsync(
        new()
        {
            AlertId = string.Create(CultureInfo.InvariantCulture, $"offboarding/held_overdue/{heldSince.UtcTicks / TimeSpan.TicksPerHour}"),
            Type = "offboarding.held_overdue",
            Severity = AlertSeverity.Critical,
            OccurredAt = time.GetUtcNow(),
            Summary = "Leavers that the brake holds are not frozen within the target: release or cancel them.",
            Details = new Dictionary<string, string>
            {
                ["cases"] = cases.ToString(CultureInfo.InvariantCulture), ["since"] = heldSince.ToString("O", CultureInfo.InvariantCulture),
            },
        },
        cancellationToken);

    /// <summary>A frozen account was found alive.</summary>
    public Task AliveAgainAsync(OffboardingCase @case, CancellationToken cancellationToken) => SendAsync(
        @case, "offboarding.alive_again", AlertSeverity.Critical, "A frozen account was found enabled again; it is being frozen once more.", cancellationToken);

    /// <summary>A leave was set aside because its source had said, with a later time, that the person stays: nobody is frozen on it.</summary>
    public Task SetAsideAsync(OffboardingCase @case, CancellationToken cancellationToken) => SendAsync(
        @case, "offboarding.set_aside", AlertSeverity.Warning, "A leave was set aside: its source had said, with a later time, that the person stays.", cancellationToken);

    private Task SendAsync(OffboardingCase @case, string type, AlertSeverity severity, string summary, CancellationToken cancellationToken)
    {
        var details = new Dictionary<string, string>
        {
            ["caseId"] = @case.CaseId,
            ["state"] = @case.State.ToString(),
            ["dueAt"] = @case.DueAt.ToString("O", CultureInfo.InvariantCulture),
        };
        if (@case.EmployeeId is { } employeeId)
        {
            details["employeeId"] = employeeId;
        }

        for (var i = 0; i < @case.Notes.Count && i < 10; i++)
        {
            details[string.Create(CultureInfo.InvariantCulture, $"note{i + 1}")] = @case.Notes[i];
        }

        // A case may need people again after it went on: its number of runs tells the occasions apart; a clock runs out once.
        var what = type.Split('.')[^1];
        var occasion = what == "overdue" ? @case.DueAt.UtcTicks : @case.Runs;
        return sender.SendAsync(
            new()
            {
                AlertId = string.Create(CultureInfo.InvariantCulture, $"offboarding/{@case.CaseId}/{what}/{occasion}"),
                Type = type,
                Severity = severity,
                OccurredAt = time.GetUtcNow(),
                Summary = summary,
                About = @case.CaseId,
                Details = details,
            },
            cancellationToken);
    }
}
