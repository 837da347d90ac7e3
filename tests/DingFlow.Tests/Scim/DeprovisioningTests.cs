using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Storage;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Scim;

/// <summary>What a change of <c>active</c> becomes, and that it becomes it once, whatever happens.</summary>
public sealed class DeprovisioningTests
{
    private const string Address = "e1001@sandbox.example";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Deactivation_is_one_immediate_termination_of_the_person()
    {
        await using var program = await ScimProgram.StartAsync();
        var user = ScimProgram.User(Address, "E1001");
        user["urn:ietf:params:scim:schemas:extension:dingflow:2.0:User"] = new JObject { ["dingTalkUserId"] = "sb-1001" };
        var id = await program.CreateAsync(user);
        program.Time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(200, (await program.SetActiveAsync(id, false)).Status);

        var delivery = Assert.Single(await program.DeliveriesAsync());
        Assert.Equal("hr/acme", delivery.Source);
        var leaver = Assert.Single(delivery.Events);
        Assert.Equal(PersonEventKind.Terminated, leaver.Kind);
        Assert.Equal(("E1001", Address, "sb-1001"), (leaver.EmployeeId, leaver.Email, leaver.DingTalkUserId));
        Assert.True(leaver.Immediate);
        Assert.Equal(program.Time.GetUtcNow(), leaver.OccurredAt);
        Assert.False(leaver.DryRun);
    }

