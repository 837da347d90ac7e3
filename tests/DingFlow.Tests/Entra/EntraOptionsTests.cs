using DingFlow.Entra;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Entra;

public sealed class EntraOptionsTests
{
    [Fact]
    public void Nothing_Set_Means_No_Directory()
    {
        var (options, faults) = Read();

        Assert.Empty(faults);
        Assert.False(options.IsConfigured);
    }

    [Theory]
    [InlineData("public", "https://graph.microsoft.com/v1.0")]
    [InlineData("china", "https://microsoftgraph.chinacloudapi.cn/v1.0")]
    public void Cloud_Decides_The_Address(string cloud, string address)
    {
        var (options, faults) = Read(("TenantId", "t"), ("Cloud", cloud));

        Assert.Empty(faults);
        Assert.True(options.IsConfigured);
        Assert.Equal(EntraCredential.Default, options.Credential);
        Assert.Equal(address, options.BaseUrl.AbsoluteUri);
    }

    [Fact]
    public void Loopback_Needs_No_Credential()
    {
        var (options, faults) = Read(("BaseUrl", "http://127.0.0.1:5000/v1.0"), ("Credential", "none"));

        Assert.Empty(faults);
        Assert.True(options.IsConfigured);
    }

    [Theory]
    [InlineData("Credential", "Credential=none", "TenantId=t")]
    [InlineData("Credential", "Credential=none", "TenantId=t", "BaseUrl=https://graph.example")]
    [InlineData("Credential", "Credential=password", "TenantId=t")]
    [InlineData("ClientSecret", "Credential=clientSecret", "TenantId=t", "ClientId=c")]
    [InlineData("TenantId", "Credential=clientSecret", "ClientId=c", "ClientSecret=s")]
    [InlineData("TenantId", "BaseUrl=https://graph.example")]
    [InlineData("BaseUrl", "TenantId=t", "BaseUrl=http://graph.example")]
    [InlineData("Cloud", "TenantId=t", "Cloud=mars")]
    public void Fault_Is_Named(string setting, params string[] settings)
    {
        var (_, faults) = Read([.. settings.Select(s => (s.Split('=')[0], s.Split('=')[1]))]);

        Assert.StartsWith($"Entra:{setting}: ", Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Secret_Is_Not_Shown()
    {
        var (options, _) = Read(("TenantId", "t"), ("Credential", "clientSecret"), ("ClientId", "c"), ("ClientSecret", "very-secret"));

        Assert.DoesNotContain("very-secret", $"{options}", StringComparison.Ordinal);
    }

    private static (EntraOptions Options, IReadOnlyList<string> Faults) Read(params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.ToDictionary(s => $"Entra:{s.Name}", string? (s) => s.Value)).Build();
        var faults = new SettingsFaults();
        return (EntraOptions.Read(configuration, faults), faults.All);
    }
}
