using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Sandbox;

public sealed class GraphApiTests : IAsyncLifetime
{
    private SandboxCaller _caller = null!;

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync();

    public ValueTask DisposeAsync() => _caller.DisposeAsync();

    [Fact]
    public async Task A_user_is_read_by_id_and_by_name()
    {
        var byName = await GetAsync("users/e1001%40sandbox.example?$select=id,accountEnabled,signInSessionsValidFromDateTime,onPremisesSyncEnabled");
        var byId = await GetAsync($"users/{byName["id"]}");

        Assert.Equal(200, byName.Status);
        Assert.Equal("@odata.context,id,accountEnabled,signInSessionsValidFromDateTime,onPremisesSyncEnabled", byName.Keys);
        Assert.Equal("5a4d0000-0000-4000-8000-000000001001", byName["id"]);
        Assert.Equal("True", byName["accountEnabled"]);
        Assert.Contains("\"signInSessionsValidFromDateTime\":\"2024-01-02T01:00:00Z\"", byName.Text, StringComparison.Ordinal);
        Assert.Contains("\"onPremisesSyncEnabled\":null", byName.Text, StringComparison.Ordinal);
        Assert.Equal($"{_caller.Server.Graph}/$metadata#users/$entity", byId.Body!["@odata.context"]);
        Assert.Equal("e1001@sandbox.example", byId["userPrincipalName"]);
        Assert.False(byId.Body!.ContainsKey("accountEnabled"));
        Assert.Contains("\"onPremisesSyncEnabled\":true", (await GetAsync("users/e1019@sandbox.example?$select=onPremisesSyncEnabled")).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("employeeId eq 'E1002'", "E1002")]
    [InlineData("employeeId eq 'e1002'", "E1002")]
    [InlineData("userPrincipalName eq 'e1003@sandbox.example'", "E1003")]
    [InlineData("mail eq 'e1004@sandbox.example'", "E1004")]
    [InlineData("proxyAddresses/any(p:p eq 'smtp:e1005@sandbox.example')", "E1005")]
    [InlineData("mail eq 'e1006@sandbox.example' or userPrincipalName eq 'e1006@sandbox.example' or proxyAddresses/any(x:x eq 'smtp:e1006@sandbox.example')", "E1006")]
    [InlineData("employeeId eq 'E1007' or mail eq 'e1008@sandbox.example'", "E1007,E1008")]
    [InlineData("accountEnabled eq true and (employeeId eq 'E1007' or employeeId eq 'E9')", "E1007")]
    [InlineData("startsWith(userPrincipalName,'e101')", "E1010,E1011,E1012,E1013,E1014,E1015,E1016,E1017,E1018,E1019")]
    [InlineData("employeeId eq 'it''s nobody'", "")]
    [InlineData("employeeId eq 'E0901'", "")]
    public async Task Users_are_found_by_filter(string filter, string expected)
    {
        var answer = await GetAsync($"users?$filter={Uri.EscapeDataString(filter)}&$select=id,employeeId");

        Assert.Equal(200, answer.Status);
        Assert.Equal(expected, string.Join(',', answer.Body!["value"]!.Select(user => (string?)user["employeeId"])));
        Assert.Equal($"{_caller.Server.Graph}/$metadata#users(id,employeeId)", answer.Body["@odata.context"]);
    }

    [Theory]
    [InlineData("users?$filter=employeeId")]
    [InlineData("users?$filter=employeeId eq 'E1001")]
    [InlineData("users?$filter=employeeId eq 'E1001')")]
    [InlineData("users?$filter=shoeSize eq '42'")]
    [InlineData("users?$filter=endsWith(mail,'@sandbox.example')")]
    [InlineData("users?$search=\"displayName:Ana\"")]
    public async Task Unsupported_filters_are_refused(string path)
    {
        var answer = await GetAsync(path);

        Assert.Equal((400, "Request_UnsupportedQuery"), (answer.Status, answer["error.code"]));
    }

    [Fact]
    public async Task An_advanced_query_needs_its_header_and_count()
    {
        var answer = await _caller.GraphAsync(
            HttpMethod.Get, "users?$filter=endsWith(mail,'@sandbox.example')&$count=true&$top=1", null, ("ConsistencyLevel", "eventual"));

        Assert.Equal(25, (int?)answer.Body!["@odata.count"]);
    }

    [Fact]
    public async Task More_clauses_than_Graph_takes_are_refused()
    {
        string Filter(int clauses) => string.Join(" or ", Enumerable.Range(1001, clauses).Select(number => $"employeeId eq 'E{number}'"));

        Assert.Equal(15, (await GetAsync($"users?$filter={Filter(15)}")).Body!["value"]!.Count());
        Assert.Equal(400, (await GetAsync($"users?$filter={Filter(16)}")).Status);
    }

    [Fact]
    public async Task Pages_are_linked_until_everybody_was_seen()
    {
        var seen = new List<string>();
        var next = $"{_caller.Server.Graph}/users?$select=employeeId&$top=10";
        var pages = 0;
        while (next is not null)
        {
            var page = await _caller.GetAsync(next);
            seen.AddRange(page.Body!["value"]!.Select(user => (string)user["employeeId"]!));
            next = (string?)page.Body["@odata.nextLink"];
            Assert.True(next is null || next.StartsWith($"{_caller.Server.Graph}/users?", StringComparison.Ordinal));
            pages++;
        }

        Assert.Equal(3, pages);
        Assert.Equal(Enumerable.Range(1001, 25).Select(number => $"E{number}"), seen);
        Assert.Equal(400, (await GetAsync("users?$top=1000")).Status);
        Assert.Equal(400, (await GetAsync("users?$skiptoken=zz")).Status);
    }

    [Fact]
    public async Task Disabling_answers_204_and_ends_no_session()
    {
        var answer = await PatchAsync("e1001@sandbox.example", """{"accountEnabled":false}""");
        var account = _caller.Server.Directory["E1001"].Entra!;

        Assert.Equal((204, ""), (answer.Status, answer.Text));
        Assert.Equal((false, 3), (account.AccountEnabled, account.Sessions));
        Assert.Equal(1, _caller.Server.Directory["E1001"].Mutations[SandboxOperations.GraphUpdate]);
    }

    [Fact]
    public async Task Revoking_moves_the_sessions_start_to_the_second_and_ends_them()
    {
        var answer = await _caller.GraphAsync(HttpMethod.Post, "users/5a4d0000-0000-4000-8000-000000001001/revokeSignInSessions");
        var user = await GetAsync("users/e1001@sandbox.example?$select=signInSessionsValidFromDateTime");

        Assert.Equal((200, $$"""{"@odata.context":"{{_caller.Server.Graph}}/$metadata#Edm.Boolean","value":true}"""), (answer.Status, answer.Text));
        Assert.Contains("\"2026-11-22T01:00:00Z\"", user.Text, StringComparison.Ordinal);
        Assert.Equal(0, _caller.Server.Directory["E1001"].Entra!.Sessions);
        Assert.True(_caller.Server.Directory["E1001"].Entra!.AccountEnabled);
    }

    [Theory]
    [InlineData("e1001@sandbox.example", """{"accountEnabled":"no"}""")]
    [InlineData("e1001@sandbox.example", """{"id":"x"}""")]
    [InlineData("e1001@sandbox.example", "{}")]
    [InlineData("e1019@sandbox.example", """{"displayName":"x"}""")]
    public async Task Updates_that_Graph_refuses_change_nothing(string user, string body)
    {
        var answer = await PatchAsync(user, body);

        Assert.Equal((400, "Request_BadRequest"), (answer.Status, answer["error.code"]));
        Assert.All(_caller.Server.Directory.People, person => Assert.Empty(person.Mutations));
    }

    [Fact]
    public async Task Bodies_are_read_as_Graph_reads_them()
    {
        async Task<Answer> SendAsync(HttpContent content) => await _caller.SendAsync(
            HttpMethod.Patch, $"{_caller.Server.Graph}/users/e1002@sandbox.example", null, request => request.Content = content);
        var compressed = new MemoryStream();
        await using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            await gzip.WriteAsync("""{"accountEnabled":false}"""u8.ToArray(), TestContext.Current.CancellationToken);
        }

        var noType = await SendAsync(new ByteArrayContent("{}"u8.ToArray()));
        var wrongType = await SendAsync(new StringContent("{}", Encoding.UTF8, "text/plain"));
        var malformed = await SendAsync(new StringContent("{", Encoding.UTF8, "application/json"));
        var twice = await SendAsync(new StringContent("""{"accountEnabled":true,"accountEnabled":false}""", Encoding.UTF8, "application/json"));
        var large = await SendAsync(new StringContent(new string(' ', SandboxApplication.MaximumGraphBody + 1), Encoding.UTF8, "application/json"));
        var zipped = await SendAsync(new ByteArrayContent(compressed.ToArray())
        {
            Headers = { ContentType = new MediaTypeHeaderValue("application/json"), ContentEncoding = { "gzip" } },
        });

        Assert.Equal([400, 415, 400, 400, 413, 204], new[] { noType, wrongType, malformed, twice, large, zipped }.Select(answer => answer.Status));
        Assert.Equal(1, _caller.Server.Directory["E1002"].Mutations[SandboxOperations.GraphUpdate]);
    }

