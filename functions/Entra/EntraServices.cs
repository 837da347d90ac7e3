using DingFlow.Hosting;
using DingFlow.Remote;
using DingFlow.Settings;

namespace DingFlow.Entra;

/// <summary>Puts the client of Microsoft Entra into the program.</summary>
public static class EntraServices
{
    /// <summary>Adds the client; nothing is opened before the first call.</summary>
    public static IServiceCollection AddEntra(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .AddAzureCredentials(configuration)
        .AddSingleton(EntraOptions.Read(configuration, faults))
        .AddSingleton<EntraDirectory>()
        .AddSingleton<IReadinessCheck, EntraReadiness>();
}
