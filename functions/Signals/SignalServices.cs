using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Signals;

/// <summary>Puts OpenID Shared Signals into the program.</summary>
public static class SignalServices
{
    /// <summary>
    /// Adds the receiver and the transmitter. Besides what the receiver needs: offboarding with its cases and directories, a store, the
    /// queue.
    /// </summary>
    public static IServiceCollection AddSignals(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var options = SignalOptions.Read(configuration, faults);
        services.AddSignalReceiver(configuration, faults).TryAddAuditTrail(configuration, faults);
        services.AddSingleton(options);
        services.AddSingleton<SetSigner>();
        services.AddSingleton<SignalPush>();
        services.AddSingleton<SignalRecords>();
        services.AddSingleton<SignalSubjects>();
        services.Replace(ServiceDescriptor.Singleton<ISignalSender, SignalSender>());
        if (options.Subscribers.Count > 0)
        {
            services.AddSingleton<IReadinessCheck, SignalReadiness>();
        }

        return services
            .AddFunction<DeliverSignal>()
            .AddFunction<GetSignalKeys>()
            .AddFunction<GetSignalConfiguration>()
            .AddFunction<VerifySignalSubscriber>(Roles.OperationsWrite);
    }

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
