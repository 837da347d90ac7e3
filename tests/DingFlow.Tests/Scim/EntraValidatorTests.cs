using System.Globalization;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Scim;

/// <summary>
/// The cases of Microsoft's SCIM validator (scimvalidator.microsoft.com) and of its provisioning validation workflow, by their names, for
/// the attributes that this service's schemas declare.
/// </summary>
public sealed class EntraValidatorTests
{
    private const string UserName = "julien.vonrueden@ondricka.uk";

    [Fact]
    public async Task Create_a_new_User()
    {
        await using var program = await ScimProgram.StartAsync();

        var created = await program.AskAsync("POST", "/Users", Body(), mediaType: "application/scim+json; charset=utf-8");

        Assert.Equal((201, "application/scim+json"), (created.Status, created.MediaType));
        var read = await program.GetAsync((string)created.Json["id"]!);
        Assert.True(JToken.DeepEquals(created.Json, read), read.ToString());
        Assert.Equal(UserName, (string?)read["userName"]);
        Assert.Equal("OXYYEGWVLTGW", (string?)read[ScimProgram.Enterprise]!["employeeNumber"]);
        Assert.Equal("thaddeus@hammes.info", (string?)read.SelectToken("$.emails[?(@.type=='work')].value"));
        Assert.Equal("User", (string?)read["meta"]!["resourceType"]);
        Assert.Empty(await program.EventsAsync());
    }

    [Fact]
    public async Task Create_a_duplicate_User()
    {
        await using var program = await ScimProgram.StartAsync();
        await program.AskAsync("POST", "/Users", Body());

        (await program.AskAsync("POST", "/Users", Body())).IsScimError(409, "uniqueness");
    }

    [Theory]
    [InlineData("userName eq \"julien.vonrueden@ondricka.uk\"", 1)]
    [InlineData("userName eq \"JULIEN.vonrueden@ondricka.uk\"", 1)]
    [InlineData("userName eq \"nobody@ondricka.uk\"", 0)]
    [InlineData("externalId eq \"9950b140-90a0-4201-9d65-b5f209fb4cd0\"", 1)]
    [InlineData("externalId eq \"9950B140-90a0-4201-9d65-b5f209fb4cd0\"", 0)]
    [InlineData("emails[type eq \"work\"].value eq \"Thaddeus@hammes.info\"", 1)]
    [InlineData("emails[type eq \"home\"].value eq \"thaddeus@hammes.info\"", 0)]
    [InlineData("emails.value eq \"thaddeus@hammes.info\"", 1)]
    [InlineData("emails[value eq \"thaddeus@hammes.info\" and type eq \"work\"]", 1)]
    [InlineData("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"julien.vonrueden@ondricka.uk\"", 1)]
    [InlineData("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq \"OXYYEGWVLTGW\"", 1)]
    [InlineData("userName eq \"julien.vonrueden@ondricka.uk\" and active eq true", 1)]
    [InlineData("active eq false", 0)]
    [InlineData("active eq \"True\"", 1)]
    [InlineData("title eq \"CJSGUNOAAMMQ\"", 0)]
    public async Task Filter_for_an_existing_user_a_non_existing_user_and_with_a_different_case(string filter, int expected)
    {
        await using var program = await ScimProgram.StartAsync();
        await program.AskAsync("POST", "/Users", Body());

        Assert.Equal(expected, (await program.FilterAsync(filter)).IsScimList(expected).Count);
    }

    [Fact]
    public async Task Patch_User_Replace_Attributes_Verbose()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(
            id,
            """{"op":"replace","path":"emails[type eq \"work\"].value","value":"mary@dickens.co.uk"}""",
            """{"op":"replace","path":"displayName","value":"Mary D"}""",
            """{"op":"replace","path":"name.givenName","value":"Mary"}""",
            """{"op":"replace","path":"name.familyName","value":"Dickens"}""",
            """{"op":"replace","path":"name.formatted","value":"Mary Dickens"}""",
            """{"op":"replace","path":"externalId","value":"16bf3b76"}""",
            """{"op":"replace","path":"title","value":"dropped"}""",
            """{"op":"replace","path":"addresses[type eq \"work\"].streetAddress","value":"2645 Renner Burg"}""",
            """{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":"AKLQ"}""",
            """{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"dropped"}""");

