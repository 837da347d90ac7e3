using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Storage;

public sealed class TablesOptionsTests
{
    private static IReadOnlyList<string> Faults(params (string Key, string Value)[] settings)
    {
        var faults = new SettingsFaults();
        TablesOptions.Read(
            new ConfigurationBuilder().AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value))).Build(), faults);
        return faults.All;
    }

    [Fact]
    public void Either_an_address_or_a_connection_string_is_enough()
    {
        Assert.Empty(Faults(("Storage:TableServiceUri", "https://account.table.core.windows.net")));
        Assert.Empty(Faults(("Storage:ConnectionString", "UseDevelopmentStorage=true")));
        Assert.Empty(Faults(("Storage:ConnectionString", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net")));
    }

    [Theory]
    [InlineData("https://account.table.core.windows.net")]
    [InlineData("AccountName=a")]
    [InlineData("AccountName=a;AccountKey=not base64!")]
    public void Something_else_in_place_of_a_connection_string_is_a_fault_that_does_not_repeat_it(string text) => Assert.Equal(
        ["Storage:ConnectionString: must be a connection string of a storage account, or UseDevelopmentStorage=true"],
        Faults(("Storage:ConnectionString", text)));

    [Fact]
    public void Neither_both_and_a_token_over_http_are_faults()
    {
        Assert.Equal(["Storage:TableServiceUri: is missing (or give Storage:ConnectionString)"], Faults());
        Assert.Equal(
            ["Storage:ConnectionString: must not be set together with Storage:TableServiceUri"],
            Faults(("Storage:TableServiceUri", "https://a.table.core.windows.net"), ("Storage:ConnectionString", "UseDevelopmentStorage=true")));
        Assert.Equal(
            ["Storage:TableServiceUri: must be https, because a token goes there; for an emulator give Storage:ConnectionString"],
            Faults(("Storage:TableServiceUri", "http://127.0.0.1:10002/devstoreaccount1")));
        Assert.StartsWith("Storage:TableServiceUri: must be an absolute https address", Assert.Single(Faults(("Storage:TableServiceUri", "account"))), StringComparison.Ordinal);
    }
}
