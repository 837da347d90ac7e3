using System.Buffers;
using System.Text;
using System.Text.Json;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Audit;

/// <summary>What leaves the trail is valid in its form, and is only what the key may see.</summary>
public sealed class AuditExportTests
{
    private const string ConfinedKey = "confined-auditor";

    /// <summary>What OCSF 1.3.0 knows of the three classes: base event, then the class. Not all of it: what has no place here is refused.</summary>
    private static readonly string[] s_base =
    [
        "activity_id", "activity_name", "category_uid", "category_name", "class_uid", "class_name", "type_uid", "type_name", "time", "severity_id", "severity",
        "status_id", "status", "status_code", "status_detail", "message", "metadata", "unmapped", "observables", "raw_data", "enrichments",
    ];

    private static readonly Dictionary<int, (string[] Known, string[] Required, string[] OneOf, int[] Activities)> s_classes = new()
    {
        [3002] = (["actor", "user", "service", "dst_endpoint", "src_endpoint", "session", "http_request"], ["user"], ["service", "dst_endpoint"], [0, 1, 2, 3, 4, 5, 6, 99]),
        [3005] = (["user", "privileges", "resource", "src_endpoint", "http_request"], ["user", "privileges"], ["user"], [0, 1, 2, 99]),
        [6003] = (["actor", "api", "src_endpoint", "dst_endpoint", "http_request", "resources"], ["actor", "api", "src_endpoint"], ["api"], [0, 1, 2, 3, 4, 99]),
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_kind_of_entry_is_a_valid_event_of_the_open_schema()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        var change = new Dictionary<string, string> { ["source"] = "entra", ["who"] = "entra:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", ["permission"] = "Global Reader", ["name"] = "" };
        foreach (var (kind, details) in new (string, Dictionary<string, string>)[]
        {
            ("tests.happened", []), ("authentication.accepted", []), ("authentication.refused", []), ("authorization.refused", []),
            ("permissions.gained", change), ("permissions.lost", change), ("permissions.snapshot_taken", []), ("permissions.report_made", []), ("permissions.reported", change),
        })
        {
            foreach (var outcome in Enum.GetValues<AuditOutcome>())
            {
                await feature.Trail.AppendAsync(
                    TrailDriver.Event("line\u2028separator", new(kind, AuditRetention.Legal, "x.")) with { Outcome = outcome, On = new("route", "SearchAudit"), RequestId = "r-1", Details = details, CaseId = "c-1" },
                    Cancellation);
            }
        }

        await foreach (var found in feature.Search.ReadAsync(new(), new(), Cancellation))
        {
            foreach (var one in new[] { found, found with { Content = null, Entry = found.Entry with { Content = null } } })
            {
                var output = new ArrayBufferWriter<byte>();
                new OcsfFormat().Write(output, one);
                Assert.Equal(1, output.WrittenSpan.Count((byte)'\n'));
                using var json = JsonDocument.Parse(output.WrittenMemory);
                Check(json.RootElement);
            }

            if (found.Entry.Kind is "permissions.gained" or "permissions.lost")
            {
                var output = new ArrayBufferWriter<byte>();
                new OcsfFormat().Write(output, found);
                using var json = JsonDocument.Parse(output.WrittenMemory);
                Assert.Equal((3005, found.Entry.Kind == "permissions.gained" ? 1 : 2), (json.RootElement.GetProperty("class_uid").GetInt32(), json.RootElement.GetProperty("activity_id").GetInt32()));
                Assert.Equal("Global Reader", json.RootElement.GetProperty("privileges")[0].GetString());
                Assert.Equal(change["who"], json.RootElement.GetProperty("user").GetProperty("uid").GetString());
            }
        }
    }

    [Theory]
    [InlineData("seals", "2026-11-25")]
    [InlineData(AuditRows.ChainsPartition, "other")]
    public async Task Where_a_seal_or_a_chain_is_damaged_an_export_says_so_before_it_begins_and_is_not_told_as_one(string partition, string row)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await TrailMeddling.WriteAsync(feature, new Entity(partition, row) { Properties = { ["Schema"] = 1, ["C0"] = "{"u8.ToArray(), ["SealedThrough"] = "x" } });
        var context = new DefaultHttpContext { RequestServices = new ServiceCollection().AddLogging().BuildServiceProvider(), Response = { Body = new MemoryStream() } };
        context.Request.QueryString = new("?from=2026-11-24&format=csv");
        await new ExportAudit(feature.Search, feature.Trail, driver.Time).InvokeAsync(context);

