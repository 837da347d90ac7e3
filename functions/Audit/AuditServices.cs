using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Wires the feature.</summary>
public static class AuditServices
{
    /// <summary>Adds the audit trail with its timers and routes. It needs a store and an alert sender.</summary>
    public static IServiceCollection AddAudit(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .TryAddAuditTrail(configuration, faults)
        .AddFunction<SweepAudit>();
}
