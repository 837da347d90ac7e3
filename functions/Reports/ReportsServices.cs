using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Reports;

/// <summary>Wires the feature.</summary>
public static class ReportsServices
{
    /// <summary>Adds the reports. They need the transfers and the rules.</summary>
    public static IServiceCollection AddReports(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .TryAddAuditTrail(configuration, faults)
        .AddSingleton<ReportBuilder>()
        .AddFunction<GetReport>(Roles.ComplianceRead);
}
