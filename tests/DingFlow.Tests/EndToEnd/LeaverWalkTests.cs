using System.Globalization;
using System.Net;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The way of the README: a standalone program with nothing configured, a leaver, a verified case.</summary>
public sealed class LeaverWalkTests(StandaloneProgram standalone)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leavers_webhook_freezes_the_accounts_and_a_repetition_changes_nothing()
    {
        using var walk = await standalone.WalkAsync();
        var (body, id) = (HrSender.Leaver("E1001"), HrSender.NewId());

        var first = await walk.Hr.SendAsync(body, id);
        var verified = await walk.Operations.VerifiedAsync("E1001");
        var second = await walk.Hr.SendAsync(body, id);

        Assert.Equal((202, "application/json"), (first.Status, first.MediaType));
        Assert.Equal(["deliveryId", "duplicate"], first.Json.Properties().Select(p => p.Name));
        Assert.False((bool)first.Json["duplicate"]!);
        Assert.Equal((202, true), (second.Status, (bool)second.Json["duplicate"]!));
        Assert.Equal((string?)first.Json["deliveryId"], (string?)second.Json["deliveryId"]);
        await walk.Sandbox.IsFrozenAsync("E1001");
        Assert.Equal((string?)verified["caseId"], (string?)Assert.Single(await walk.Operations.CasesOfAsync("E1001"))["caseId"]);
        Assert.Equal(MutationsOfOneFreeze, (await walk.Sandbox.PersonAsync("E1001"))["mutations"]!.ToString(Newtonsoft.Json.Formatting.None));
    }

    [Fact]
    public async Task A_case_has_the_shape_that_callers_rely_on()
    {
        using var walk = await standalone.WalkAsync();
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1002"));
        await walk.Operations.VerifiedAsync("E1002");

        var list = await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding?employeeId=E1002");

        Assert.Equal(["items", "next"], list.Json.Properties().Select(p => p.Name));
        Assert.Equal(JTokenType.Null, list.Json["next"]!.Type);
        var item = (JObject)Assert.Single(list.Json["items"]!);
        Assert.Equal(("E1002", "verified", "live"), ((string?)item["employeeId"], (string?)item["state"], (string?)item["mode"]));
        Assert.Matches("^[0-9a-f]{32}$", (string?)item["caseId"]);
        var (received, verified, due) = (Time(item, "receivedAt"), Time(item, "verifiedAt"), Time(item, "dueAt"));
        Assert.InRange(verified, received, due);
        Assert.Equal(TimeSpan.FromMinutes(15), due - received);
        var steps = item["steps"]!.Cast<JObject>().ToList();
        Assert.Equal(["dingtalk.disable", "dingtalk.signOut", "entra.disable", "entra.revokeSessions"], steps.Select(s => (string?)s["id"]));
        Assert.Equal(["dingtalk", "dingtalk", "entra", "entra"], steps.Select(s => (string?)s["target"]));
        Assert.All(steps, step =>
        {
            Assert.Equal(("done", 1, "confirmed"), ((string?)step["outcome"], (int)step["attempts"]!, (string?)step["readBack"]));
            Assert.True(Time(step, "startedAt") <= Time(step, "endedAt"));
            Assert.Equal(JTokenType.String, step["detail"]!.Type);
        });

        var single = await walk.Operator.AskAsync(HttpMethod.Get, $"/api/offboarding/{(string?)item["caseId"]}");
        Assert.Equal(200, single.Status);
        Assert.Equal(item.Properties().Select(p => p.Name), single.Json.Properties().Select(p => p.Name));
        Assert.True(JToken.DeepEquals(item["steps"], single.Json["steps"]));
        Assert.DoesNotContain("@", list.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("resignation", list.Text, StringComparison.Ordinal);

        static DateTimeOffset Time(JObject json, string name)
        {
            // RFC 3339 with an offset.
            Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", (string?)json[name]);
            return DateTimeOffset.Parse((string)json[name]!, CultureInfo.InvariantCulture);
        }
    }

    [Fact]
    public async Task A_case_is_found_by_what_must_not_stand_in_an_address()
    {
        using var walk = await standalone.WalkAsync();
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1003"));
        var caseId = (string?)(await walk.Operations.VerifiedAsync("E1003"))["caseId"];

        foreach (var search in (string[])["""{"email":"E1003@Sandbox.example"}""", """{"dingTalkUserId":"sb-1003"}""", """{"employeeId":"E1003"}"""])
        {
            var found = await walk.Operator.AskAsync(HttpMethod.Post, "/api/offboarding/search", search);

            Assert.Equal(200, found.Status);
            Assert.Equal(caseId, (string?)Assert.Single(found.Json["items"]!)["caseId"]);
        }
    }

    [Fact]
    public async Task An_ordinary_account_needs_people_and_Entra_is_frozen_all_the_same()
    {
        using var walk = await standalone.WalkAsync();

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1021"));
        var concluded = await walk.Operations.ConcludedAsync("E1021");

        Assert.Equal("needsHuman", Operations.StateOf(concluded));
        Assert.Equal("needsHuman", (string?)Operations.Step(concluded, "dingtalk.remove")["outcome"]);
        Assert.Equal("confirmed", (string?)Operations.Step(concluded, "entra.revokeSessions")["readBack"]);
        Assert.True((bool)(await walk.Sandbox.PersonAsync("E1021"))["dingTalk"]!["member"]!);
        await walk.Sandbox.EntraIsFrozenAsync("E1021");
    }

    [Fact]
    public async Task A_person_whom_nobody_knows_needs_people()
    {
        using var walk = await standalone.WalkAsync();

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E7777"));
        var concluded = await walk.Operations.ConcludedAsync("E7777");

        Assert.Equal("needsHuman", Operations.StateOf(concluded));
        Assert.NotEmpty(concluded["notes"]!);
    }

    [Fact]
    public async Task Identifiers_of_two_people_need_people_and_freeze_nobody()
    {
        using var walk = await standalone.WalkAsync();

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1004", change: data =>
        {
            data["email"] = "e1005@sandbox.example";
            data.Remove("dingTalkUserId");
        }));
        var concluded = await walk.Operations.ConcludedAsync("E1004");

        Assert.Equal("needsHuman", Operations.StateOf(concluded));
        foreach (var employeeId in (string[])["E1004", "E1005"])
        {
            Assert.Empty((await walk.Sandbox.PersonAsync(employeeId))["mutations"]!);
        }
    }

    [Fact]
    public async Task A_user_id_of_somebody_else_needs_people_and_freezes_nobody()
    {
        using var walk = await standalone.WalkAsync();

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1006", change: data => data["dingTalkUserId"] = "sb-1007"));
        var concluded = await walk.Operations.ConcludedAsync("E1006");

        Assert.Equal("needsHuman", Operations.StateOf(concluded));
        Assert.False((bool)(await walk.Sandbox.PersonAsync("E1007"))["dingTalk"]!["disabled"]!);
        Assert.Empty((await walk.Sandbox.PersonAsync("E1007"))["mutations"]!);
    }

    [Fact]
    public async Task A_leave_that_is_called_off_before_its_date_changes_nothing()
    {
        using var walk = await standalone.WalkAsync();
        var later = (TimeProvider.System.GetUtcNow() + TimeSpan.FromDays(3)).ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1009", change: data => (data["effectiveAt"], data["immediate"]) = (later, false)));
        await Eventually.IsTrueAsync(
            async () => await walk.Operations.CasesOfAsync("E1009") is [var only] && Operations.StateOf(only) == "scheduled",
            () => "a scheduled case of E1009", Cancellation);

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1009", "employee.termination_cancelled"));

        Assert.Equal("cancelled", Operations.StateOf(await walk.Operations.ConcludedAsync("E1009")));
        Assert.Empty((await walk.Sandbox.PersonAsync("E1009"))["mutations"]!);
    }

    [Fact]
    public async Task The_invocation_endpoints_and_the_switches_are_not_on_the_public_listener()
    {
        using var walk = await standalone.WalkAsync();

        foreach (var path in (string[])["/ProcessOffboarding", "/SweepInbox", "/DeliverAlert", "/api/ProcessOffboarding", "/people", "/faults", "/"])
        {
            var answer = await walk.Program.Client.AskAsync(HttpMethod.Post, path, """{"Data":{},"Metadata":{}}""");

            answer.IsProblem((int)HttpStatusCode.NotFound, "not-found");
        }
    }

    [Fact]
    public async Task Probes_need_no_key_and_show_details_only_with_one()
    {
        using var walk = await standalone.WalkAsync();

        var live = await walk.Program.Client.AskAsync(HttpMethod.Get, "/api/health");
        var alsoLive = await walk.Program.Client.AskAsync(HttpMethod.Get, "/api/health/live");
        var ready = await walk.Program.Client.AskAsync(HttpMethod.Get, "/api/health/ready");
        var detailed = await walk.Operator.AskAsync(HttpMethod.Get, "/api/health/ready");

        Assert.Equal((200, 200, 200, 200), (live.Status, alsoLive.Status, ready.Status, detailed.Status));
        Assert.True(detailed.Text.Length > ready.Text.Length, detailed.Text);
    }

    internal const string MutationsOfOneFreeze =
        """{"orgAccounts.disable":1,"orgAccounts.signOut":1,"users.revokeSignInSessions":1,"users.update":1}""";
}
