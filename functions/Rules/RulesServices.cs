using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>Wires the feature.</summary>
public static class RulesServices
{
    /// <summary>Adds the rules and what is asked of them. It needs the transfers.</summary>
    public static IServiceCollection AddRules(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        // The rules are read at the first evaluation, unless settings name some and must be checked against them.
        var transfers = new SettingsReader(configuration, "Transfers", faults);
        if (transfers.List("RuleSets").Count > 0 || transfers.Children("Rules").Count > 0)
        {
            RuleEngine.Create(TransfersOptions.Read(configuration, faults), faults);
        }

        return services
            .TryAddAuditTrail(configuration, faults)
            .AddSingleton(static provider => RuleEngine.Create(provider.GetRequiredService<TransfersOptions>(), new SettingsFaults()))
            .AddPolicy(static provider => RulesPolicy.Of(provider.GetRequiredService<TransfersOptions>()))
            .AddSingleton<ThresholdReader>()
            .AddSingleton<TierLatch>()
            .AddSingleton<IncidentStore>()
            .AddFunction<PreviewTransfers>(Roles.TransfersWrite)
            .AddFunction<GetThresholds>(Roles.ComplianceRead)
            .AddFunction<ListLatchedTiers>(Roles.ComplianceRead)
            .AddFunction<ReviewTier>(Roles.ComplianceWrite)
            .AddFunction<PutIncident>(Roles.ComplianceWrite)
            .AddFunction<CloseIncident>(Roles.ComplianceWrite)
            .AddFunction<GetIncident>(Roles.ComplianceRead)
            .AddFunction<ListIncidents>(Roles.ComplianceRead);
    }
}
