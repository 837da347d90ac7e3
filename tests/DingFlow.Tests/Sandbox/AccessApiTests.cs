namespace DingFlow.Tests.Sandbox;

/// <summary>The calls about what people may do refuse what the real systems refuse.</summary>
public sealed class AccessApiTests : IAsyncLifetime
{
    private const string UserId = "5a4d0000-0000-4000-8000-000000001002";
    private SandboxCaller _caller = null!;

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync();

    public ValueTask DisposeAsync() => _caller.DisposeAsync();

    [Fact]
    public async Task Members_of_dynamic_on_premises_and_exchange_groups_cannot_be_changed()
    {
        _caller.Server.Directory.Change("E1002", p => p with { Entra = p.Entra! with { Groups = ["All staff", "Branch file share", "Newsletter", "VPN"] } });
        var groups = (await _caller.GraphAsync(HttpMethod.Get, $"users/{UserId}/memberOf/microsoft.graph.group")).Body!["value"]!.ToDictionary(g => (string)g["displayName"]!, g => (string)g["id"]!);

        foreach (var (name, status) in ((string, int)[])[("All staff", 400), ("Branch file share", 400), ("Newsletter", 400), ("VPN", 204)])
        {
            Assert.Equal((name, status), (name, (await _caller.GraphAsync(HttpMethod.Delete, $"groups/{groups[name]}/members/{UserId}/$ref")).Status));
        }

        Assert.Equal(404, (await _caller.GraphAsync(HttpMethod.Delete, $"groups/{groups["VPN"]}/members/{UserId}/$ref")).Status);
        var body = $$"""{"@odata.id":"{{_caller.Server.Graph}}/directoryObjects/{{UserId}}"}""";
        Assert.Equal(204, (await _caller.GraphAsync(HttpMethod.Post, $"groups/{groups["VPN"]}/members/$ref", body)).Status);
        Assert.Equal("Request_BadRequest", (await _caller.GraphAsync(HttpMethod.Post, $"groups/{groups["VPN"]}/members/$ref", body))["error.code"]);
    }

    [Fact]
    public async Task The_last_owner_of_a_group_cannot_be_removed_and_an_unknown_licence_neither()
    {
        _caller.Server.Directory.Change("E1002", p => p with { Entra = p.Entra! with { Owns = ["group/X"], Licenses = [new("A", Group: "All staff")] } });
        var group = (string)(await _caller.GraphAsync(HttpMethod.Get, $"users/{UserId}/ownedObjects")).Body!["value"]![0]!["id"]!;
        var sku = (string)(await _caller.GraphAsync(HttpMethod.Get, $"users/{UserId}?$select=id,licenseAssignmentStates")).Body!["licenseAssignmentStates"]![0]!["skuId"]!;

        Assert.Equal(400, (await _caller.GraphAsync(HttpMethod.Delete, $"groups/{group}/owners/{UserId}/$ref")).Status);
        Assert.Equal(400, (await _caller.GraphAsync(HttpMethod.Post, $"users/{UserId}/assignLicense", $$"""{"addLicenses":[],"removeLicenses":["{{sku}}"]}""")).Status);
        Assert.Equal(400, (await _caller.GraphAsync(HttpMethod.Post, $"users/{UserId}/assignLicense", "{}")).Status);
    }

    [Fact]
    public async Task A_trusted_device_is_removed_once_and_kick_off_ends_the_sessions()
    {
        _caller.Server.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { TrustedDevices = [new(7, "Mac")] } });
        const string Body = """{"userId":"sb-1002","id":7,"kickOff":true}""";

        Assert.Equal("""{"success":true}""", (await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/exclusive/trustedDevices/remove", Body)).Text);
        Assert.Equal("param.format.error", (await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/exclusive/trustedDevices/remove", Body))["code"]);
        Assert.Equal("user.not.exist", (await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/exclusive/trustedDevices/remove", """{"userId":"nobody","id":7}"""))["code"]);
        Assert.Equal(0, _caller.Server.Directory["E1002"].DingTalk!.Sessions);
    }

    [Fact]
    public async Task An_approval_is_redirected_by_who_has_it_and_by_nobody_else()
    {
        _caller.Server.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { Approvals = [new("PROC", "i1", 5)] } });

        Assert.Equal("invalidParameter", (await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/workflow/tasks/redirect", """{"taskId":5,"toUserId":"sb-1003","operateUserId":"sb-1004"}"""))["code"]);
        Assert.Equal("True", (await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/workflow/tasks/redirect", """{"taskId":5,"toUserId":"sb-1003","operateUserId":"sb-1002"}"""))["result"]);
        Assert.Equal("sb-1003", (await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/workflow/processInstances?processInstanceId=i1"))["result.tasks[0].userId"]);
        Assert.Equal("33011", (await _caller.LegacyAsync("topapi/role/addrolesforemps", """{"roleIds":"999","userIds":"sb-1002"}"""))["errcode"]);
    }
}
