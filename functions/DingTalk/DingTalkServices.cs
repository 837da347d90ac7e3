using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.DingTalk;

/// <summary>Puts the DingTalk clients into the program.</summary>
public static class DingTalkServices
{
    /// <summary>Adds the clients of all configured tenants, the map of who is who and its daily refresh.</summary>
    public static IServiceCollection AddDingTalk(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.AddSingleton(DingTalkOptions.Read(configuration, faults));
        services.AddSingleton<DingTalkClients>();
        services.AddSingleton<DingTalkDirectory>();
        services.AddSingleton<IReadinessCheck, DingTalkReadiness>();
        return services.AddFunction<RefreshDirectory>();
    }
}
