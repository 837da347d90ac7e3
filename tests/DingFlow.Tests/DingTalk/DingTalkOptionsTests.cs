using DingFlow.DingTalk;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkOptionsTests
{
    private const string AesKey = "DingFlowTestAesKey0123456789abcdefghijklmnQ";

    [Fact]
    public void Tenant_Is_Read_With_Its_Defaults()
    {
        var (options, faults) = Read(("CorpId", "ding1"), ("AppKey", "k"), ("AppSecret", "s"));

        Assert.Empty(faults);
        var tenant = options.Tenants["ACME"];
        Assert.Equal(("acme", "ding1", "k", "s", "k", 20), (tenant.Name, tenant.CorpId, tenant.AppKey, tenant.AppSecret, tenant.OwnerKey, tenant.MaxCallsPerSecond));
        Assert.Equal("https://api.dingtalk.com/", tenant.BaseUrl.AbsoluteUri);
        Assert.Equal("https://oapi.dingtalk.com/", tenant.LegacyBaseUrl.AbsoluteUri);
        Assert.Null(tenant.Token);
    }

    [Fact]
    public void Everything_Can_Be_Set()
    {
        var (options, faults) = Read(
            ("CorpId", "ding1"), ("AppKey", "k"), ("AppSecret", "s"), ("Token", "tok"), ("AesKey", AesKey), ("OwnerKey", "ding1"),
            ("BaseUrl", "https://api.dingtalk.io"), ("LegacyBaseUrl", "https://oapi.dingtalk.io"), ("DataRegion", "SG"), ("Exporter", "acme-sg"),
            ("MaxCallsPerSecond", "60"));

        Assert.Empty(faults);
        var tenant = options.Tenants["acme"];
        Assert.Equal(("tok", AesKey, "ding1", "SG", "acme-sg", 60), (tenant.Token, tenant.AesKey, tenant.OwnerKey, tenant.DataRegion, tenant.Exporter, tenant.MaxCallsPerSecond));
        Assert.Equal("oapi.dingtalk.io", tenant.LegacyBaseUrl.Host);
    }

    [Fact]
    public void Every_Fault_Is_Named()
    {
        var (_, faults) = Read(
            ("AppKey", "k"), ("AppSecret", "@Microsoft.KeyVault(x)"), ("Token", "tok"), ("BaseUrl", "https://api.dingtalk.io"), ("MaxCallsPerSecond", "0"));

        Assert.Equal(
            ["AesKey", "AppSecret", "CorpId", "LegacyBaseUrl", "MaxCallsPerSecond"],
            faults.Select(fault => fault.Split(": ")[0].Split(':')[^1]).Order());
        Assert.All(faults, fault => Assert.StartsWith("DingTalk:Tenants:acme:", fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("AesKey", "short")]
    [InlineData("AesKey", "DingFlowTestAesKey0123456789abcdefghijklmn+")]
    [InlineData("BaseUrl", "http://api.dingtalk.com")]
    [InlineData("LegacyBaseUrl", "ftp://x")]
    public void Malformed_Setting_Is_A_Fault(string name, string value)
    {
        var (_, faults) = Read(
            ("CorpId", "ding1"), ("AppKey", "k"), ("AppSecret", "s"), ("Token", "t"), ("AesKey", name == "AesKey" ? value : AesKey),
            ("BaseUrl", name == "BaseUrl" ? value : "https://a.example"), ("LegacyBaseUrl", name == "LegacyBaseUrl" ? value : "https://b.example"));

        Assert.StartsWith($"DingTalk:Tenants:acme:{name}: ", Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Name_That_Could_Not_Stand_In_An_Address_Is_A_Fault()
    {
        var (_, faults) = Read("a/b", ("CorpId", "ding1"), ("AppKey", "k"), ("AppSecret", "s"));

        Assert.Single(faults);
    }

    [Fact]
    public void Secrets_Are_Not_Shown()
    {
        var (options, _) = Read(("CorpId", "ding1"), ("AppKey", "k"), ("AppSecret", "very-secret"));

        Assert.DoesNotContain("very-secret", $"{options.Tenants["acme"]}", StringComparison.Ordinal);
    }

    private static (DingTalkOptions Options, IReadOnlyList<string> Faults) Read(params (string Name, string Value)[] settings) => Read("acme", settings);

    private static (DingTalkOptions Options, IReadOnlyList<string> Faults) Read(string tenant, params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.ToDictionary(s => $"DingTalk:Tenants:{tenant}:{s.Name}", string? (s) => s.Value)).Build();
        var faults = new SettingsFaults();
        return (DingTalkOptions.Read(configuration, faults), faults.All);
    }
}
