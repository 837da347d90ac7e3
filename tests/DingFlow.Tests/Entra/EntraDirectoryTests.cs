using DingFlow.Remote;
using DingFlow.Tests.Remote;
using Newtonsoft.Json.Linq;
using static DingFlow.Tests.Entra.EntraHarness;

namespace DingFlow.Tests.Entra;

public sealed class EntraDirectoryTests
{
    private const string Select =
        "$select=id,userPrincipalName,mail,employeeId,accountEnabled,onPremisesSyncEnabled,signInSessionsValidFromDateTime,deletedDateTime,proxyAddresses";

    [Fact]
    public async Task User_Is_Read_With_What_The_Freeze_And_Its_Proof_Need()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Json(
            User(more: ""","onPremisesSyncEnabled":true,"signInSessionsValidFromDateTime":"2026-11-22T01:02:03Z","deletedDateTime":null"""),
            headers: ("request-id", "REQ-1")));

        var user = await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Ok, "REQ-1"), (user.Status, user.RequestId));
        var value = user.Value!;
        Assert.Equal((ObjectId, "e1001@x.example", "m@x.example", "E1001"), (value.Id, value.UserPrincipalName, value.Mail, value.EmployeeId));
        Assert.Equal((false, true, null), (value.AccountEnabled, value.OnPremisesSyncEnabled, value.DeletedAt));
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 1, 2, 3, TimeSpan.Zero), value.SignInSessionsValidFrom);
        Assert.Equal($"?{Select}", Uri.UnescapeDataString(harness.Remote.Received.Single().Query));
        Assert.DoesNotContain("x.example", $"{value}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_That_Does_Not_Say_Whether_Sign_In_Is_Allowed_Proves_Nothing()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Json($$"""{"id":"{{ObjectId}}"}"""));

        var user = await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "no-result"), (user.Status, user.Code));
    }

    [Fact]
    public async Task Every_Identifier_Is_Searched_And_The_Same_User_Counts_Once()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(UsersRoute, Answers.Json($$"""{"value":[{{User()}}]}"""));

        var found = await harness.Directory.FindAsync("E'1", " o'neil@x.example ", Cancel);

        Assert.Equal(ObjectId, Assert.Single(found.Value!).Id);
        Assert.Equal(
            new[]
            {
                $"?$filter=employeeId eq 'E''1'&{Select}",
                $"?$filter=mail eq 'o''neil@x.example'&{Select}",
                $"?$filter=proxyAddresses/any(p:p eq 'smtp:o''neil@x.example')&{Select}",
                $"?$filter=userPrincipalName eq 'o''neil@x.example'&{Select}",
            }.Order(StringComparer.Ordinal),
            harness.Remote.Received.Select(r => Uri.UnescapeDataString(r.Query)).Order(StringComparer.Ordinal));
        Assert.All(harness.Remote.Received, r => Assert.False(r.Headers.ContainsKey("ConsistencyLevel")));
    }

    [Fact]
    public async Task Identifiers_Of_Different_Users_Lead_To_All_Of_Them()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(
            UsersRoute, Answers.Json($$"""{"value":[{{User()}}]}"""), Answers.Json($$"""{"value":[{{User("other")}}]}"""), NoUsers, NoUsers);

        var found = await harness.Directory.FindAsync("E1001", "e1001@x.example", Cancel);

        Assert.Equal([ObjectId, "other"], found.Value!.Select(u => u.Id).Order());
    }

    [Fact]
    public async Task Nobody_Found_Is_An_Answer_And_Nothing_To_Look_For_Is_Nobody()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UsersRoute, NoUsers);

        var found = await harness.Directory.FindAsync("E1001", null, Cancel);

        Assert.True(found.IsOk);
        Assert.Empty(found.Value!);
        Assert.Empty((await harness.Directory.FindAsync(null, " ", Cancel)).Value!);
        Assert.Single(harness.Remote.Received);
    }

    [Fact]
    public async Task One_Search_That_Fails_Fails_The_Whole()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UsersRoute, NoUsers, Error(403, "Authorization_RequestDenied"), NoUsers, NoUsers);

        var found = await harness.Directory.FindAsync("E1001", "e1001@x.example", Cancel);

        Assert.Equal((RemoteStatus.Denied, "Authorization_RequestDenied", "REQ-1"), (found.Status, found.Code, found.RequestId));
        Assert.Equal(["User.Read.All"], found.MissingScopes);
    }

    [Fact]
    public async Task Further_Pages_Are_Read()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(
            UsersRoute,
            Answers.Json($$"""{"@odata.nextLink":"{{harness.Remote.Address}}v1.0/users?$skiptoken=s2","value":[{{User()}}]}"""),
            Answers.Json($$"""{"value":[{{User("other")}}]}"""));

        var found = await harness.Directory.FindAsync("E1001", null, Cancel);

        Assert.Equal([ObjectId, "other"], found.Value!.Select(u => u.Id));
        Assert.Equal("?$skiptoken=s2", harness.Remote.Received[1].Query);
    }

    [Fact]
    public async Task Deleted_Users_Are_Found_By_Employee_Id_Mail_And_Their_Former_Sign_In_Name()
    {
        await using var harness = await StartAsync();
        var deleted = new string('a', 32) + "E1001@x.example";
        harness.Remote.Always(DeletedRoute, context => context.Request.Query["$filter"].ToString().StartsWith("endsWith", StringComparison.Ordinal)
            ? Answers.Json(
                $$$"""
                {"value":[{"id":"d1","userPrincipalName":"{{{deleted}}}","deletedDateTime":"2026-11-20T00:00:00Z"},
                 {"id":"d2","userPrincipalName":"somee1001@x.example"}]}
                """)(context)
            : NoUsers(context));

        var found = await harness.Directory.FindDeletedAsync("E1001", "e1001@x.example", Cancel);

        var user = Assert.Single(found.Value!);
        Assert.Equal(("d1", new DateTimeOffset(2026, 11, 20, 0, 0, 0, TimeSpan.Zero)), (user.Id, user.DeletedAt!.Value));
        var advanced = harness.Remote.Received.Single(r => r.Headers.ContainsKey("ConsistencyLevel"));
        Assert.Equal("eventual", advanced.Headers["ConsistencyLevel"]);
        Assert.Equal(
            $"?$filter=endsWith(userPrincipalName,'e1001@x.example')&{Select}&$count=true", Uri.UnescapeDataString(advanced.Query));
        Assert.Equal(3, harness.Remote.Received.Count);
    }

    [Fact]
    public async Task Cloud_Without_The_Search_By_Ending_Still_Finds_Deleted_Users_By_The_Rest()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(DeletedRoute, context => context.Request.Headers.ContainsKey("ConsistencyLevel")
            ? Error(400, "Request_UnsupportedQuery")(context)
            : Answers.Json($$"""{"value":[{{User("d1")}}]}""")(context));

        var found = await harness.Directory.FindDeletedAsync(null, "e1001@x.example", Cancel);

        Assert.Equal("d1", Assert.Single(found.Value!).Id);
    }

    [Theory]
    [InlineData(false, """{"accountEnabled":false}""")]
    [InlineData(true, """{"accountEnabled":true}""")]
    public async Task Sign_In_Is_Forbidden_And_Allowed_By_A_Patch_Of_One_Property(bool enable, string body)
    {
        await using var harness = await StartAsync();
        harness.Remote.On(PatchRoute, Answers.Status(204, ("request-id", "REQ-1")));

        var result = enable
            ? await harness.Directory.EnableAsync(ObjectId, Cancel)
            : await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Ok, "REQ-1"), (result.Status, result.RequestId));
        var sent = JObject.Parse(harness.Remote.Received.Single().Body);
        sent.Remove("@odata.type");
        Assert.Equal(body, sent.ToString(Newtonsoft.Json.Formatting.None));
    }

    [Theory]
    [InlineData("""{"value":true}""", RemoteStatus.Ok)]
    [InlineData("""{"value":false}""", RemoteStatus.Unexpected)]
    [InlineData("{}", RemoteStatus.Unexpected)]
    public async Task Sessions_Are_Revoked_Only_When_Graph_Says_So(string body, RemoteStatus expected)
    {
        await using var harness = await StartAsync();
        harness.Remote.On(RevokeRoute, Answers.Json(body));

        Assert.Equal(expected, (await harness.Directory.RevokeSessionsAsync(ObjectId, Cancel)).Status);
    }

    [Fact]
    public async Task Unconfigured_Directory_Says_So()
    {
        using var directory = new DingFlow.Entra.EntraDirectory(
            new(), new Lazy<Azure.Core.TokenCredential>(new FixedCredential("x")), new WatchedClock(), new LogRecorder<DingFlow.Entra.EntraDirectory>());

        Assert.False(directory.IsConfigured);
        await Assert.ThrowsAsync<InvalidOperationException>(() => directory.GetUserAsync(ObjectId, Cancel));
    }
}
