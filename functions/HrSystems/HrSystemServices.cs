using DingFlow.Settings;

namespace DingFlow.HrSystems;

/// <summary>Puts the HR systems' clients into the program.</summary>
public static class HrSystemServices
{
    /// <summary>Adds <see cref="ILeaverLookup"/>. It needs a store, the inbox's keys and an alert sender; it connects when first asked.</summary>
    public static IServiceCollection AddHrSystems(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .AddSingleton(HrSystemOptions.Read(configuration, faults))
        .AddSingleton<ILeaverLookup, LeaverLookup>();
}
