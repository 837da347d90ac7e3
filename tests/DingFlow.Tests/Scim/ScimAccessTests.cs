using DingFlow.Messaging;
using DingFlow.Hosting;
using DingFlow.Scim;
using DingFlow.Settings;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Scim;

/// <summary>Who may ask, how much, and what of a person can be seen where.</summary>
public sealed class ScimAccessTests
{
    private const string Address = "secret.name@sandbox.example";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/Users")]
    [InlineData("POST", "/Users")]
    [InlineData("POST", "/Users/.search")]
    [InlineData("GET", "/Users/x")]
    [InlineData("PUT", "/Users/x")]
    [InlineData("PATCH", "/Users/x")]
    [InlineData("DELETE", "/Users/x")]
    [InlineData("GET", "/Groups")]
    [InlineData("POST", "/Groups")]
    [InlineData("GET", "/ServiceProviderConfig")]
    [InlineData("GET", "/ResourceTypes")]
    [InlineData("GET", "/Schemas/x")]
    public async Task Every_route_asks_for_the_role_and_keeps_to_the_keys_sources(string method, string path)
    {
        await using var program = await ScimProgram.StartAsync();

        (await program.AskAsync(method, path, key: null)).IsScimError(401);
        (await program.AskAsync(method, path, key: "wrong")).IsScimError(401);
        (await program.AskAsync(method, path, key: ScimProgram.OperatorKey)).IsScimError(403);
        (await program.AskAsync(method, path, key: ScimProgram.ConfinedKey)).IsScimError(403);
        (await program.AskAsync(method, $"/api/scim/v2/nowhere{path}")).IsScimError(404);
        (await program.AskAsync(method, $"/api/scim/v2/nowhere{path}", key: ScimProgram.ConfinedKey)).IsScimError(403);
        (await program.AskAsync(method, $"/api/scim/v2/hooks{path}")).IsScimError(404);
    }

    [Fact]
    public async Task A_confined_key_serves_its_own_source_in_any_case()
    {
        await using var program = await ScimProgram.StartAsync();
        program.Base = "/api/scim/v2/OTHER";

        var created = await program.AskAsync("POST", "/Users", ScimProgram.User(Address).ToString(), ScimProgram.ConfinedKey);

        Assert.Equal(201, created.Status);
        program.Base = "/api/scim/v2/other";
        Assert.Equal(200, (await program.AskAsync("GET", $"/Users/{created.Json["id"]}", key: ScimProgram.ConfinedKey)).Status);
    }

    [Fact]
    public async Task A_scim_source_has_no_webhook()
    {
        await using var program = await ScimProgram.StartAsync();

        var answer = await program.AskAsync("POST", "/api/hr/acme", "{}", mediaType: "application/json");

        answer.IsProblem(404, "unknown-source");
    }

    [Fact]
    public async Task Requests_are_counted_per_source()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:MaxPerMinute", "2"));
        Assert.Equal(200, (await program.AskAsync("GET", "/Users")).Status);
        Assert.Equal(200, (await program.AskAsync("GET", "/Schemas")).Status);

        var refused = await program.AskAsync("GET", "/Users");

