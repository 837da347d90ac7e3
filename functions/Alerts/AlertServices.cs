using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Alerts;

/// <summary>Puts the alerts into the program.</summary>
public static class AlertServices
{
    private const string IntervalSetting = "Alerts:Interval";

    /// <summary>Adds the sender of alerts, their store, their delivery and their routes. It needs a store, the queue, DingTalk and Entra.</summary>
    public static IServiceCollection AddAlerts(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        return services
            .TryAddAuditTrail(configuration, faults)
            .AddSingleton(AlertOptions.Read(configuration, faults))
            .AddPolicy(static provider => AlertPolicy.Of(provider.GetRequiredService<AlertOptions>(), provider.GetRequiredService<AuditPseudonyms>()))
            .AddSingleton<AlertStore>()
            .AddSingleton<IAlertDocuments, AlertDocuments>()
            .AddSingleton<IAlertChannelSender, AlertWebhook>()
            .AddSingleton<IAlertChannelSender, AlertRobot>()
            .AddSingleton<IAlertChannelSender, AlertWorkNotice>()
            .AddSingleton<IAlertChannelSender, AlertMail>()
            .AddSingleton<IAlertSender, AlertSender>()
            .AddSingleton<IReadinessCheck, AlertReadiness>()
            .AddFunction<DeliverAlert>()
            .AddFunction<RepeatAlerts>()
            .AddFunction<ListAlerts>(Roles.ComplianceWrite)
            .AddFunction<GetAlert>(Roles.ComplianceWrite)
            .AddFunction<AcknowledgeAlert>(Roles.ComplianceWrite)
            .AddFunction<SilenceAlert>(Roles.ComplianceWrite);
    }

    /// <summary>Adds the timers that watch the limits and the register of scenarios. They need the alerts, the transfers and the rules.</summary>
    public static IServiceCollection AddThresholds(this IServiceCollection services, IConfiguration configuration)
    {
        if (configuration is IConfigurationBuilder builder && string.IsNullOrWhiteSpace(configuration[IntervalSetting]))
        {
            // The function.json of the timer refers to it; the Functions host resolves that by its own settings.
            builder.AddInMemoryCollection([new(IntervalSetting, AlertOptions.DefaultInterval)]);
        }

        return services.AddSingleton<ThresholdMemory>().AddSingleton<ThresholdMetrics>().AddFunction<CheckThresholds>().AddFunction<CheckFilings>();
    }
}
