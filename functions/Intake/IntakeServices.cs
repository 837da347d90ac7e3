using DingFlow.Hosting;
using DingFlow.Messaging;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Intake;

/// <summary>Puts the intake into the program.</summary>
public static class IntakeServices
{
    /// <summary>Adds the webhooks of HR systems and of DingTalk, and the inbox with its timers. It needs a store, the queue, an alert sender and the DingTalk tenants.</summary>
    public static IServiceCollection AddIntake(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(IntakeOptions.Read(configuration, faults));
        services.AddSingleton(InboxOptions.Read(configuration, faults));
        services.AddSingleton<IInboxGate, PausedSources>();
        services.AddSingleton<Inbox>();
        services.AddSingleton<IInbox>(static provider => provider.GetRequiredService<Inbox>());
        return services
            .AddSingleton<HrHandshakes>()
            .AddFunction<ReceiveHrWebhook>()
            .AddFunction<TestHrSource>(Roles.OperationsWrite)
            .AddFunction<GetHrHandshake>(Roles.OperationsWrite)
            .AddFunction<ReplayDelivery>(Roles.DeliveriesReplay)
            .AddFunction<ReceiveDingTalkEvent>()
            .AddFunction<SweepInbox>()
            .AddFunction<PruneInbox>();
    }
}

/// <summary>Holds the deliveries of HR sources that are paused.</summary>
internal sealed class PausedSources(IntakeOptions options) : IInboxGate
{
    private readonly HashSet<string> _paused =
        [.. options.Sources.Values.Where(static source => source.Paused).Select(static source => source.QualifiedName)];

    public bool IsHeld(string source) => _paused.Contains(source);
}
