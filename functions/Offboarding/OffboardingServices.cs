using DingFlow.Hosting;

namespace DingFlow.Offboarding;

/// <summary>Wires the feature.</summary>
public static class OffboardingServices
{
    /// <summary>Adds offboarding: cases, their functions and their routes.</summary>
    public static IServiceCollection AddOffboarding(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .AddSingleton(OffboardingOptions.Read(configuration, faults))
        .AddSingleton<CaseStore>()
        .AddSingleton<PersonClaims>()
        .AddSingleton<CaseRuns>()
        .AddSingleton<CaseAlerts>()
        .AddSingleton<CaseEvents>()
        .AddSingleton<CaseMerger>()
        .AddSingleton<AccountLookup>()
        .AddSingleton<IFreezeDriver, DingTalkFreeze>()
        .AddSingleton<IFreezeDriver, EntraFreeze>()
        .AddSingleton<OffboardingMetrics>()
        .AddSingleton<CaseRunner>()
        .AddFunction<ProcessOffboarding>()
        .AddFunction<SweepOffboarding>()
        .AddFunction<ListOffboardingCases>(Roles.OperationsRead)
        .AddFunction<GetOffboardingCase>(Roles.OperationsRead)
        .AddFunction<SearchOffboardingCases>(Roles.OperationsRead)
        .AddFunction<CancelOffboardingCase>(Roles.OperationsWrite)
        .AddFunction<RetryOffboardingCase>(Roles.OperationsWrite);
}
