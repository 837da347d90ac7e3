using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Remote;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Remote;

/// <summary>The clients, as the program puts them together, against the simulated systems.</summary>
public sealed class SandboxEndToEndTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Account_Is_Found_Frozen_And_Read_Back_In_Both_Systems()
    {
        using var data = new DataDirectory();
        using var database = new SqliteDatabase(data.Path);
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancel);
        await using var services = Services(sandbox, database);
        var (directory, client) = (services.GetRequiredService<DingTalkDirectory>(), services.GetRequiredService<DingTalkClients>()["sandbox"]);
        var entra = services.GetRequiredService<EntraDirectory>();

        var entry = Assert.Single((await directory.FindAsync("sandbox", "E1002", "e1002@sandbox.example", Cancel)).Value!);
        var person = (await client.GetUserAsync(entry.UserId, Cancel)).Value!;
        Assert.Equal(("sb-1002", true), (person.UserId, person.IsEnterpriseAccount));
        Assert.Equal((true, false), await DisabledAsync());
        Assert.True((await client.DisableAccountAsync("sb-1002", "case 1", Cancel)).IsOk);
        Assert.True((await client.SignOutAsync("sb-1002", "case 1", Cancel)).IsOk);
        Assert.Equal((true, true), await DisabledAsync());
        Assert.Equal(RemoteStatus.NotApplicable, (await client.DisableAccountAsync("sb-1021", "case 1", Cancel)).Status);
        Assert.Equal(RemoteStatus.NotFound, (await client.GetUserAsync("sb-9999", Cancel)).Status);

        var user = Assert.Single((await entra.FindAsync("E1002", "e1002@sandbox.example", Cancel)).Value!);
        Assert.True(user.AccountEnabled);
        Assert.True((await entra.DisableAsync(user.Id, Cancel)).IsOk);
        Assert.True((await entra.RevokeSessionsAsync(user.Id, Cancel)).IsOk);
        var after = (await entra.GetUserAsync(user.Id, Cancel)).Value!;
        Assert.False(after.AccountEnabled);
        Assert.NotNull(after.SignInSessionsValidFrom);
        Assert.Equal(RemoteStatus.NotFound, (await entra.GetUserAsync(Guid.Empty.ToString(), Cancel)).Status);
        Assert.Empty((await entra.FindDeletedAsync("E1002", "e1002@sandbox.example", Cancel)).Value!);

        async Task<(bool, bool)> DisabledAsync()
        {
            var status = await client.IsAccountDisabledAsync("sb-1002", Cancel);
            return (status.IsOk, status.Value);
        }
    }

    [Fact]
    public async Task Person_Who_Was_Removed_Is_Proved_By_The_Leave_Record_And_The_Map()
    {
        using var data = new DataDirectory();
        using var database = new SqliteDatabase(data.Path);
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancel);
        await using var services = Services(sandbox, database);
        var (directory, client) = (services.GetRequiredService<DingTalkDirectory>(), services.GetRequiredService<DingTalkClients>()["sandbox"]);
        Assert.True((await directory.RefreshAsync("sandbox", Cancel)).Value >= 25);

        Assert.True((await client.RemoveUserAsync("sb-1022", Cancel)).IsOk);

        Assert.Equal(RemoteStatus.NotFound, (await client.GetUserAsync("sb-1022", Cancel)).Status);
        var now = TimeProvider.System.GetUtcNow();
        var record = await client.FindLeaveRecordAsync("sb-1022", now.AddDays(-1), now.AddMinutes(1), Cancel);
        Assert.Equal(("sb-1022", "oapi"), (record.Value!.UserId, record.Value.Reason));
        Assert.InRange(record.Value.LeftAt!.Value, now.AddMinutes(-5), now.AddMinutes(1));
        Assert.NotNull(await directory.GetKnownAsync("sandbox", "sb-1022", Cancel));
    }

    private static ServiceProvider Services(SandboxServer sandbox, SqliteDatabase database)
    {
        const string Tenant = "DingTalk:Tenants:sandbox:";
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            [Tenant + "CorpId"] = SandboxOptions.CorpId,
            [Tenant + "AppKey"] = SandboxOptions.AppKey,
            [Tenant + "AppSecret"] = SandboxOptions.AppSecret,
            [Tenant + "BaseUrl"] = sandbox.DingTalk.ToString(),
            [Tenant + "LegacyBaseUrl"] = sandbox.DingTalkLegacy.ToString(),
            ["Entra:TenantId"] = "sandbox",
            ["Entra:BaseUrl"] = sandbox.Graph.ToString(),
            ["Entra:Credential"] = "none",
        }).Build();
        var faults = new SettingsFaults();
        var services = new ServiceCollection().AddLogging().AddSingleton(TimeProvider.System)
            .AddSingleton<IEntityStore>(new SqliteEntityStore(database, TimeProvider.System))
            .AddDingTalk(configuration, faults).AddEntra(configuration, faults);
        faults.ThrowIfAny();
        return services.BuildServiceProvider();
    }
}
