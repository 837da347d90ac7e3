using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DingFlow.Tests.Storage;

public sealed class StorageServicesTests : IDisposable
{
    private readonly DataDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Standalone_uses_sqlite_in_the_data_directory_and_opens_it_at_the_start()
    {
        await using var services = Build(new() { ["DingFlow:DataDirectory"] = _directory.Path }, out var faults);

        Assert.Empty(faults.All);
        Assert.IsType<SqliteEntityStore>(services.GetRequiredService<IEntityStore>());
        Assert.Empty(Directory.GetFiles(_directory.Path));
        foreach (var hosted in services.GetServices<IHostedService>())
        {
            await hosted.StartAsync(TestContext.Current.CancellationToken);
        }

        Assert.Contains("dingflow.db", Directory.GetFiles(_directory.Path).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_data_directory_in_use_ends_the_start()
    {
        using var other = new SqliteDatabase(_directory.Path);
        Assert.NotNull(other.Main);
        await using var services = Build(new() { ["DingFlow:DataDirectory"] = _directory.Path }, out _);

        var hosted = Assert.Single(services.GetServices<IHostedService>());

        await Assert.ThrowsAsync<SettingsException>(() => hosted.StartAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Tables_is_the_store_when_asked_for_or_under_the_functions_host()
    {
        await using var asked = Build(
            new() { ["DingFlow:Store"] = "tables", ["Storage:TableServiceUri"] = "https://account.table.core.windows.net" }, out var askedFaults);
        await using var hosted = Build(
            new() { ["FUNCTIONS_CUSTOMHANDLER_PORT"] = "50000", ["Storage:TableServiceUri"] = "https://account.table.core.windows.net" }, out var hostedFaults);

        Assert.Empty(askedFaults.All);
        Assert.Empty(hostedFaults.All);
        Assert.IsType<TablesEntityStore>(asked.GetRequiredService<IEntityStore>());
        Assert.IsType<TablesEntityStore>(hosted.GetRequiredService<IEntityStore>());
    }

    [Fact]
    public void An_unknown_store_is_a_fault_of_its_setting()
    {
        using var services = Build(new() { ["DingFlow:Store"] = "redis" }, out var faults);

        Assert.Equal("DingFlow:Store: must be one of sqlite, tables", Assert.Single(faults.All));
    }

    private static ServiceProvider Build(Dictionary<string, string?> settings, out SettingsFaults faults)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        faults = new SettingsFaults();
        return new ServiceCollection().AddStorage(configuration, faults).BuildServiceProvider();
    }
}
