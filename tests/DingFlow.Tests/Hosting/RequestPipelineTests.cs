using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Hosting;

public sealed partial class RequestPipelineTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_answer_carries_its_request_id_and_no_server_header()
    {
        await using var program = await Program(context => context.Response.WriteAsync("ok")).StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/probe/1");
        request.Headers.Add("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

        using var answer = await program.Client.SendAsync(request, Cancellation);

        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", Header(answer, "x-request-id"));
        Assert.StartsWith("00-4bf92f3577b34da6a3ce929d0e0e4736-", Header(answer, "traceparent"), StringComparison.Ordinal);
        Assert.Equal("nosniff", Header(answer, "x-content-type-options"));
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.False(answer.Headers.Contains("Server"));
    }

    [Fact]
    public async Task An_unknown_route_is_a_problem()
    {
        await using var program = await Program(_ => Task.CompletedTask).StartAsync();

        await AssertProblem(await program.Client.GetAsync("/api/nothing", Cancellation), HttpStatusCode.NotFound, "not-found");
    }

    [Fact]
    public async Task A_wrong_method_is_a_problem_that_names_the_right_one()
    {
        await using var program = await Program(_ => Task.CompletedTask).StartAsync();

        using var answer = await program.Client.DeleteAsync("/api/probe/1", Cancellation);

        Assert.Equal(["GET", "POST"], answer.Content.Headers.Allow.Order());
        await AssertProblem(answer, HttpStatusCode.MethodNotAllowed, "method-not-allowed");
    }

    [Fact]
    public async Task An_exception_becomes_a_problem_without_its_text()
    {
        await using var program = await Program(_ => throw new InvalidOperationException("e1001@sandbox.example")).StartAsync();

        using var answer = await program.Client.GetAsync("/api/probe/1", Cancellation);

        Assert.DoesNotContain("sandbox.example", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        await AssertProblem(answer, HttpStatusCode.InternalServerError, "internal");
    }

    [Fact]
    public async Task A_store_or_queue_that_is_down_is_unavailable_for_a_while()
    {
        foreach (var exception in (Exception[])[new EntityStoreException("down"), new MessageQueueException("down")])
        {
            await using var program = await Program(_ => throw exception).StartAsync();

            using var answer = await program.Client.GetAsync("/api/probe/1", Cancellation);

            Assert.Equal(TimeSpan.FromSeconds(10), answer.Headers.RetryAfter?.Delta);
            await AssertProblem(answer, HttpStatusCode.ServiceUnavailable, "unavailable");
        }
    }

    [Fact]
    public async Task An_answer_that_breaks_off_half_way_is_aborted()
    {
        await using var program = await Program(async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.WriteAsync("half");
            throw new InvalidOperationException("broken");
        }).StartAsync();

        await Assert.ThrowsAsync<HttpRequestException>(() => program.Client.GetStringAsync("/api/probe/1", Cancellation));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_beyond_the_limit_is_too_large_whether_or_not_its_length_is_told(bool chunked)
    {
        await using var program = await Program(Echo).StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/probe/1") { Content = Json($$"""{"name":"{{new string('x', 200)}}"}""") };
        request.Headers.TransferEncodingChunked = chunked;

        await AssertProblem(await program.Client.SendAsync(request, Cancellation), HttpStatusCode.RequestEntityTooLarge, "too-large");
    }

    [Theory]
    [InlineData("{", "$")]
    [InlineData("", "$")]
    [InlineData("null", "JSON object")]
    [InlineData("[]", "$")]
    [InlineData("""{"name":{"secret":"e1001@sandbox.example"}}""", "$.name")]
    public async Task Malformed_json_is_a_problem_that_quotes_nothing(string body, string detail)
    {
        await using var program = await Program(Echo).StartAsync();

        using var answer = await program.Client.PostAsync("/api/probe/1", Json(body), Cancellation);
        var problem = await AssertProblem(answer, HttpStatusCode.BadRequest, "malformed");

        Assert.Contains(detail, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("sandbox.example", problem.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_content_type_is_refused()
    {
        await using var program = await Program(Echo).StartAsync();

        using var answer = await program.Client.PostAsync("/api/probe/1", new StringContent("name=x", Encoding.UTF8, "text/plain"), Cancellation);

        await AssertProblem(answer, HttpStatusCode.UnsupportedMediaType, "unsupported-media-type");
    }

    [Fact]
    public async Task Json_goes_in_and_comes_out()
    {
        await using var program = await Program(Echo).StartAsync();

        using var answer = await program.Client.PostAsync("/api/probe/1", Json("""{"name":"部门"}"""), Cancellation);

        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal("部门", json.RootElement.GetProperty("name").GetString());
    }

    [Fact]
    public async Task Route_values_reach_the_function()
    {
        await using var program = await Program(context => context.Response.WriteAsync((string)context.Request.RouteValues["id"]!)).StartAsync();

        Assert.Equal("a b", await program.Client.GetStringAsync("/api/probe/a%20b", Cancellation));
    }

    [Fact]
    public void Every_problem_is_documented_with_its_status()
    {
        var documented = File.ReadLines(Path.Combine(Infrastructure.Repository.Root, "functions", "docs", "problems.md"))
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries)).Select(cells => (cells[1].Trim('`'), cells[2])).Order();

        var existing = Enum.GetValues<ProblemCode>()
            .Select(code => (code.Slug(), code.Status().ToString(System.Globalization.CultureInfo.InvariantCulture))).Order();

        Assert.Equal(existing, documented);
        Assert.All(Enum.GetValues<ProblemCode>(), code => Assert.NotEmpty(code.Title()));
    }

    private static TestProgram Program(Func<HttpContext, Task> body) =>
        new TestProgram().Function(TestProgram.HttpJson("probe/{id}", "get", "post"), new HttpProbe(body));

    private static async Task Echo(HttpContext context)
    {
        if (await context.ReadJsonAsync(EchoJson.Default.Named, maxBytes: 100) is { } named)
        {
            await context.WriteJsonAsync(named, EchoJson.Default.Named, StatusCodes.Status202Accepted);
        }
    }

    private static StringContent Json(string body) => new(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    private static string Header(HttpResponseMessage answer, string name) => Assert.Single(answer.Headers.GetValues(name));

    private static async Task<JsonElement> AssertProblem(HttpResponseMessage answer, HttpStatusCode status, string code)
    {
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal($"urn:dingflow:problem:{code}", json.RootElement.GetProperty("type").GetString());
        Assert.Equal((int)status, json.RootElement.GetProperty("status").GetInt32());
        Assert.Equal(Header(answer, "x-request-id"), json.RootElement.GetProperty("requestId").GetString());
        return json.RootElement.Clone();
    }

    internal sealed record Named(string Name);

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(Named))]
    internal sealed partial class EchoJson : JsonSerializerContext;
}
