using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
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
        services.TryAddAuditTrail(configuration, faults);
        services.AddPolicy(static provider => IntakePolicy.Of(provider.GetRequiredService<IntakeOptions>(), provider.GetRequiredService<AuditPseudonyms>()));
        services.AddSingleton<SourcePauses>();
        services.AddSingleton<IInboxGate>(static provider => provider.GetRequiredService<SourcePauses>());
        services.AddSingleton<Inbox>();
        services.AddSingleton<IInbox>(static provider => provider.GetRequiredService<Inbox>());
        return services
            .AddSingleton<SourceDoor>()
            .AddSingleton<HrHandshakes>()
            .AddFunction<ReceiveHrWebhook>()
            .AddFunction<TestHrSource>(Roles.OperationsWrite)
            .AddFunction<GetHrHandshake>(Roles.OperationsWrite)
            .AddFunction<GetHrSource>(Roles.OperationsRead)
            .AddFunction<PauseHrSource>(Roles.OperationsWrite)
            .AddFunction<ResumeHrSource>(Roles.OperationsWrite)
            .AddFunction<ReplayDelivery>(Roles.DeliveriesReplay)
            .AddFunction<ReceiveDingTalkEvent>()
            .AddSingleton<LostPushes>()
            .AddFunction<FetchLostPushes>()
            .AddFunction<SweepInbox>()
            .AddFunction<PruneInbox>();
    }
}
