using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Scim;

/// <summary>
/// The requests and expectations of Okta's published SCIM 2.0 suites, by the names of their steps
/// (developer.okta.com, "Okta SCIM 2.0 SPEC test" and "Okta SCIM 2.0 CRUD test").
/// </summary>
public sealed class OktaSpecTests
{
    private const string Json = "application/json";

    [Fact]
    public async Task Test_Users_endpoint()
    {
        await using var program = await ScimProgram.StartAsync();
        await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));

        var answer = await program.AskAsync("GET", "/Users?count=1&startIndex=1");

        Assert.Equal((200, "application/scim+json"), (answer.Status, answer.MediaType));
        HasWhatOktaReads(Assert.Single(answer.Json.IsScimList(1)));
        Assert.Equal((1, 1), ((int)answer.Json["itemsPerPage"]!, (int)answer.Json["startIndex"]!));
    }

    [Fact]
    public async Task Get_Users_id()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));

        var user = await program.GetAsync(id);

        Assert.Equal(id, (string?)user["id"]);
        HasWhatOktaReads(user);
    }

    [Fact]
    public async Task Test_invalid_User_by_username()
    {
        await using var program = await ScimProgram.StartAsync();

        var list = await program.FilterAsync("userName eq \"abcdefgh@atko.com\"");

        Assert.Empty(list.IsScimList(0));
    }

    [Theory]
    [InlineData("00000000000000000000")]
    [InlineData("00919288221112222")]
    [InlineData("0123456789abcdef0123456789abcdef")]
    public async Task Test_invalid_User_by_ID_and_status_404(string id)
    {
        await using var program = await ScimProgram.StartAsync();

        (await program.AskAsync("GET", $"/Users/{id}")).IsScimError(404);
    }

    [Fact]
    public async Task Create_Okta_user_with_realistic_values_and_verify_that_user_was_created()
    {
        await using var program = await ScimProgram.StartAsync();
        Assert.Empty((await program.FilterAsync("userName eq \"jordan.rivera@sandbox.example\"")).IsScimList(0));

        var created = await program.AskAsync("POST", "/Users", RealisticUser, mediaType: "application/scim+json; charset=utf-8");

        Assert.Equal((201, "application/scim+json"), (created.Status, created.MediaType));
        Assert.True((bool)created.Json["active"]!);
        Assert.Contains(ScimProgram.UserSchema, created.Json["schemas"]!.Values<string>());
        Assert.Equal(created.Headers["Location"], (string?)created.Json["meta"]!["location"]);
        var read = await program.GetAsync((string)created.Json["id"]!);
        foreach (var user in (JObject[])[created.Json, read])
        {
            Assert.Equal(
                ("jordan.rivera@sandbox.example", "Jordan", "Rivera"),
                ((string?)user["userName"], (string?)user["name"]!["givenName"], (string?)user["name"]!["familyName"]));
        }
    }

    [Fact]
    public async Task Expect_failure_when_recreating_user_with_same_values()
    {
        await using var program = await ScimProgram.StartAsync();
        Assert.Equal(201, (await program.AskAsync("POST", "/Users", RealisticUser, mediaType: Json)).Status);

        var again = await program.AskAsync("POST", "/Users", RealisticUser, mediaType: Json);

        again.IsScimError(409, "uniqueness");
        Assert.DoesNotContain("jordan", again.Text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Username_Case_Sensitivity_Check()
    {
        await using var program = await ScimProgram.StartAsync();
        await program.AskAsync("POST", "/Users", RealisticUser);

        var list = await program.FilterAsync("userName eq \"JORDAN.RIVERA@SANDBOX.EXAMPLE\"");

        Assert.Equal("jordan.rivera@sandbox.example", (string?)Assert.Single(list.IsScimList(1))["userName"]);
        (await program.AskAsync("POST", "/Users", RealisticUser.Replace("jordan", "JORDAN", StringComparison.Ordinal))).IsScimError(409, "uniqueness");
    }

    [Fact]
    public async Task Verify_Groups_endpoint()
    {
        await using var program = await ScimProgram.StartAsync();

        var groups = await program.AskAsync("GET", "/Groups?count=100&startIndex=1");

        Assert.Empty(groups.Json.IsScimList(0));
        (await program.AskAsync("POST", "/Groups", """{"displayName":"Everyone"}""")).IsScimError(501);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("non-token")]
    public async Task Check_status_401(string? key)
    {
        await using var program = await ScimProgram.StartAsync();

        var answer = await program.AskAsync("GET", "/Users?filter=userName%20eq%20%22x%22", key: key);

        answer.IsScimError(401);
        Assert.StartsWith("Bearer", answer.Headers["WWW-Authenticate"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Crud_sequence_creates_replaces_deactivates_reactivates_and_deactivates()
    {
        await using var program = await ScimProgram.StartAsync();
        var created = await program.AskAsync("POST", "/Users", """
            {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"riley.okta@sandbox.example",
             "name":{"givenName":"Riley","familyName":"Okta"},"emails":[{"primary":true,"value":"riley.okta@sandbox.example","type":"work"}],
             "displayName":"Riley Okta","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq","title":"Engineer",
             "phoneNumbers":[{"value":"415.123.4567"}],"active":true}
            """);
        Assert.Equal(201, created.Status);
        Assert.Null(created.Json["password"]);
        var id = (string)created.Json["id"]!;
        Assert.Equal(id, (string?)Assert.Single((await program.FilterAsync("userName eq \"riley.okta@sandbox.example\"")).IsScimList(1))["id"]);

        // Okta reads the whole resource, changes it and puts it back with everything that it read.
        var read = await program.GetAsync(id);
        read["name"]!["givenName"] = "Rileyupdate";
        var replaced = await program.AskAsync("PUT", $"/Users/{id}", read.ToString());
        Assert.Equal((200, "Rileyupdate"), (replaced.Status, (string?)replaced.Json["name"]!["givenName"]));

        foreach (var active in (bool[])[false, true, false])
        {
            var patched = await program.PatchAsync(id, $$"""{"op":"replace","value":{"active":{{(active ? "true" : "false")}} } }""");
            Assert.Equal((200, active), (patched.Status, (bool)patched.Json["active"]!));
            Assert.Equal(active, (bool)(await program.GetAsync(id))["active"]!);
        }

        Assert.Equal(3, (await program.EventsAsync()).Count);
    }

    [Fact]
    public async Task Deactivation_by_put_with_active_false()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));
        var read = await program.GetAsync(id);
        read["active"] = false;

        var replaced = await program.AskAsync("PUT", $"/Users/{id}", read.ToString());

        Assert.Equal((200, false), (replaced.Status, (bool)replaced.Json["active"]!));
        Assert.Single(await program.EventsAsync());
    }

    private const string RealisticUser = """
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jordan.rivera@sandbox.example",
         "name":{"givenName":"Jordan","familyName":"Rivera"},
         "emails":[{"primary":true,"value":"jordan.rivera.primary@sandbox.example","type":"work"}],"displayName":"Jordan Rivera","active":true}
        """;

    private static void HasWhatOktaReads(JObject user)
    {
        Assert.False(string.IsNullOrEmpty((string?)user["id"]));
        Assert.False(string.IsNullOrEmpty((string?)user["name"]!["familyName"]));
        Assert.False(string.IsNullOrEmpty((string?)user["name"]!["givenName"]));
        Assert.False(string.IsNullOrEmpty((string?)user["userName"]));
        Assert.Equal(JTokenType.Boolean, user["active"]!.Type);
        Assert.False(string.IsNullOrEmpty((string?)user["emails"]![0]!["value"]));
    }
}