    [Fact]
    public async Task Nobody_is_a_404_with_the_ids_of_the_call()
    {
        var answer = await _caller.GraphAsync(HttpMethod.Get, "users/nobody@sandbox.example", null, ("client-request-id", "call-17"));

        Assert.Equal((404, "Request_ResourceNotFound"), (answer.Status, answer["error.code"]));
        Assert.Equal(
            "Resource 'nobody@sandbox.example' does not exist or one of its queried reference-property objects are not present.",
            answer["error.message"]);
        Assert.Equal("call-17", answer["error.innerError.client-request-id"]);
        Assert.Equal("call-17", Assert.Single(answer.Headers.GetValues("client-request-id")));
        Assert.Equal(answer["error.innerError.request-id"], Assert.Single(answer.Headers.GetValues("request-id")));
    }

    [Fact]
    public async Task Deleted_users_are_found_among_the_deleted_items_only_and_can_be_restored()
    {
        var deleted = await _caller.GraphAsync(HttpMethod.Delete, "users/e1005@sandbox.example");
        var gone = await GetAsync("users/e1005@sandbox.example");
        var listed = await GetAsync("directory/deletedItems/microsoft.graph.user?$filter=employeeId eq 'E1005'&$select=id,employeeId,userPrincipalName");
        var everybody = await GetAsync("directory/deletedItems/microsoft.graph.user?$select=employeeId");
        var restored = await _caller.GraphAsync(HttpMethod.Post, $"directory/deletedItems/{listed["value[0].id"]}/restore");

        Assert.Equal((204, 404), (deleted.Status, gone.Status));
        Assert.Equal("5a4d000000004000800000000000" + "1005e1005@sandbox.example", listed["value[0].userPrincipalName"]);
        Assert.Contains("\"deletedDateTime\":\"2026-11-22T01:00:00Z\"", listed.Text, StringComparison.Ordinal);
        Assert.Equal(["E0901", "E1005"], everybody.Body!["value"]!.Select(user => (string?)user["employeeId"]));
        Assert.Equal((200, "e1005@sandbox.example"), (restored.Status, restored["userPrincipalName"]));
        Assert.Equal(200, (await GetAsync("users/e1005@sandbox.example")).Status);
    }

