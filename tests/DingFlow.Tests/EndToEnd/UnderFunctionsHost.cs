using System.Security.Cryptography;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Starts the program as a custom handler: Table Storage by Azurite, Service Bus and the host by a stand-in.</summary>
public abstract class UnderFunctionsHost(AzuriteFixture azurite)
{
    private protected const string ApiKey = "operator-key-under-the-host-0123456789";

    private static readonly string Secret = HrSender.NewSecret();

    // Every program of these tests shares the tables, and with them the keys.
    private protected static readonly string Key = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    private protected static HrSender Hr(DingFlowProcess program) => new(program.Client, "acme", Secret);

    private protected async Task<DingFlowProcess> StartAsync(
        SandboxServer sandbox, FunctionsHostStandIn host, params (string Name, string Value)[] more)
    {
        var settings = await SettingsAsync(sandbox, host);
        foreach (var (name, value) in more)
        {
            settings[name] = value;
        }

        var program = await DingFlowProcess.StartUnderHostAsync(settings);
        Assert.True(await program.AnswersAsync());
        host.DeliverTo(program);
        return program;
    }

    private protected async Task<Dictionary<string, string>> SettingsAsync(SandboxServer sandbox, FunctionsHostStandIn host)
    {
        var settings = OutsideSandbox.Settings(sandbox);
        foreach (var (name, value) in host.Environment)
        {
            settings[name] = value;
        }

        settings["Storage__ConnectionString"] = await azurite.ConnectionStringAsync(TestContext.Current.CancellationToken);
        settings["Auth__ApiKeys__ops__Hash"] = ConfiguredProgram.HashOf(ApiKey);
        settings["Auth__ApiKeys__ops__Roles"] = "operations.read,operations.write";
        settings["Deliveries__EncryptionKey"] = Key;
        settings["Pseudonyms__LedgerKey"] = Key;
        settings["HrSources__acme__Dialect"] = "standard";
        settings["HrSources__acme__Secrets__0"] = Secret;
        return settings;
    }
}
