using DingFlow.Hosting;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Hosting;

public sealed class SettingsSourcesTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly SettingsFaults _faults = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Local_settings_are_read_as_core_tools_reads_them()
    {
        var values = Local("""
            {
              // a comment
              "IsEncrypted": false,
              "Values": { "DingFlow:Store": "sqlite", "Entra__TenantId": "t", "Transfers:Shards": 64, "Sandbox:Enabled": true, },
              "Host": { "CORS": "*" }
            }
            """);

        Assert.Empty(_faults.All);
        Assert.Equal("sqlite", values["DingFlow:Store"]);
        Assert.Equal("t", values["Entra:TenantId"]);
        Assert.Equal("64", values["Transfers:Shards"]);
        Assert.Equal("True", values["Sandbox:Enabled"]);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"Values":[]}""")]
    [InlineData("""{"IsEncrypted":true,"Values":{"A":"x"}}""")]
    [InlineData("""{"Values":{"A":{"B":"x"}}}""")]
    [InlineData("""{"Values":{"A:B":"x","A__B":"y"}}""")]
    public void Local_settings_that_cannot_be_read_are_a_fault(string json)
    {
        Local(json);

        Assert.Single(_faults.All);
    }

    [Fact]
    public void The_sample_is_valid_local_settings()
    {
        ProgramConfiguration.ReadLocalSettings(Path.Combine(Infrastructure.Repository.Root, "local.settings.sample.json"), _faults);

        Assert.Empty(_faults.All);
    }

    [Fact]
    public void Keys_are_generated_only_for_what_is_not_configured()
    {
        var keys = Keys(new()
        {
            ["Pseudonyms:LedgerKey"] = "configured",
            ["Auth:Authority"] = "https://login.example/t",
            ["HrSources:acme:Dialect"] = "standard",
        });

        Assert.Equal("Deliveries:EncryptionKey", Assert.Single(keys.Settings).Key);
        Assert.Null(keys.ApiKeyPath);
        Assert.False(File.Exists(Path.Combine(_directory.Path, "api-key")));
        Assert.False(File.Exists(Path.Combine(_directory.Path, "hr-secret")));
    }

    [Fact]
    public void Generated_keys_stay_and_fit_their_files()
    {
        var first = Keys([]);
        var second = Keys([]);

        Assert.Equal(first.Settings, second.Settings);
        var key = File.ReadAllText(Path.Combine(_directory.Path, "api-key"));
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key)));
        Assert.Equal($"sha256:{hash}", first.Settings["Auth:ApiKeys:local:Hash"]);
        Assert.Equal(File.ReadAllText(Path.Combine(_directory.Path, "hr-secret")), first.Settings["HrSources:sandbox:Secrets:0"]);
        Assert.Equal(32, Convert.FromBase64String(first.Settings["Pseudonyms:LedgerKey"]!).Length);
    }

    [Fact]
    public void A_generated_key_gives_way_to_a_configured_one_and_comes_back_after_it()
    {
        var generated = Keys([]).Settings["Pseudonyms:LedgerKey"];

        Assert.False(Keys(new() { ["Pseudonyms:LedgerKey"] = "configured" }).Settings.ContainsKey("Pseudonyms:LedgerKey"));
        Assert.Equal(generated, Keys([]).Settings["Pseudonyms:LedgerKey"]);
    }

    [Fact]
    public void Damaged_keys_are_a_fault_and_are_not_replaced()
    {
        var path = Path.Combine(_directory.Path, "keys.json");
        File.WriteAllText(path, "{");

        Assert.Null(GeneratedKeys.Prepare(_directory.Path, Configuration([]), _faults));

        Assert.StartsWith("DingFlow:DataDirectory: ", Assert.Single(_faults.All), StringComparison.Ordinal);
        Assert.Equal("{", File.ReadAllText(path));
    }

    [Theory]
    [InlineData("https://localhost:7071")]
    [InlineData("http://localhost:0")]
    [InlineData("http://localhost:7071/path")]
    [InlineData("http://unix:/tmp/x.sock")]
    [InlineData("7071")]
    public void An_address_that_cannot_be_listened_on_is_a_fault(string url)
    {
        HostingOptions.Read(Configuration(new() { ["DingFlow:Urls"] = url }), _faults);

        Assert.StartsWith("DingFlow:Urls: ", Assert.Single(_faults.All), StringComparison.Ordinal);
    }

    [Fact]
    public void The_public_address_has_its_order_of_settings_and_a_default()
    {
        static string Url(Dictionary<string, string?> settings) =>
            Assert.Single(HostingOptions.Read(Configuration(settings), new SettingsFaults()).Urls).ToString();

        Assert.Equal("http://localhost:7071", Url([]));
        Assert.Equal("http://127.0.0.1:1", Url(new() { ["ASPNETCORE_URLS"] = "http://127.0.0.1:1" }));
        Assert.Equal("http://127.0.0.1:2", Url(new() { ["ASPNETCORE_URLS"] = "http://127.0.0.1:1", ["urls"] = "http://127.0.0.1:2" }));
        Assert.Equal("http://127.0.0.1:3", Url(new() { ["urls"] = "http://127.0.0.1:2", ["DingFlow:Urls"] = "http://127.0.0.1:3" }));
    }

    [Theory]
    [InlineData("x")]
    [InlineData("0")]
    [InlineData("70000")]
    public void A_port_of_the_host_that_is_none_is_a_fault(string port)
    {
        var options = HostingOptions.Read(Configuration(new() { ["FUNCTIONS_CUSTOMHANDLER_PORT"] = port }), _faults);

        Assert.Equal(HostMode.FunctionsHost, options.Mode);
        Assert.StartsWith("FUNCTIONS_CUSTOMHANDLER_PORT: ", Assert.Single(_faults.All), StringComparison.Ordinal);
    }

    private static IConfigurationRoot Configuration(Dictionary<string, string?> settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings).Build();

    private Dictionary<string, string?> Local(string json)
    {
        var path = Path.Combine(_directory.Path, "local.settings.json");
        File.WriteAllText(path, json);
        return ProgramConfiguration.ReadLocalSettings(path, _faults);
    }

    private GeneratedKeys Keys(Dictionary<string, string?> settings)
    {
        var keys = GeneratedKeys.Prepare(_directory.Path, Configuration(settings), _faults);
        Assert.Empty(_faults.All);
        return Assert.IsType<GeneratedKeys>(keys);
    }
}
