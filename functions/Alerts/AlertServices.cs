using DingFlow.Hosting;
using DingFlow.Messaging;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Alerts;

/// <summary>Puts the alerts into the program.</summary>
public static class AlertServices
{
    /// <summary>Adds the sender of alerts and their delivery. It needs a store and the queue.</summary>
    public static IServiceCollection AddAlerts(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(AlertOptions.Read(configuration, faults));
        services.AddSingleton<AlertWebhook>();
        services.AddSingleton<IAlertSender, AlertSender>();
        services.AddSingleton<IReadinessCheck, AlertReadiness>();
        return services.AddFunction<DeliverAlert>();
    }
}