    [Fact]
    public async Task Groups_and_directory_roles_are_told_apart()
    {
        var answer = await GetAsync("users/e1018@sandbox.example/memberOf");

        Assert.Equal(
            ["#microsoft.graph.group:All staff", "#microsoft.graph.group:VPN", "#microsoft.graph.directoryRole:Global Administrator"],
            answer.Body!["value"]!.Select(item => $"{item["@odata.type"]}:{item["displayName"]}"));
    }

    [Fact]
    public async Task Unknown_paths_properties_and_methods_are_refused()
    {
        var path = await GetAsync("me/oddity");
        var property = await GetAsync("users?$select=shoeSize");
        var method = await _caller.GraphAsync(HttpMethod.Put, "users/e1001@sandbox.example", "{}");

        Assert.Equal((400, "BadRequest", "Resource not found for the segment 'oddity'."), (path.Status, path["error.code"], path["error.message"]));
        Assert.Equal((400, "BadRequest"), (property.Status, property["error.code"]));
        Assert.Contains("'shoeSize' on type 'microsoft.graph.user'", property["error.message"], StringComparison.Ordinal);
        Assert.Equal(405, method.Status);
    }

    private Task<Answer> GetAsync(string path) => _caller.GraphAsync(HttpMethod.Get, path);

    private Task<Answer> PatchAsync(string user, string body) => _caller.GraphAsync(HttpMethod.Patch, $"users/{user}", body);
}
