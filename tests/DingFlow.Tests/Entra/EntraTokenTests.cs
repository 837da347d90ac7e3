using DingFlow.Entra;
using DingFlow.Remote;
using DingFlow.Tests.Remote;
using static DingFlow.Tests.Entra.EntraHarness;

namespace DingFlow.Tests.Entra;

public sealed class EntraTokenTests
{
    private const string Token = "graph-token-31337";

    [Fact]
    public async Task Token_For_The_Cloud_Goes_To_The_Configured_Host()
    {
        var credential = new FixedCredential(Token);
        await using var harness = await StartAsync(credential);
        harness.Remote.On(UserRoute, Answers.Json(User()));

        Assert.True((await harness.Directory.GetUserAsync(ObjectId, Cancel)).IsOk);

        Assert.Equal($"Bearer {Token}", harness.Remote.Received.Single().Headers.Authorization);
        Assert.Equal(["https://graph.microsoft.com/.default"], credential.Scopes);
    }

    [Fact]
    public async Task Token_For_China_Is_Of_Its_Own_Audience()
    {
        var credential = new FixedCredential(Token);
        await using var remote = await RemoteStandIn.StartAsync();
        remote.On(UserRoute, Answers.Json(User()));
        var options = new EntraOptions { TenantId = "t", Cloud = EntraCloud.China, BaseUrl = new(remote.Address, "v1.0") };
        using var directory = new EntraDirectory(options, new(credential), new WatchedClock(), new LogRecorder<EntraDirectory>());

        Assert.True((await directory.GetUserAsync(ObjectId, Cancel)).IsOk);

        Assert.Equal(["https://microsoftgraph.chinacloudapi.cn/.default"], credential.Scopes);
    }

    [Theory]
    [InlineData("eyJyb2xlcyI6WyJVc2VyLlJlYWQuQWxsIiwiRGV2aWNlLlJlYWRXcml0ZS5BbGwiXX0", "User.Read.All,Device.ReadWrite.All")]
    [InlineData("e30", "")]
    [InlineData("bm90IGpzb24", null)]
    public async Task What_The_Directory_Granted_Is_Read_From_The_Token_As_Far_As_It_Says(string payload, string? expected)
    {
        await using var harness = await StartAsync(new FixedCredential($"eyJhbGciOiJub25lIn0.{payload}.c2ln"));
        await using var opaque = await StartAsync(new FixedCredential(Token));

        var granted = await harness.Directory.GrantedPermissionsAsync(Cancel);

        Assert.True(granted.IsOk);
        Assert.Equal(expected, granted.Value is null ? null : string.Join(',', granted.Value));
        Assert.Null((await opaque.Directory.GrantedPermissionsAsync(Cancel)).Value);
        Assert.Empty(harness.Remote.Received);
    }

    [Fact]
    public async Task A_List_Of_Holdings_Follows_Its_Pages_To_Graph_Only()
    {
        const string Route = "GET /v1.0/users/" + ObjectId + "/memberOf/microsoft.graph.group";
        await using var harness = await StartAsync();
        await using var elsewhere = await RemoteStandIn.StartAsync();
        harness.Remote.On(
            Route,
            Answers.Json($$"""{"value":[{"id":"g1","displayName":"One"}],"@odata.nextLink":"{{harness.Remote.Address}}v1.0/users/{{ObjectId}}/memberOf/microsoft.graph.group?$skiptoken=2"}"""),
            Answers.Json("""{"value":[{"id":"g2","displayName":"Two","groupTypes":["Unified"],"mailEnabled":true},{"id":"g3","groupTypes":["DynamicMembership"]}]}"""),
            Answers.Json($$"""{"value":[],"@odata.nextLink":"{{elsewhere.Address}}v1.0/steal"}"""));

        var groups = await harness.Directory.ListGroupsAsync(ObjectId, Cancel);
        var led = await harness.Directory.ListGroupsAsync(ObjectId, Cancel);

        Assert.Equal(["g1", "g2", "g3"], groups.Value!.Select(g => g.Id));
        Assert.Equal([null, null, "the members follow a rule of the directory"], groups.Value!.Select(g => g.NotOurs));
        Assert.Equal(RemoteStatus.Unexpected, led.Status);
        Assert.Empty(elsewhere.Received);
    }

    [Fact]
    public async Task No_Token_Is_Sent_Without_A_Credential()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Json(User()));

        await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.False(harness.Remote.Received.Single().Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Redirect_Is_Not_Followed_And_Takes_No_Token_With_It()
    {
        await using var harness = await StartAsync(new FixedCredential(Token));
        await using var elsewhere = await RemoteStandIn.StartAsync();
        harness.Remote.On(UserRoute, Answers.Status(302, ("Location", $"{elsewhere.Address}steal")));
        harness.Remote.On(PatchRoute, Answers.Status(307, ("Location", $"{elsewhere.Address}steal")));

        var read = await harness.Directory.GetUserAsync(ObjectId, Cancel);
        var change = await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "redirect"), (read.Status, read.Code));
        Assert.Equal((RemoteStatus.Unexpected, "redirect"), (change.Status, change.Code));
        Assert.Empty(elsewhere.Received);
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task Next_Page_Elsewhere_Is_Not_Fetched(string host)
    {
        await using var harness = await StartAsync(new FixedCredential(Token));
        await using var elsewhere = await RemoteStandIn.StartAsync();
        harness.Remote.On(UsersRoute, Answers.Json(
            $$"""{"@odata.nextLink":"http://{{host}}:{{elsewhere.Address.Port}}/v1.0/users?$skiptoken=s2","value":[{{User()}}]}"""));

        var found = await harness.Directory.FindAsync("E1001", null, Cancel);

        Assert.Equal(RemoteStatus.Unexpected, found.Status);
        Assert.Empty(elsewhere.Received);
    }
}
