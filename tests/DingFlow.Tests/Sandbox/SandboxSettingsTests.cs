using System.Globalization;
using DingFlow.Sandbox;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DingFlow.Tests.Sandbox;

public sealed class SandboxSettingsTests
{
    [Fact]
    public void With_nothing_set_the_clients_settings_lead_to_the_sandbox()
    {
        var (listener, configuration, faults) = Apply();
        using (listener)
        {
            Assert.Empty(faults);
            var tenant = configuration.GetSection("DingTalk:Tenants:sandbox");
            var port = listener!.Graph.Port;
            Assert.Equal($"http://127.0.0.1:{port}/dingtalk", tenant["BaseUrl"]);
            Assert.Equal($"http://127.0.0.1:{port}/oapi", tenant["LegacyBaseUrl"]);
            Assert.Equal($"http://127.0.0.1:{port}/graph/v1.0", configuration["Entra:BaseUrl"]);
            Assert.Equal(("sandbox", "none"), (configuration["Entra:TenantId"], configuration["Entra:Credential"]));
            Assert.All(["CorpId", "AppKey", "AppSecret", "Token", "OwnerKey"], name => Assert.False(string.IsNullOrEmpty(tenant[name])));
            Assert.Equal(32, Convert.FromBase64String(tenant["AesKey"] + "=").Length);
        }
    }

    [Theory]
    [InlineData("DingTalk:Tenants:acme:CorpId", "dingacme")]
    [InlineData("Entra:TenantId", "7d2f0000-0000-4000-8000-000000000001")]
    public void A_real_tenant_keeps_the_sandbox_away(string name, string value)
    {
        var (listener, configuration, faults) = Apply((name, value));

        Assert.Null(listener);
        Assert.Empty(faults);
        Assert.Null(configuration["Entra:Credential"]);
        var (_, _, contradiction) = Apply((name, value), ("Sandbox:Enabled", "true"));
        Assert.StartsWith("Sandbox:Enabled: must not be true", Assert.Single(contradiction), StringComparison.Ordinal);
    }

    [Fact]
    public void Under_the_Functions_host_missing_settings_are_a_fault_unless_the_sandbox_is_asked_for()
    {
        var (none, _, faults) = Apply(("FUNCTIONS_CUSTOMHANDLER_PORT", "5001"));
        var (listener, _, noFaults) = Apply(("FUNCTIONS_CUSTOMHANDLER_PORT", "5001"), ("Sandbox:Enabled", "true"));
        using (listener)
        {
            Assert.Null(none);
            Assert.StartsWith("DingTalk:Tenants: is missing", Assert.Single(faults), StringComparison.Ordinal);
            Assert.NotNull(listener);
            Assert.Empty(noFaults);
        }
    }

    [Fact]
    public void Switched_off_standalone_the_missing_tenant_is_a_fault() =>
        Assert.Single(Apply(("Sandbox:Enabled", "false")).Faults);

    [Fact]
    public void A_port_that_is_taken_or_malformed_is_a_fault()
    {
        using var taken = SandboxListener.Open();
        var port = taken.Graph.Port.ToString(CultureInfo.InvariantCulture);

        Assert.Equal("Sandbox:Port: cannot be listened on", Assert.Single(Apply(("Sandbox:Port", port)).Faults));
        Assert.StartsWith("Sandbox:Port: must be", Assert.Single(Apply(("Sandbox:Port", "many")).Faults), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_program_serves_the_sandbox_once_it_has_started()
    {
        using var data = new TemporaryDirectory();
        var (listener, configuration, _) = Apply();
        using var host = new HostBuilder()
            .ConfigureServices(services => services.AddSandbox(listener, new SandboxOptions { DataDirectory = data.Path }))
            .Build();
        using var http = new HttpClient();
        var address = $"{configuration["Entra:BaseUrl"]}/users/e1001@sandbox.example";

        await host.StartAsync(TestContext.Current.CancellationToken);
        var answer = await SandboxCaller.SendAsync(http, HttpMethod.Get, address, null);
        await host.Services.GetRequiredService<SandboxServer>().Started.WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(File.Exists(Path.Combine(data.Path, "sandbox.sock")));
        await host.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(200, answer.Status);
        await Assert.ThrowsAsync<HttpRequestException>(() => SandboxCaller.SendAsync(http, HttpMethod.Get, address, null));
        Assert.False(File.Exists(Path.Combine(data.Path, "sandbox.sock")));
    }

    [Fact]
    public void Without_a_listener_nothing_is_added()
    {
        var services = new ServiceCollection();

        services.AddSandbox(null, new SandboxOptions());

        Assert.Empty(services);
    }

    private static (SandboxListener? Listener, IConfiguration Configuration, IReadOnlyList<string> Faults) Apply(params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)));
        var faults = new SettingsFaults();
        return (SandboxSettings.Apply(configuration, faults), configuration, faults.All);
    }
}
