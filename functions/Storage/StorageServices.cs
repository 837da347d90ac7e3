using System.Runtime.CompilerServices;
using Azure.Core;
using DingFlow.Remote;
using DingFlow.Settings;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Storage;

/// <summary>Which store holds the entities (<c>DingFlow:Store</c>).</summary>
public enum StoreKind
{
    /// <summary>SQLite files in <c>DingFlow:DataDirectory</c>; the default when standalone.</summary>
    Sqlite,

    /// <summary>Azure Table Storage; the default under the Functions host.</summary>
    Tables,
}

/// <summary>Puts the store into the program.</summary>
public static class StorageServices
{
    /// <summary>
    /// Adds <see cref="IEntityStore"/> as the settings say. With SQLite the data directory is opened, and another process that has it
    /// is noticed, when the hosted services start: a <see cref="SettingsException"/> then ends the start.
    /// </summary>
    public static IServiceCollection AddStorage(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddSingleton(TimeProvider.System);
        var settings = new SettingsReader(configuration, "DingFlow", faults);
        var usual = HostingOptions.ModeOf(configuration) == HostMode.Standalone ? StoreKind.Sqlite : StoreKind.Tables;
        return settings.Choice("Store", usual) == StoreKind.Sqlite
            ? AddSqlite(services, configuration)
            : AddTables(services, configuration, faults);
    }

    /// <summary>Adds the database files in <c>DingFlow:DataDirectory</c>, once for the store and the queue.</summary>
    internal static void AddSqliteDatabase(IServiceCollection services, IConfiguration configuration)
    {
        if (services.Any(service => service.ServiceType == typeof(SqliteDatabase)))
        {
            return;
        }

        var directory = HostingOptions.DataDirectoryOf(configuration);
        services.AddSingleton(_ => new SqliteDatabase(directory));
        services.AddHostedService<SqliteDatabaseStart>();
    }

    private static IServiceCollection AddSqlite(IServiceCollection services, IConfiguration configuration)
    {
        AddSqliteDatabase(services, configuration);
        return services.AddSingleton<IEntityStore>(provider =>
            new SqliteEntityStore(provider.GetRequiredService<SqliteDatabase>(), provider.GetRequiredService<TimeProvider>()));
    }

    // Not inlined, so that the Azure SDK is not loaded where it is not used.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static IServiceCollection AddTables(IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        var options = TablesOptions.Read(configuration, faults);
        services.AddAzureCredentials(configuration);
        return services.AddSingleton<IEntityStore>(provider => new TablesEntityStore(
            options, provider.GetRequiredService<Lazy<TokenCredential>>(), provider.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Opens the main file before anything is served, so that a directory that cannot be used ends the start.</summary>
    private sealed class SqliteDatabaseStart(SqliteDatabase database) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            _ = database.Main;
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
