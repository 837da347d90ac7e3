using System.Runtime.CompilerServices;
using Azure.Core;
using DingFlow.Remote;
using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Messaging;

/// <summary>Which queue carries the messages (<c>DingFlow:Queue</c>).</summary>
public enum QueueKind
{
    /// <summary>The embedded queue in <c>DingFlow:DataDirectory</c>; the default when standalone.</summary>
    Sqlite,

    /// <summary>Azure Service Bus; the default under the Functions host.</summary>
    ServiceBus,
}

/// <summary>Puts the queue into the program.</summary>
public static class MessagingServices
{
    /// <summary>
    /// Adds <see cref="IMessageQueue"/> as the settings say, and with SQLite <see cref="IEmbeddedQueue"/> for the standalone host to
    /// receive from.
    /// </summary>
    public static IServiceCollection AddMessaging(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ParkedMessages>();
        services.TryAddAuditTrail(configuration, faults);
        var settings = new SettingsReader(configuration, "DingFlow", faults);
        var usual = HostingOptions.ModeOf(configuration) == HostMode.Standalone ? QueueKind.Sqlite : QueueKind.ServiceBus;
        return settings.Choice("Queue", usual) == QueueKind.Sqlite
            ? AddEmbedded(services, configuration)
            : AddServiceBus(services, configuration, faults);
    }

    private static IServiceCollection AddEmbedded(IServiceCollection services, IConfiguration configuration)
    {
        StorageServices.AddSqliteDatabase(services, configuration);
        services.AddSingleton<EmbeddedQueue>();
        services.AddSingleton<IEmbeddedQueue>(provider => provider.GetRequiredService<EmbeddedQueue>());
        return services.AddSingleton<IMessageQueue>(provider => provider.GetRequiredService<EmbeddedQueue>());
    }

    // Not inlined, so that the Azure SDK is not loaded where it is not used.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static IServiceCollection AddServiceBus(IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        var options = ServiceBusOptions.Read(configuration, faults);
        services.AddAzureCredentials(configuration);
        return services.AddSingleton<IMessageQueue>(provider => new ServiceBusQueue(
            options, provider.GetRequiredService<Lazy<TokenCredential>>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ServiceBusQueue>>()));
    }
}
