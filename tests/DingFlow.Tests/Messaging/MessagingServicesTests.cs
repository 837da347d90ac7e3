using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DingFlow.Tests.Messaging;

public sealed class MessagingServicesTests : IDisposable
{
    private readonly DataDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Standalone_store_and_queue_share_one_database()
    {
        await using var services = Build(new() { ["DingFlow:DataDirectory"] = _directory.Path }, out var faults);

        Assert.Empty(faults.All);
        Assert.Single(services.GetServices<SqliteDatabase>());
        Assert.Single(services.GetServices<IHostedService>());
        Assert.IsType<EmbeddedQueue>(services.GetRequiredService<IMessageQueue>());
        Assert.Same(services.GetRequiredService<IMessageQueue>(), services.GetRequiredService<IEmbeddedQueue>());
        await services.GetRequiredService<IMessageQueue>().SendAsync(
            Queues.Alerts, [new() { MessageId = "m", Body = "{}"u8.ToArray() }], TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Under_the_functions_host_nothing_lies_in_the_data_directory()
    {
        await using var services = Build(
            new()
            {
                ["FUNCTIONS_CUSTOMHANDLER_PORT"] = "50000",
                ["ServiceBusConnection:fullyQualifiedNamespace"] = "dingflow.servicebus.windows.net",
                ["Storage:TableServiceUri"] = "https://account.table.core.windows.net",
            },
            out var faults);

        Assert.Empty(faults.All);
        Assert.IsType<ServiceBusQueue>(services.GetRequiredService<IMessageQueue>());
        Assert.Null(services.GetService<SqliteDatabase>());
    }

    [Fact]
    public void An_unknown_queue_is_a_fault_of_its_setting()
    {
        using var services = Build(new() { ["DingFlow:Queue"] = "rabbit" }, out var faults);

        Assert.Equal("DingFlow:Queue: must be one of sqlite, serviceBus", Assert.Single(faults.All));
    }

    [Fact]
    public void Service_bus_takes_the_place_of_the_embedded_queue()
    {
        using var services = Build(
            new()
            {
                ["DingFlow:DataDirectory"] = _directory.Path, ["DingFlow:Queue"] = "servicebus",
                ["ServiceBusConnection:fullyQualifiedNamespace"] = "dingflow.servicebus.windows.net",
            }, out var faults);

        Assert.Empty(faults.All);
        Assert.IsType<ServiceBusQueue>(services.GetRequiredService<IMessageQueue>());
        Assert.Null(services.GetService<IEmbeddedQueue>());
        Assert.False(services.GetRequiredService<Lazy<Azure.Core.TokenCredential>>().IsValueCreated);
    }

    [Fact]
    public void Service_bus_without_its_namespace_is_a_fault()
    {
        using var services = Build(new() { ["DingFlow:DataDirectory"] = _directory.Path, ["DingFlow:Queue"] = "servicebus" }, out var faults);

        Assert.Equal("ServiceBusConnection:fullyQualifiedNamespace: is missing", Assert.Single(faults.All));
    }

    private static ServiceProvider Build(Dictionary<string, string?> settings, out SettingsFaults faults)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        faults = new SettingsFaults();
        return new ServiceCollection().AddLogging().AddStorage(configuration, faults).AddMessaging(configuration, faults).BuildServiceProvider();
    }
}
