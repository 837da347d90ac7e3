using Azure.Core;
using Azure.Identity;
using DingFlow.Remote;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Remote;

public sealed class AzureCredentialsTests
{
    private static IConfiguration Settings(params (string Key, string Value)[] settings) => new ConfigurationBuilder()
        .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build();

    [Fact]
    public void On_a_developers_machine_the_default_chain_is_used() =>
        Assert.Equal(new CredentialChoice(false, null, false), AzureCredentials.Choose(Settings()));

    [Theory]
    [InlineData("IDENTITY_ENDPOINT", "http://localhost:1/msi/token")]
    [InlineData("MSI_ENDPOINT", "http://localhost:1/msi/token")]
    [InlineData("ServiceBusConnection:credential", "ManagedIdentity")]
    public void In_azure_the_managed_identity_is_used(string key, string value) =>
        Assert.Equal(new CredentialChoice(true, null, false), AzureCredentials.Choose(Settings((key, value))));

    [Fact]
    public void The_user_assigned_identity_comes_from_either_setting()
    {
        Assert.Equal("a", AzureCredentials.Choose(Settings(("AZURE_CLIENT_ID", "a"))).ClientId);
        Assert.Equal("b", AzureCredentials.Choose(Settings(("ServiceBusConnection:clientId", "b"))).ClientId);
        Assert.Equal("b", AzureCredentials.Choose(Settings(("AZURE_CLIENT_ID", " "), ("ServiceBusConnection:clientId", "b"))).ClientId);
    }

    [Fact]
    public void China_has_its_own_authority() => Assert.True(AzureCredentials.Choose(Settings(("Entra:Cloud", "China"))).China);

    [Fact]
    public void The_credential_is_shared_and_built_on_first_use()
    {
        var configuration = Settings(("IDENTITY_ENDPOINT", "http://localhost:1/msi/token"), ("AZURE_CLIENT_ID", "a"));
        using var services = new ServiceCollection().AddAzureCredentials(configuration).AddAzureCredentials(configuration).BuildServiceProvider();

        var credential = Assert.Single(services.GetServices<Lazy<TokenCredential>>());

        Assert.False(credential.IsValueCreated);
        Assert.IsType<ManagedIdentityCredential>(credential.Value);
        Assert.IsType<DefaultAzureCredential>(AzureCredentials.Create(Settings(("Entra:Cloud", "china"))));
    }
}