        Assert.Equal(200, patched.Status);
        IsMary(await program.GetAsync(id));
    }

    [Fact]
    public async Task Patch_User_Replace_Attributes()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(
            id,
            """{"op":"replace","path":"emails[primary eq true].value","value":"mary@dickens.co.uk"}""",
            """
            {"op":"replace","value":{"externalId":"16bf3b76","displayName":"Mary D","name.givenName":"Mary","name.familyName":"Dickens",
             "name.formatted":"Mary Dickens","title":"x","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber":"AKLQ"}}
            """);

        Assert.Equal(200, patched.Status);
        IsMary(await program.GetAsync(id));
    }

    [Fact]
    public async Task Patch_User_Add_Attributes()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(new JObject { ["schemas"] = new JArray(ScimProgram.UserSchema), ["userName"] = UserName, ["active"] = true });

        var patched = await program.PatchAsync(
            id,
            """{"op":"add","path":"emails[type eq \"work\"].value","value":"mary@dickens.co.uk"}""",
            """
            {"op":"add","value":{"externalId":"16bf3b76","displayName":"Mary D","name.givenName":"Mary","name.familyName":"Dickens",
             "name.formatted":"Mary Dickens","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber":"AKLQ"}}
            """);

        Assert.Equal(200, patched.Status);
        IsMary(await program.GetAsync(id));
        Assert.Equal("work", (string?)(await program.GetAsync(id))["emails"]![0]!["type"]);
    }

    [Fact]
    public async Task Update_User_userName()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(id, """{"op":"Replace","path":"userName","value":"renamed@ondricka.uk"}""");

        Assert.Equal((200, "renamed@ondricka.uk"), (patched.Status, (string?)patched.Json["userName"]));
        Assert.Single((await program.FilterAsync("userName eq \"renamed@ondricka.uk\"")).IsScimList(1));
        Assert.Empty((await program.FilterAsync($"userName eq \"{UserName}\"")).IsScimList(0));
        await CreateAsync(program);
        (await program.PatchAsync(id, $$"""{"op":"Replace","path":"userName","value":"{{UserName}}"}""")).IsScimError(409, "uniqueness");
    }

    [Fact]
    public async Task Patch_User_Disable_User()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(id, """{"op":"replace","path":"active","value":false}""");

        Assert.Equal(200, patched.Status);
        Assert.False((bool)(await program.GetAsync(id))["active"]!);
        // The disabled user is still found, with the attribute active.
        Assert.False((bool)Assert.Single((await program.FilterAsync($"userName eq \"{UserName}\"")).IsScimList(1))["active"]!);
    }

    [Fact]
    public async Task Patch_User_Multiple_Ops_on_different_attributes()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(
            id, """{"op":"remove","path":"displayName"}""", """{"op":"add","path":"name.formatted","value":"Added"}""",
            """{"op":"replace","path":"externalId","value":"8e25e04b"}""");

        Assert.Equal(200, patched.Status);
        var user = await program.GetAsync(id);
        Assert.Null(user["displayName"]);
        Assert.Equal(("Added", "8e25e04b"), ((string?)user["name"]!["formatted"], (string?)user["externalId"]));
    }

    [Fact]
    public async Task Patch_User_Multiple_Ops_on_same_attribute()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        await program.PatchAsync(
            id, """{"op":"remove","path":"displayName"}""", """{"op":"add","path":"displayName","value":"First"}""",
            """{"op":"replace","path":"displayName","value":"Last"}""");

        Assert.Equal("Last", (string?)(await program.GetAsync(id))["displayName"]);
    }

    [Theory]
    [InlineData("Add", "\"manager-id\"")]
    [InlineData("Replace", "{\"value\":\"manager-id\"}")]
    [InlineData("Remove", "null")]
    public async Task Patch_User_Add_Replace_Remove_Manager(string op, string value)
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(
            id, $$"""{"op":"{{op}}","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":{{value}}}""");

        // The manager is of no use here, and is taken and not kept.
        Assert.Equal(200, patched.Status);
        Assert.Null(patched.Json[ScimProgram.Enterprise]!["manager"]);
    }

    [Fact]
    public async Task Patch_without_operations_changes_nothing()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);
        var before = await program.GetAsync(id);

        var patched = await program.PatchAsync(id);

        Assert.Equal(200, patched.Status);
        Assert.True(JToken.DeepEquals(before, patched.Json));
    }

    [Fact]
    public async Task Delete_a_User_a_non_existent_User_and_the_same_User_twice()
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var deleted = await program.AskAsync("DELETE", $"/Users/{id}");

        Assert.Equal((204, ""), (deleted.Status, deleted.Text));
        (await program.AskAsync("GET", $"/Users/{id}")).IsScimError(404);
        (await program.AskAsync("DELETE", $"/Users/{id}")).IsScimError(404);
        (await program.AskAsync("DELETE", "/Users/d950a5ce-61da-4979-8423-4600c745a897")).IsScimError(404);
        (await program.AskAsync("PATCH", $"/Users/{id}", ScimProgram.Patch("""{"op":"replace","path":"active","value":false}"""))).IsScimError(404);
        Assert.Empty((await program.FilterAsync($"userName eq \"{UserName}\"")).IsScimList(0));
    }

    [Fact]
    public async Task Schema_Discoverability_Test()
    {
        await using var program = await ScimProgram.StartAsync();

        var schemas = (await program.AskAsync("GET", "/Schemas")).Json.IsScimList(3);

        Assert.Equal(
            [ScimProgram.UserSchema, ScimProgram.Enterprise, "urn:ietf:params:scim:schemas:extension:dingflow:2.0:User"],
            schemas.Select(schema => (string?)schema["id"]));
        Assert.Equal(
            ["userName", "externalId", "name", "displayName", "emails", "active"],
            schemas[0]["attributes"]!.Select(attribute => (string?)attribute["name"]));
        Assert.Equal("boolean", (string?)schemas[0].SelectToken("$.attributes[?(@.name=='active')].type"));
        Assert.Equal("boolean", (string?)schemas[0].SelectToken("$.attributes[?(@.name=='emails')].subAttributes[?(@.name=='primary')].type"));
        var one = await program.AskAsync("GET", $"/Schemas/{ScimProgram.UserSchema}");
        Assert.True(JToken.DeepEquals(schemas[0], one.Json));
        (await program.AskAsync("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group")).IsScimError(404);
    }

    [Fact]
    public async Task Service_provider_configuration_and_resource_types_are_described()
    {
        await using var program = await ScimProgram.StartAsync();

        var config = (await program.AskAsync("GET", "/ServiceProviderConfig")).Json;
        var types = (await program.AskAsync("GET", "/ResourceTypes")).Json.IsScimList(1);

        Assert.True((bool)config["patch"]!["supported"]!);
        Assert.Equal((true, 200), ((bool)config["filter"]!["supported"]!, (int)config["filter"]!["maxResults"]!));
        Assert.False((bool)config["bulk"]!["supported"]!);
        Assert.Equal("oauthbearertoken", (string?)config["authenticationSchemes"]![0]!["type"]);
        Assert.Equal(("User", "/Users", ScimProgram.UserSchema), ((string?)types[0]["id"], (string?)types[0]["endpoint"], (string?)types[0]["schema"]));
        Assert.True(JToken.DeepEquals(types[0], (await program.AskAsync("GET", "/ResourceTypes/User")).Json));
        (await program.AskAsync("GET", "/ResourceTypes/Group")).IsScimError(404);
        (await program.AskAsync("GET", "/ResourceTypes?filter=name%20eq%20%22User%22")).IsScimError(403);
    }

    [Theory]
    [InlineData("\"\"")]
    [InlineData("null")]
    public async Task SCIM_Null_Update_Test(string nothing)
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await CreateAsync(program);

        var patched = await program.PatchAsync(
            id, $$"""{"op":"replace","path":"displayName","value":{{nothing}}}""", $$"""{"op":"replace","path":"name.givenName","value":{{nothing}}}""",
            $$"""{"op":"replace","path":"emails[type eq \"work\"].value","value":{{nothing}}}""",
            $$"""{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber","value":{{nothing}}}""");

        Assert.Equal(200, patched.Status);
        var user = await program.GetAsync(id);
        Assert.Null(user["displayName"]);
        Assert.Null(user["name"]!["givenName"]);
        Assert.Null(user["emails"]);
        Assert.Null(user[ScimProgram.Enterprise]);
        Assert.True((bool)user["active"]!);
    }

    [Fact]
    public async Task SCIM_User_Pagination_Test()
    {
        await using var program = await ScimProgram.StartAsync();
        var names = Enumerable.Range(1, 12).Select(number => string.Create(CultureInfo.InvariantCulture, $"user{number:D2}@sandbox.example")).ToList();
        foreach (var name in names)
        {
            await program.CreateAsync(ScimProgram.User(name));
            program.Time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var seen = new List<string?>();
        for (var page = 0; page < 3; page++)
        {
            var list = (await program.AskAsync("GET", string.Create(CultureInfo.InvariantCulture, $"/Users?startIndex={(page * 5) + 1}&count=5"))).Json;
            Assert.Equal((page * 5) + 1, (int)list["startIndex"]!);
            seen.AddRange(list.IsScimList(12).Select(user => (string?)user["userName"]));
        }

        Assert.Equal<string?>(names, seen);
        Assert.Empty((await program.AskAsync("GET", "/Users?startIndex=13&count=5")).Json.IsScimList(12));
        Assert.Empty((await program.AskAsync("GET", "/Users?count=0")).Json.IsScimList(12));
        Assert.Empty((await program.AskAsync("GET", "/Users?count=-1&startIndex=-7")).Json.IsScimList(12));
        Assert.Equal(12, (await program.AskAsync("GET", "/Users?count=100000")).Json.IsScimList(12).Count);
        Assert.Equal(2, (await program.FilterAsync("userName sw \"user\" and active eq true", "&startIndex=11&count=5")).IsScimList(12).Count);
        (await program.AskAsync("GET", "/Users?count=many")).IsScimError(400, "invalidValue");
    }

    [Fact]
    public async Task Provision_unassign_and_reassign_as_the_provisioning_service_does()
    {
        await using var program = await ScimProgram.StartAsync();
        Assert.Empty((await program.FilterAsync($"externalId eq \"9950b140-90a0-4201-9d65-b5f209fb4cd0\"")).IsScimList(0));
        var id = await CreateAsync(program);

        // Unassigned: what the service sends without, and with, aadOptscim062020.
        await program.PatchAsync(id, """{"op":"Replace","path":"active","value":"False"}""");
        var found = Assert.Single((await program.FilterAsync($"userName eq \"{UserName}\"")).IsScimList(1));
        await program.PatchAsync((string)found["id"]!, """{"op":"Replace","path":"active","value":"True"}""");
        await program.PatchAsync(id, """{"op":"replace","path":"active","value":false}""");
        // Hard-deleted after 30 days.
        Assert.Equal(204, (await program.AskAsync("DELETE", $"/Users/{id}")).Status);

        Assert.Equal(["Terminated", "Rehired", "Terminated"], (await program.EventsAsync()).Select(e => e.Kind.ToString()));
    }

    private static async Task<string> CreateAsync(ScimProgram program)
    {
        var created = await program.AskAsync("POST", "/Users", Body());
        Assert.True(created.Status == 201, created.Text);
        return (string)created.Json["id"]!;
    }

    private static void IsMary(JObject user)
    {
        Assert.Equal("mary@dickens.co.uk", (string?)user["emails"]![0]!["value"]);
        Assert.Equal(("Mary D", "16bf3b76"), ((string?)user["displayName"], (string?)user["externalId"]));
        Assert.Equal(
            ("Mary", "Dickens", "Mary Dickens"),
            ((string?)user["name"]!["givenName"], (string?)user["name"]!["familyName"], (string?)user["name"]!["formatted"]));
        Assert.Equal("AKLQ", (string?)user[ScimProgram.Enterprise]!["employeeNumber"]);
    }

    /// <summary>A user with every attribute that the provisioning service maps by default.</summary>
    private static string Body() => """
        {"userName":"julien.vonrueden@ondricka.uk","active":true,"externalId":"9950b140-90a0-4201-9d65-b5f209fb4cd0","displayName":"NDSQQTECVAAC",
         "title":"CJSGUNOAAMMQ","emails":[{"type":"work","value":"thaddeus@hammes.info","primary":true}],"preferredLanguage":"hi",
         "name":{"givenName":"Elfrieda","familyName":"Urban","formatted":"Myah","middleName":"Cindy","honorificPrefix":"Ms"},
         "addresses":[{"type":"work","formatted":"ZQEHBLETAAQE","streetAddress":"25928 Katlyn Row","primary":true,"country":"Sierra Leone"}],
         "phoneNumbers":[{"type":"work","value":"10-040-1308","primary":true},{"type":"mobile","value":"10-040-1308"}],
         "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"OXYYEGWVLTGW","department":"ZYWTBPDFHIIP","manager":{"value":"XYMKVVRYDIOO"}},
         "roles":[{"primary":"True","display":"MRONYWGFFHXQ","value":"WDEIISGWWQBE","type":"XVTUOHMYUFRL"}],"userType":"GZILLRZCFPNC","nickName":"FOGS",
         "locale":"IRJ","timezone":"America/Guayaquil","profileUrl":"BAPNQLJSRQGD",
         "schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]}
        """;
}
