using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Offboarding.Evidence;
using DingFlow.Offboarding.Guards;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Settings;

namespace DingFlow.Offboarding;

/// <summary>Wires the feature.</summary>
public static class OffboardingServices
{
    /// <summary>Adds offboarding: cases, their functions and their routes.</summary>
    public static IServiceCollection AddOffboarding(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .TryAddAuditTrail(configuration, faults)
        .AddSingleton(OffboardingOptions.Read(configuration, faults))
        .AddPolicy(static provider => OffboardingPolicy.Of(
            provider.GetRequiredService<OffboardingOptions>(), provider.GetRequiredService<BrakeOptions>(), provider.GetRequiredService<ReconciliationOptions>(),
            provider.GetRequiredService<OffboardingPlans>(), provider.GetRequiredService<AuditPseudonyms>()))
        .AddSingleton<CaseStore>()
        .AddSingleton<PersonClaims>()
        .AddSingleton<CaseRuns>()
        .AddSingleton<CaseAlerts>()
        .AddSingleton<ResignationDates>()
        .AddSingleton<CaseEvents>()
        .AddSingleton<CaseMerger>()
        .AddSingleton<AccountLookup>()
        .AddSingleton<IFreezeDriver, DingTalkFreeze>()
        .AddSingleton<IFreezeDriver, EntraFreeze>()
        .AddPlans(configuration, faults)
        .AddAccessSteps()
        .AddSingleton<CaseRestorer>()
        .AddSingleton<CaseSuccession>()
        .AddSingleton<DryRun>()
        .AddSingleton<OffboardingMetrics>()
        .AddSingleton(BrakeOptions.Read(configuration, faults))
        .AddSingleton(ReconciliationOptions.Read(configuration, faults))
        .AddSingleton<RosterStore>()
        .AddSingleton<IHeldPeople, RosterHeldPeople>()
        .AddSingleton<FindingStore>()
        .AddSingleton<DingTalkRound>()
        .AddSingleton<Reconciler>()
        .AddSingleton<ReconciliationRequests>()
        .AddSingleton<IRosterSizes>(static provider => provider.GetRequiredService<RosterStore>())
        .AddSingleton<MassLeaverBrake>()
        .AddSingleton<CaseGates>()
        .AddSingleton<QuarantineRelease>()
        .AddSingleton<CaseRunner>()
        .AddSingleton<SessionEnding>()
        .AddSingleton<CaseAnnouncements>()
        .AddSingleton<ISignalSender, NoSignals>()
        .AddFunction<ProcessOffboarding>()
        .AddFunction<SweepOffboarding>()
        .AddFunction<ListOffboardingCases>(Roles.OperationsRead)
        .AddFunction<GetOffboardingCase>(Roles.OperationsRead)
        .AddFunction<GetOffboardingPlan>(Roles.OperationsRead)
        .AddFunction<SearchOffboardingCases>(Roles.OperationsRead)
        .AddFunction<CancelOffboardingCase>(Roles.OperationsWrite)
        .AddFunction<RetryOffboardingCase>(Roles.OperationsWrite)
        .AddFunction<ReleaseOffboardingCase>(Roles.OperationsWrite, orRole: Roles.OperationsApprove)
        .AddFunction<ReleaseQuarantine>(Roles.OperationsWrite, orRole: Roles.OperationsApprove)
        .AddFunction<GetOffboardingStatistics>(Roles.OperationsRead)
        .AddFunction<PutHrRoster>(Roles.RosterWrite)
        .AddFunction<ReconcileAccounts>()
        .AddFunction<RequestReconciliation>(Roles.OperationsWrite)
        .AddFunction<ListFindings>(Roles.OperationsRead)
        .AddFunction<DismissFinding>(Roles.OperationsWrite)
        .AddFunction<OpenFinding>(Roles.OperationsWrite)
        .AddFunction<ReactivateOffboardingCase>(Roles.OperationsWrite)
        .TryAddAuditTrail(configuration, faults)
        .AddFunction<DryRunOffboarding>(Roles.OperationsWrite)
        .AddEvidence(configuration, faults);

    /// <summary>Plans of the settings are read now, so that what is wrong with them stops the start; the program's own when a case wants them.</summary>
    private static IServiceCollection AddPlans(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) =>
        PlanReader.IsSet(configuration) ? services.AddSingleton(PlanReader.Read(configuration, faults)) : services.AddSingleton(static _ => PlanReader.Carried());

    private static IServiceCollection AddAccessSteps(this IServiceCollection services) => services
        .AddSingleton<IAccessStep, DingTalkAdminStep>()
        .AddSingleton<IAccessStep, DingTalkRolesStep>()
        .AddSingleton<IAccessStep, DingTalkDevicesStep>()
        .AddSingleton<IAccessStep, DingTalkGroupsStep>()
        .AddSingleton<IAccessStep, DingTalkApprovalsStep>()
        .AddSingleton<IAccessStep, DingTalkPendingLeaveStep>()
        .AddSingleton<IAccessStep, EntraGroupsStep>()
        .AddSingleton<IAccessStep, EntraDirectoryRolesStep>()
        .AddSingleton<IAccessStep, EntraAppRolesStep>()
        .AddSingleton<IAccessStep, EntraLicensesStep>()
        .AddSingleton<IAccessStep, EntraDevicesStep>()
        .AddSingleton<IAccessStep, EntraOwnedObjectsStep>()
        .AddSingleton<AccessSteps>();
}