        Assert.Equal((503, "application/problem+json"), (context.Response.StatusCode, context.Response.ContentType?.Split(';')[0]));
        Assert.False(context.Response.Headers.ContainsKey(ExportAudit.ThroughHeader));
        Assert.Empty(context.Response.Headers.ContentDisposition.ToString());
        Assert.DoesNotContain("main,1,", Encoding.UTF8.GetString(((MemoryStream)context.Response.Body).ToArray()), StringComparison.Ordinal);
        Assert.DoesNotContain(await driver.ReadAsync(), static entry => entry.Kind == "audit.exported");
    }

    [Fact]
    public async Task A_key_that_is_confined_to_exporters_sees_their_entries_only()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["Auth:ApiKeys:confined:Hash"] = ConfiguredProgram.HashOf(ConfinedKey), ["Auth:ApiKeys:confined:Roles"] = "audit.read,audit.hold",
            ["Auth:ApiKeys:confined:Exporters"] = "acme-zhuhai",
            ["Auth:ApiKeys:sender:Hash"] = ConfiguredProgram.HashOf("sender"), ["Auth:ApiKeys:sender:Roles"] = "audit.read",
        });
        using var sender = program.CreateOperator("sender");
        const string Search = """{"type":"employeeId","identifier":"E1001","reason":"access request"}""";
        foreach (var exporter in (string[])["acme-zhuhai", "acme-sg"])
        {
            // A look at the entries about an exporter is itself an entry about it.
            Assert.Equal(200, (await sender.AskAsync(HttpMethod.Get, $"/api/audit?exporter={exporter}")).Status);
            Assert.Equal(200, (await sender.AskAsync(HttpMethod.Post, "/api/audit/search", Search)).Status);
        }

        var all = (await sender.AskAsync(HttpMethod.Get, "/api/audit?limit=1000")).Json["items"]!;
        Assert.Contains(all, static entry => (string?)entry["exporter"] == "acme-zhuhai");
        var foreign = all.First(static entry => (string?)entry["exporter"] == "acme-sg");

        using var confined = program.CreateOperator(ConfinedKey);
        var seen = (await confined.AskAsync(HttpMethod.Get, "/api/audit?limit=1000")).Json["items"]!;
        Assert.NotEmpty(seen);
        Assert.All(seen, static entry => Assert.Equal("acme-zhuhai", (string?)entry["exporter"]));
        (await confined.AskAsync(HttpMethod.Get, "/api/audit?exporter=acme-sg")).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Get, "/api/audit/export?exporter=acme-sg")).IsProblem(403, "forbidden");
        foreach (var format in (string[])["jsonl", "csv", "ocsf"])
        {
            var export = await confined.AskAsync(HttpMethod.Get, $"/api/audit/export?format={format}");
            Assert.Contains("acme-zhuhai", export.Text, StringComparison.Ordinal);
            Assert.DoesNotContain((string)foreign["hash"]!, export.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("policy.stated", export.Text, StringComparison.Ordinal);
        }

        Assert.NotEmpty((await sender.AskAsync(HttpMethod.Post, "/api/audit/search", Search)).Json["items"]!);
        Assert.Empty((await confined.AskAsync(HttpMethod.Post, "/api/audit/search", Search)).Json["items"]!);
        (await confined.AskAsync(HttpMethod.Get, $"/api/audit/{foreign["chain"]}/{foreign["sequence"]}/proof")).IsProblem(404, "not-found");
        foreach (var route in (string[])["permissions/report", "audit/holds"])
        {
            (await confined.AskAsync(HttpMethod.Get, $"/api/{route}")).IsProblem(403, "forbidden");
        }

        (await confined.AskAsync(HttpMethod.Post, "/api/audit/holds", """{"caseId":"c-1","reason":"litigation"}""")).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Post, "/api/audit/holds/c-1/release", """{"reason":"settled"}""")).IsProblem(403, "forbidden");

        // Whether the trail is whole concerns everybody, and names nobody.
        Assert.True((bool)(await confined.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json["ok"]!);
    }

    private static void Check(JsonElement root)
    {
        var names = root.EnumerateObject().Select(static member => member.Name).ToList();
        Assert.Equal(names.Distinct(), names);
        int Number(string name) => root.GetProperty(name).GetInt32();
        var (known, required, oneOf, activities) = s_classes[Number("class_uid")];
        Assert.All(names, name => Assert.True(s_base.Contains(name) || known.Contains(name), $"{name} is no attribute of {Number("class_uid")}"));
        Assert.All(["activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id", "metadata", .. required], name => Assert.Contains(name, names));
        Assert.Contains(oneOf, name => names.Contains(name));
        Assert.Contains(Number("activity_id"), activities);
        Assert.Equal((Number("class_uid") / 1000, (Number("class_uid") * 100) + Number("activity_id")), (Number("category_uid"), Number("type_uid")));
        Assert.True(Number("activity_id") != 99 || root.GetProperty("activity_name").GetString() is { Length: > 0 }, "what is Other says what it is");
        Assert.InRange(Number("severity_id"), 0, 6);
        Assert.InRange(Number("status_id"), 0, 2);
        var metadata = root.GetProperty("metadata");
        Assert.Equal(("1.3.0", "DingFlow"), (metadata.GetProperty("version").GetString(), metadata.GetProperty("product").GetProperty("vendor_name").GetString()));
        foreach (var user in new[] { root, names.Contains("actor") ? root.GetProperty("actor") : root })
        {
            if (user.TryGetProperty("user", out var who))
            {
                Assert.False(string.IsNullOrEmpty(who.GetProperty("uid").GetString()));
                Assert.Contains(who.GetProperty("type_id").GetInt32(), (int[])[0, 1, 2, 3, 99]);
            }
        }

        if (names.Contains("api"))
        {
            Assert.False(string.IsNullOrEmpty(root.GetProperty("api").GetProperty("operation").GetString()));
            Assert.True(!root.GetProperty("api").TryGetProperty("request", out var request) || request.GetProperty("uid").GetString() is { Length: > 0 });
        }
    }
}
