using DingFlow.Messaging;
using DingFlow.Tests.Offboarding;

namespace DingFlow.Tests;

/// <summary>Events about the sandbox's employees.</summary>
internal static class Leaver
{
    public static string EmailOf(string employeeId) => $"{employeeId.ToLowerInvariant()}@sandbox.example";

    public static string UserIdOf(string employeeId) => "sb-" + employeeId[1..];

    public static PersonEvent Terminated(string employeeId, string source = "hr/acme") => new()
    {
        Kind = PersonEventKind.Terminated,
        Source = source,
        EmployeeId = employeeId,
        Email = EmailOf(employeeId),
        DingTalkUserId = UserIdOf(employeeId),
        OccurredAt = OffboardingDriver.Start,
        Immediate = true,
    };

    public static PersonEvent Of(PersonEventKind kind, string employeeId, DateTimeOffset? occurredAt = null) => new()
    {
        Kind = kind,
        Source = "hr/acme",
        EmployeeId = employeeId,
        Email = EmailOf(employeeId),
        OccurredAt = occurredAt ?? OffboardingDriver.Start.AddMinutes(1),
    };

    public static PersonEvent LeftDingTalk(string userId, string tenant = "sandbox") => new()
    {
        Kind = PersonEventKind.LeftOrganisation,
        Source = "dingtalk/" + tenant,
        DingTalkUserId = userId,
        OccurredAt = OffboardingDriver.Start,
    };
}