        refused.IsScimError(429);
        Assert.Equal("30", refused.Headers["Retry-After"]);
        Assert.Equal(200, (await program.AskAsync("GET", "/api/scim/v2/other/Users")).Status);
        // Whoever cannot sign in uses nothing up.
        program.Time.Advance(TimeSpan.FromSeconds(30));
        (await program.AskAsync("GET", "/Users", key: "wrong")).IsScimError(401);
        Assert.Equal(200, (await program.AskAsync("GET", "/Users")).Status);
    }

    [Fact]
    public async Task Bodies_that_are_too_large_of_another_type_or_no_object_are_refused()
    {
        await using var program = await ScimProgram.StartAsync();

        (await program.AskAsync("POST", "/Users", $$"""{"userName":"{{new string('x', 70_000)}}"}""")).IsScimError(413);
        (await program.AskAsync("POST", "/Users", """{"userName":"x"}""", mediaType: "text/plain")).IsScimError(415);
        (await program.AskAsync("POST", "/Users", """{"userName":"x"}""", change: request => request.Content!.Headers.Add("Content-Encoding", "gzip"))).IsScimError(415);
        foreach (var body in (string[])["", "[]", "null", "{", """{"userName":"a","userName":"b"}""", $"{new string('[', 100)}{new string(']', 100)}"])
        {
            (await program.AskAsync("POST", "/Users", body)).IsScimError(400, "invalidSyntax");
        }

        foreach (var body in (string[])["{}", """{"userName":""}""", """{"userName":"   "}""", """{"userName":null}""", $$"""{"userName":"{{new string('x', 257)}}"}"""])
        {
            (await program.AskAsync("POST", "/Users", body)).IsScimError(400, "invalidValue");
        }
    }

    [Fact]
    public async Task The_trail_says_by_which_key_a_provider_signed_in()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address, "E7"));
        await program.AskAsync("DELETE", $"/Users/{id}");

        var entries = program.Trail.Events.Where(static one => one.Kind.Name.StartsWith("scim.", StringComparison.Ordinal) || one.Kind.Name == "intake.delivery_accepted").ToList();
        Assert.Contains(entries, static one => one.Kind.Name == "intake.delivery_accepted");
        Assert.Contains(entries, static one => one.Kind.Name == "scim.user_removed");
        Assert.All(entries, static one => Assert.Equal((AuditActorType.Source, "scim"), (one.Actor.Type, one.Actor.Key)));
        Assert.Single(entries.Select(static one => one.Actor.Id).Distinct());
    }

    [Fact]
    public async Task Attributes_are_chosen_and_left_out()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address, "E7"));

        Assert.Equal("schemas,id,userName", await NamesAsync("attributes=userName"));
        Assert.Equal("schemas,id,name.givenName,active", await NamesAsync("attributes=active,name.givenName"));
        Assert.Equal("schemas,id,emails", await NamesAsync("attributes=emails[0],emails.value"));
        Assert.Equal($"schemas,id,{ScimProgram.Enterprise}.employeeNumber", await NamesAsync($"attributes={ScimProgram.Enterprise}:employeeNumber"));
        Assert.Equal("schemas,id,userName,active", await NamesAsync($"excludedAttributes=emails,name,externalId,displayName,meta,{ScimProgram.Enterprise}"));
        Assert.Equal("schemas,id,userName", await NamesAsync("attributes=userName,emails&excludedAttributes=emails"));

        var list = await program.AskAsync("POST", "/Users/.search", """{"filter":"userName sw \"secret\"","attributes":["active"],"startIndex":1,"count":10}""");
        Assert.Equal("schemas,id,active", Names(Assert.Single(list.Json.IsScimList(1))));

        async Task<string> NamesAsync(string query) => Names((await program.AskAsync("GET", $"/Users/{id}?{query}")).Json);

        static string Names(JObject user) => string.Join(',', user.Properties().SelectMany(property =>
            property.Value is JObject part && property.Name != "meta" ? part.Properties().Select(inner => $"{property.Name}.{inner.Name}") : [property.Name]));
    }

    [Fact]
    public async Task Addresses_name_people_by_opaque_ids_only()
    {
        await using var program = await ScimProgram.StartAsync();

        var created = await program.AskAsync("POST", "/Users", ScimProgram.User(Address).ToString());

        Assert.Equal(new Uri(program.Client.BaseAddress!, $"/api/scim/v2/acme/Users/{created.Json["id"]}").AbsoluteUri, created.Headers["Location"]);
        Assert.Matches("^[0-9a-f]{32}$", (string?)created.Json["id"]);
        var behindFrontEnd = await program.AskAsync(
            "GET", $"/Users/{created.Json["id"]}", change: request => request.Headers.Add("X-Forwarded-Proto", "https"));
        Assert.StartsWith("https://", (string?)behindFrontEnd.Json["meta"]!["location"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_of_a_person_can_be_read_in_the_store_or_in_the_log()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address, "E7"));
        await program.FilterAsync($"userName eq \"{Address}\"");
        await program.AskAsync("GET", $"/Users?filter={Uri.EscapeDataString($"userName eq {Address}")}");
        await program.PatchAsync(id, $$"""{"op":"replace","path":"{{Address}}","value":1}""");
        await program.SetActiveAsync(id, false);
        await program.AskAsync("DELETE", $"/Users/{id}");
        await program.AskAsync("POST", "/Users", ScimProgram.User(Address, "E7").ToString());

        var rows = await program.RowsAsync();
        Assert.NotEmpty(rows);
        var stored = string.Join('\n', rows.Select(row => $"{row.RowKey} {string.Join(' ', row.Properties.Select(p => p.Value is byte[] b ? System.Text.Encoding.Latin1.GetString(b) : p.Value))}"));
        foreach (var secret in (string[])[Address, "secret", "Chan", "Wei", "ext-"])
        {
            Assert.DoesNotContain(secret, stored, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(program.Logs.Lines, line => line.Contains(secret == "Wei" ? "Wei Chan" : secret, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task After_deletion_only_a_hash_of_the_name_is_kept()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User(Address, "E7"));
        var never = await program.CreateAsync(ScimProgram.User("never.active@sandbox.example", active: false));
        await program.AskAsync("DELETE", $"/Users/{id}");
        await program.AskAsync("DELETE", $"/Users/{never}");

        var row = Assert.Single(await program.RowsAsync());

        Assert.StartsWith("n|", row.RowKey, StringComparison.Ordinal);
        Assert.Equal(["Id", "Removed", "Schema", "Transition"], row.Properties.Keys.Order());
    }

    [Fact]
    public async Task People_kept_under_the_key_before_are_found_and_written_anew()
    {
        using var data = new DataDirectory();
        const string NextKey = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
        string kept, removed;
        await using (var before = await ScimProgram.StartAsync(data))
        {
            kept = await before.CreateAsync(ScimProgram.User(Address));
            removed = await before.CreateAsync(ScimProgram.User("gone@sandbox.example"));
            await before.AskAsync("DELETE", $"/Users/{removed}");
        }

        await using (var during = await ScimProgram.StartAsync(
            data, ("Deliveries:EncryptionKey", NextKey), ("Deliveries:PreviousEncryptionKey", ScimProgram.EncryptionKey)))
        {
            Assert.Single((await during.FilterAsync($"userName eq \"{Address}\"")).IsScimList(1));
            Assert.Single((await during.FilterAsync($"externalId eq \"ext-{Address}\"")).IsScimList(1));
            (await during.AskAsync("POST", "/Users", ScimProgram.User(Address).ToString())).IsScimError(409, "uniqueness");
            await during.CreateAsync(ScimProgram.User("gone@sandbox.example"));
            Assert.Equal("Rehired", Assert.Single(await during.EventsAsync()).Kind.ToString());

            await during.Services.GetRequiredService<RekeyScimUsers>().InvokeAsync(new TimerTick(false), Cancellation);
        }

        await using var after = await ScimProgram.StartAsync(data, ("Deliveries:EncryptionKey", NextKey));
        Assert.Equal(kept, (string?)Assert.Single((await after.FilterAsync($"userName eq \"{Address}\"")).IsScimList(1))["id"]);
        Assert.Single((await after.FilterAsync($"emails.value eq \"{Address}\"")).IsScimList(1));
        Assert.Equal(200, (await after.SetActiveAsync(kept, false)).Status);
        Assert.Equal(204, (await after.AskAsync("DELETE", $"/Users/{kept}")).Status);
    }

    [Fact]
    public async Task A_person_whose_key_is_lost_is_our_trouble()
    {
        using var data = new DataDirectory();
        string id;
        await using (var before = await ScimProgram.StartAsync(data))
        {
            id = await before.CreateAsync(ScimProgram.User(Address));
        }

        await using var after = await ScimProgram.StartAsync(data, ("Deliveries:EncryptionKey", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="));

        (await after.AskAsync("GET", $"/Users/{id}")).IsScimError(503);
    }

    [Fact]
    public async Task Settings_that_do_not_fit_stop_the_start()
    {
        var faults = (await Assert.ThrowsAsync<SettingsException>(() => ScimProgram.StartAsync(
            ("HrSources:acme:Secrets:0", HrSender.NewSecret()), ("HrSources:acme:EmployeeId", "shoeSize"), ("Auth:ApiKeys:confined:Sources", "elsewhere")))).Faults;

        Assert.Contains("HrSources:acme:Secrets: must not be set: the dialect scim has credentials of its own", faults);
        Assert.Contains("HrSources:acme:EmployeeId: must be one of employeeNumber, externalId, none", faults);
        Assert.Contains("Auth:ApiKeys:confined:Sources: names elsewhere, which HrSources does not have", faults);
    }
}