    [Fact]
    public async Task A_repetition_gives_nothing_new_and_disable_enable_disable_gives_three()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));

        foreach (var active in (bool[])[false, false, true, true, false, false])
        {
            Assert.Equal(200, (await program.SetActiveAsync(id, active)).Status);
            program.Time.Advance(TimeSpan.FromSeconds(1));
        }

        var deliveries = await program.DeliveriesAsync();
        Assert.Equal(["Terminated", "Rehired", "Terminated"], deliveries.Select(d => d.Events.Single().Kind.ToString()));
        Assert.Equal(3, deliveries.Select(d => d.DeliveryId).Distinct().Count());
        Assert.Single(program.Queue.Offboarding.Select(message => message.SessionId).Distinct());
    }

    [Fact]
    public async Task Deletion_of_somebody_active_is_a_termination_and_of_somebody_inactive_nothing_more()
    {
        await using var program = await ScimProgram.StartAsync();
        var active = await program.CreateAsync(ScimProgram.User("e1001@sandbox.example"));
        var inactive = await program.CreateAsync(ScimProgram.User("e1002@sandbox.example"));
        await program.SetActiveAsync(inactive, false);

        Assert.Equal(204, (await program.AskAsync("DELETE", $"/Users/{active}")).Status);
        Assert.Equal(204, (await program.AskAsync("DELETE", $"/Users/{inactive}")).Status);

        Assert.Equal(["e1002@sandbox.example", "e1001@sandbox.example"], (await program.EventsAsync()).Select(e => e.Email));
        Assert.Empty((await program.AskAsync("GET", "/Users")).Json.IsScimList(0));
    }

    [Fact]
    public async Task Somebody_created_again_after_deletion_came_back()
    {
        await using var program = await ScimProgram.StartAsync();
        var first = await program.CreateAsync(ScimProgram.User(Address));
        await program.AskAsync("DELETE", $"/Users/{first}");

        var second = await program.CreateAsync(ScimProgram.User(Address.ToUpperInvariant()));
        await program.AskAsync("DELETE", $"/Users/{second}");
        await program.CreateAsync(ScimProgram.User(Address));

        Assert.NotEqual(first, second);
        Assert.Equal(
            ["Terminated", "Rehired", "Terminated", "Rehired"], (await program.EventsAsync()).Select(e => e.Kind.ToString()));
    }

    [Fact]
    public async Task Somebody_created_inactive_is_no_leaver_and_comes_back_when_activated_after_a_deletion()
    {
        await using var program = await ScimProgram.StartAsync();
        var newcomer = await program.CreateAsync(ScimProgram.User("e1002@sandbox.example", active: false));
        await program.AskAsync("DELETE", $"/Users/{newcomer}");
        await program.CreateAsync(ScimProgram.User("e1002@sandbox.example"));
        Assert.Empty(await program.EventsAsync());

        var first = await program.CreateAsync(ScimProgram.User(Address));
        await program.AskAsync("DELETE", $"/Users/{first}");
        var second = await program.CreateAsync(ScimProgram.User(Address, active: false));
        Assert.Single(await program.EventsAsync());
        await program.SetActiveAsync(second, true);

        Assert.Equal(["Terminated", "Rehired"], (await program.EventsAsync()).Select(e => e.Kind.ToString()));
    }

    [Fact]
    public async Task Somebody_who_was_never_provisioned_is_not_found()
    {
        await using var program = await ScimProgram.StartAsync();
        var elsewhere = await program.CreateAsync(ScimProgram.User(Address));
        program.Base = "/api/scim/v2/other";

        (await program.SetActiveAsync(elsewhere, false)).IsScimError(404);
        (await program.AskAsync("DELETE", $"/Users/{elsewhere}")).IsScimError(404);
        (await program.AskAsync("PUT", $"/Users/{elsewhere}", ScimProgram.User(Address).ToString())).IsScimError(404);
        (await program.SetActiveAsync("nobody", false)).IsScimError(404);

        Assert.Empty(await program.EventsAsync());
    }

    [Fact]
    public async Task A_put_that_does_not_say_active_leaves_it()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));
        var user = ScimProgram.User(Address);
        user.Remove("active");
        user.Remove("displayName");

        var replaced = await program.AskAsync("PUT", $"/Users/{id}", user.ToString());

        Assert.Equal((200, true), (replaced.Status, (bool)replaced.Json["active"]!));
        Assert.Null(replaced.Json["displayName"]);
        Assert.Empty(await program.EventsAsync());
    }

    [Fact]
    public async Task The_person_is_who_was_known_before_the_request_that_disables()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));

        // Deleted people get a new name in the same breath.
        await program.PatchAsync(
            id, """{"op":"Replace","path":"userName","value":"b7c6f1e1e1001@sandbox.example"}""",
            """{"op":"Replace","path":"emails","value":[]}""", """{"op":"Replace","path":"active","value":"False"}""",
            """{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"E1001"}""");

        var leaver = Assert.Single(await program.EventsAsync());
        Assert.Equal((Address, "E1001"), (leaver.Email, leaver.EmployeeId));
    }

    [Theory]
    [InlineData("employeeNumber", "E1001", "00u1", "E1001")]
    [InlineData("employeeNumber", null, "00u1", null)]
    [InlineData("externalId", "E1001", "00u1", "00u1")]
    [InlineData("externalId", "E1001", "not an id", null)]
    [InlineData("none", "E1001", "00u1", null)]
    public async Task The_hr_number_comes_from_the_attribute_that_the_settings_name(string setting, string? number, string externalId, string? expected)
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:EmployeeId", setting));
        var user = ScimProgram.User(Address, number);
        user["externalId"] = externalId;
        var id = await program.CreateAsync(user);

        await program.SetActiveAsync(id, false);

        Assert.Equal(expected, Assert.Single(await program.EventsAsync()).EmployeeId);
    }

    [Fact]
    public async Task A_leaver_of_whom_nothing_usable_is_known_goes_by_the_providers_id()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(new JObject { ["userName"] = "wei chan" });

        await program.SetActiveAsync(id, false);

        var leaver = Assert.Single(await program.EventsAsync());
        Assert.Equal(($"scim:{id}", null, null), (leaver.EmployeeId, leaver.Email, leaver.DingTalkUserId));
        Assert.True(PersonFields.IsEmployeeId(leaver.EmployeeId));
    }

    [Fact]
    public async Task The_confinement_of_the_source_goes_with_the_event()
    {
        await using var program = await ScimProgram.StartAsync(
            ("HrSources:acme:DryRun", "true"), ("HrSources:acme:Tenants", "hk"), ("HrSources:acme:EmailDomains", "sandbox.example"));
        var id = await program.CreateAsync(ScimProgram.User(Address));

        await program.SetActiveAsync(id, false);

        var leaver = Assert.Single(await program.EventsAsync());
        Assert.True(leaver.DryRun);
        Assert.Equal(["hk"], leaver.Tenants);
        Assert.Equal(["sandbox.example"], leaver.EmailDomains);
    }

    [Fact]
    public async Task Nobody_outside_the_sources_mail_domains_is_provisioned_or_deprovisioned()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:EmailDomains", "sandbox.example"));
        var id = await program.CreateAsync(ScimProgram.User(Address));

        (await program.AskAsync("POST", "/Users", ScimProgram.User("boss@elsewhere.example", "E9").ToString())).IsScimError(403);
        (await program.AskAsync("POST", "/Users", """{"userName":"boss"}""")).IsScimError(403);
        (await program.PatchAsync(id, """{"op":"replace","path":"emails[type eq \"work\"].value","value":"boss@elsewhere.example"}""")).IsScimError(403);
        Assert.Empty(await program.EventsAsync());
        Assert.Equal("intake.outside_confines", Assert.Single(program.Alerts.DistinctBy(alert => alert.AlertId)).Type);

        // Who is disabled may get any address with it.
        Assert.Equal(200, (await program.PatchAsync(
            id, """{"op":"replace","path":"emails[type eq \"work\"].value","value":"gone@elsewhere.example"}""",
            """{"op":"replace","path":"active","value":false}""")).Status);
        Assert.Equal(Address, Assert.Single(await program.EventsAsync()).Email);
    }

    [Fact]
    public async Task A_paused_source_keeps_its_leavers_until_it_goes_on()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:Paused", "true"));
        var id = await program.CreateAsync(ScimProgram.User(Address));

        Assert.Equal(200, (await program.SetActiveAsync(id, false)).Status);

        Assert.Empty(program.Queue.Offboarding);
        var pending = 0;
        foreach (var partition in "0123456789abcdef")
        {
            var rows = await program.Store.QueryAsync("Inbox", partition.ToString(), RowKeyRange.StartingWith("p|"), 100, null, Cancellation);
            pending += rows.Entities.Count;
        }

        Assert.Equal(1, pending);
    }

    [Fact]
    public async Task A_store_that_is_down_is_our_trouble_and_nothing_is_said_to_have_happened()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));
        program.Store.DieAfter(0, loseAnswer: false);

        var answer = await program.SetActiveAsync(id, false);

        answer.IsScimError(503);
        Assert.NotEmpty(answer.Headers["Retry-After"]);
        program.Store.Heal();
        Assert.Empty(await program.EventsAsync());
        Assert.True((bool)(await program.GetAsync(id))["active"]!);
    }

    [Theory]
    [InlineData("PATCH", false)]
    [InlineData("PATCH", true)]
    [InlineData("PUT", false)]
    [InlineData("PUT", true)]
    [InlineData("DELETE", false)]
    [InlineData("DELETE", true)]
    public async Task Wherever_the_process_dies_a_repeated_request_reports_the_leaver_once(string method, bool loseAnswer)
    {
        var died = 0;
        for (var operations = 0; ; operations++)
        {
            await using var program = await ScimProgram.StartAsync();
            var id = await program.CreateAsync(ScimProgram.User(Address));
            program.Store.DieAfter(operations, loseAnswer);
            var first = await SendAsync(program, method, id);
            program.Store.Heal();
            if (first.Status == 503)
            {
                died++;
                var again = await SendAsync(program, method, id);
                Assert.True(again.Status is 200 or 204 || (method == "DELETE" && again.Status == 404), $"{operations}: {again.Text}");
            }

            await program.SweepAsync();
            var leaver = Assert.Single(await program.EventsAsync());
            Assert.Equal((PersonEventKind.Terminated, Address), (leaver.Kind, leaver.Email));
            Assert.Empty(program.Alerts);
            if (method == "DELETE")
            {
                (await program.AskAsync("GET", $"/Users/{id}")).IsScimError(404);
            }
            else
            {
                Assert.False((bool)(await program.GetAsync(id))["active"]!);
            }

            if (first.Status != 503)
            {
                break;
            }
        }

        Assert.True(died >= 4, $"only {died} points of death");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_deactivation_that_died_half_way_is_finished_before_a_reactivation(bool loseAnswer)
    {
        for (var operations = 0; ; operations++)
        {
            await using var program = await ScimProgram.StartAsync();
            var id = await program.CreateAsync(ScimProgram.User(Address));
            program.Store.DieAfter(operations, loseAnswer);
            var first = await program.SetActiveAsync(id, false);
            program.Store.Heal();

            // The provider gives up and says something else: either nothing had begun, or both are told, in this order.
            program.Time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(200, (await program.SetActiveAsync(id, true)).Status);
            await program.SweepAsync();
            var kinds = (await program.EventsAsync()).Select(e => e.Kind.ToString()).ToList();
            Assert.True(kinds is [] or ["Terminated", "Rehired"], $"{operations}: {string.Join(',', kinds)}");
            Assert.Equal(200, (await program.SetActiveAsync(id, false)).Status);
            Assert.Equal(kinds.Append("Terminated"), (await program.EventsAsync()).Select(e => e.Kind.ToString()));
            if (first.Status == 200)
            {
                Assert.Equal(2, kinds.Count);
                break;
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_a_repeated_creation_reports_the_return_once(bool loseAnswer)
    {
        for (var operations = 0; ; operations++)
        {
            await using var program = await ScimProgram.StartAsync();
            var before = await program.CreateAsync(ScimProgram.User(Address));
            await program.AskAsync("DELETE", $"/Users/{before}");
            var body = ScimProgram.User(Address).ToString();
            program.Store.DieAfter(operations, loseAnswer);
            var first = await program.AskAsync("POST", "/Users", body);
            program.Store.Heal();
            if (first.Status == 503)
            {
                var again = await program.AskAsync("POST", "/Users", body);
                Assert.True(again.Status is 201 or 409, $"{operations}: {again.Text}");
            }

            await program.SweepAsync();
            Assert.Equal(["Terminated", "Rehired"], (await program.EventsAsync()).Select(e => e.Kind.ToString()));
            Assert.Single((await program.AskAsync("GET", "/Users")).Json.IsScimList(1));
            if (first.Status == 201)
            {
                break;
            }
        }
    }

    [Fact]
    public async Task Requests_at_once_report_one_leaver_and_lose_no_change()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));

        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(number => (number % 3) switch
        {
            0 => program.SetActiveAsync(id, false),
            1 => program.PatchAsync(id, """{"op":"replace","value":{"active":"False","displayName":"Gone"}}"""),
            _ => program.PatchAsync(id, """{"op":"replace","path":"name.givenName","value":"Changed"}"""),
        }));

        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Single(await program.EventsAsync());
        Assert.Empty(program.Alerts);
        var user = await program.GetAsync(id);
        Assert.Equal((false, "Gone", "Changed"), ((bool)user["active"]!, (string?)user["displayName"], (string?)user["name"]!["givenName"]));
    }

    [Fact]
    public async Task Creations_of_one_name_at_once_give_one_user()
    {
        await using var program = await ScimProgram.StartAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => program.AskAsync("POST", "/Users", ScimProgram.User(Address).ToString())));

        Assert.Equal([201, 409, 409, 409, 409, 409, 409, 409], answers.Select(answer => answer.Status).Order());
        Assert.Single((await program.AskAsync("GET", "/Users")).Json.IsScimList(1));
    }

    [Fact]
    public async Task A_change_for_another_version_is_refused()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address));
        var read = await program.AskAsync("GET", $"/Users/{id}");
        var version = read.Headers["ETag"];
        Assert.Equal(version, (string?)read.Json["meta"]!["version"]);
        Assert.Equal(304, (await program.AskAsync("GET", $"/Users/{id}", change: request => request.Headers.Add("If-None-Match", version))).Status);

        var changed = await PatchIfAsync(version, """{"op":"replace","path":"displayName","value":"A"}""");
        Assert.Equal(200, changed.Status);
        (await PatchIfAsync(version, """{"op":"replace","path":"active","value":false}""")).IsScimError(412);
        (await program.AskAsync("DELETE", $"/Users/{id}", change: request => request.Headers.Add("If-Match", version))).IsScimError(412);
        Assert.Equal(200, (await PatchIfAsync(changed.Headers["ETag"], """{"op":"replace","path":"active","value":false}""")).Status);
        Assert.Single(await program.EventsAsync());

        Task<EndToEnd.Answer> PatchIfAsync(string match, string operation) => program.AskAsync(
            "PATCH", $"/Users/{id}", ScimProgram.Patch(operation), change: request => request.Headers.Add("If-Match", match));
    }

    private static Task<EndToEnd.Answer> SendAsync(ScimProgram program, string method, string id) => method switch
    {
        "PATCH" => program.PatchAsync(id, """{"op":"Replace","path":"active","value":"False"}""", """{"op":"replace","path":"displayName","value":"Gone"}"""),
        "PUT" => program.AskAsync("PUT", $"/Users/{id}", ScimProgram.User(Address, active: false).ToString()),
        _ => program.AskAsync("DELETE", $"/Users/{id}"),
    };
}
