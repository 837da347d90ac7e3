using DingFlow.Hosting;
using DingFlow.Messaging;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Signals;

/// <summary>Puts OpenID Shared Signals into the program.</summary>
public static class SignalServices
{
    /// <summary>Adds the receiver.</summary>
    public static IServiceCollection AddSignals(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) =>
        services.AddSignalReceiver(configuration, faults);

    /// <summary>Adds the receiver of <c>signals/{source}</c>. It needs the intake with its sources, the inbox and an alert sender.</summary>
    internal static IServiceCollection AddSignalReceiver(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        CheckAges(configuration, faults);
        services.AddSingleton<SignalSources>();
        return services
            .AddFunction<ReceiveSignal>(problems: SetErrors.Instance)
            .AddFunction<TestSignalSource>(Roles.OperationsWrite);
    }

    /// <summary>A token may not be accepted for longer than its repetition would be recognised.</summary>
    private static void CheckAges(IConfiguration configuration, SettingsFaults faults)
    {
        var root = new SettingsReader(configuration, "", faults);
        var retention = new SettingsReader(configuration, "Deliveries", faults).Duration("Retention", InboxOptions.DefaultRetention);
        foreach (var name in root.Children("HrSources"))
        {
            var reader = root.Section($"HrSources:{name}");
            if (reader.IsSet("MaxAge") && reader.Duration("MaxAge", retention) > retention)
            {
                reader.Fault("MaxAge", "must not be longer than Deliveries:Retention: a repetition would be taken for something new");
            }
        }
    }
}
