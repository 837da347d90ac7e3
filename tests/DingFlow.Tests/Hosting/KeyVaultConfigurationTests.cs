using DingFlow.Hosting;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Hosting;

public sealed class KeyVaultConfigurationTests : IAsyncLifetime
{
    private readonly SettingsFaults _faults = new();
    private KeyVaultStandIn _vault = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _vault = await KeyVaultStandIn.StartAsync(Cancel);

    public ValueTask DisposeAsync() => _vault.DisposeAsync();

    private ConfigurationManager Read(IServiceCollection? services = null, params (string Key, string? Value)[] settings)
    {
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection(
            settings.Prepend(("KeyVault:Uri", _vault.Uri.ToString())).Select(setting => KeyValuePair.Create(setting.Item1, setting.Item2)));
        KeyVaultConfiguration.AddKeyVaultSecrets(configuration, _faults, services, _vault.Credential, _vault.CreateTransport());
        return configuration;
    }

    private void Put(string name, string value, bool enabled = true, bool managed = false) => _vault.Secrets[name] = (value, enabled, managed);

    [Fact]
    public void Every_enabled_secret_becomes_a_setting()
    {
        Put("HrSources--acme--Secrets--0", "one");
        Put("HrSources--acme--Secrets--1", "two");
        Put("DingTalk--Tenants--acme--AppSecret", "three");
        Put("Plain", "four");
        Put("Disabled--Secret", "five", enabled: false);
        Put("Certificate", "private key", managed: true);

        using var configuration = Read();

        Assert.Empty(_faults.All);
        Assert.Equal("one", configuration["HrSources:acme:Secrets:0"]);
        Assert.Equal("two", configuration["hrsources:ACME:secrets:1"]);
        Assert.Equal("three", configuration["DingTalk:Tenants:acme:AppSecret"]);
        Assert.Equal("four", configuration["Plain"]);
        Assert.Null(configuration["Disabled:Secret"]);
        Assert.Null(configuration["Certificate"]);
        Assert.Equal(["0", "1"], configuration.GetSection("HrSources:acme:Secrets").GetChildren().Select(child => child.Key));
        Assert.DoesNotContain(_vault.Requests, request => request.Contains("Disabled", StringComparison.Ordinal));
        Assert.All(_vault.Credential.Scopes, scope => Assert.Equal("https://vault.azure.net/.default", scope));
    }

    [Fact]
    public void What_is_set_elsewhere_wins()
    {
        Put("Auth--Authority", "from the vault");
        Put("Auth--Audience", "from the vault");

        using var configuration = Read(null, ("Auth:Authority", "from the environment"));

        Assert.Equal("from the environment", configuration["Auth:Authority"]);
        Assert.Equal("from the vault", configuration["Auth:Audience"]);
    }

    [Fact]
    public void Sources_added_later_do_not_have_the_vault_read_again()
    {
        Put("A--B", "one");
        using var configuration = Read();
        var requests = _vault.Requests.Count;

        configuration.Sources.Insert(0, new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource
        {
            InitialData = [new("A:B", "lower"), new("A:C", "lower")],
        });
        ((IConfigurationRoot)configuration).Reload();

        Assert.Equal("one", configuration["A:B"]);
        Assert.Equal("lower", configuration["A:C"]);
        Assert.Equal(requests, _vault.Requests.Count);
    }

    [Fact]
    public void Without_a_vault_nothing_happens()
    {
        using var configuration = new ConfigurationManager();
        configuration.AddKeyVaultSecrets(_faults);
        Assert.Empty(_faults.All);
        Assert.Empty(configuration.Sources.OfType<KeyVaultConfigurationSource>());
    }

    [Fact]
    public void A_denied_vault_stops_the_start_and_names_the_role()
    {
        _vault.AlwaysStatus = 403;
        using var configuration = Read();
        var fault = Assert.Single(_faults.All);
        Assert.Equal("KeyVault:Uri: denied access (403 Forbidden); the identity needs the role Key Vault Secrets User", fault);
    }

    [Fact]
    public void A_machine_without_an_identity_stops_the_start()
    {
        _vault.Credential.Fails = true;
        using var configuration = Read();
        Assert.Contains("KeyVault:Uri: cannot be read, because no token could be had", Assert.Single(_faults.All), StringComparison.Ordinal);
    }

    [Fact]
    public void A_vault_that_does_not_answer_stops_the_start_in_bounded_time()
    {
        _vault.Silent = true;
        using var configuration = Read(null, ("KeyVault:Timeout", "00:00:00.2"));
        Assert.Equal("KeyVault:Uri: did not answer within 00:00:00.2000000", Assert.Single(_faults.All));
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/", "KeyVault:Uri: must be https")]
    [InlineData("vault", "KeyVault:Uri: must be an absolute https address")]
    public void A_bad_address_is_a_fault(string address, string expected)
    {
        using var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection([new("KeyVault:Uri", address)]);
        configuration.AddKeyVaultSecrets(_faults);
        Assert.StartsWith(expected, Assert.Single(_faults.All), StringComparison.Ordinal);
    }

    [Fact]
    public void Reloading_without_end_is_a_fault()
    {
        using var configuration = Read(null, ("KeyVault:ReloadInterval", "00:00:01"));
        Assert.Equal("KeyVault:ReloadInterval: must be at least 00:01:00", Assert.Single(_faults.All));
    }

    [Fact]
    public async Task A_changed_secret_is_seen_after_the_interval_and_trouble_leaves_the_old_one()
    {
        Put("A--B", "one");
        var time = new FakeTimeProvider();
        using var log = new KeyVaultTestLog();
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(time);
        services.AddLogging(logging => logging.AddProvider(log));
        using var configuration = Read(services, ("KeyVault:ReloadInterval", "00:05:00"));
        await using var provider = services.BuildServiceProvider();
        var reload = Assert.Single(provider.GetServices<IHostedService>());
        await reload.StartAsync(Cancel);

        Put("A--B", "two");
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = ((IConfiguration)configuration).GetReloadToken().RegisterChangeCallback(_ => changed.TrySetResult(), null);
        time.Advance(TimeSpan.FromMinutes(5));
        await changed.Task.WaitAsync(Cancel);
        Assert.Equal("two", configuration["A:B"]);

        _vault.AlwaysStatus = 403;
        time.Advance(TimeSpan.FromMinutes(5));
        var warning = await log.WarningAsync(Cancel);
        Assert.Contains("denied access", warning, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-text", warning, StringComparison.Ordinal);
        Assert.Equal("two", configuration["A:B"]);
        await reload.StopAsync(Cancel);
    }
}
