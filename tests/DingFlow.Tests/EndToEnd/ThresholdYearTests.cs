using System.Globalization;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using DingFlow.Tests.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Limits over the turn of a year: the whole product over HTTP, on a clock that the test sets.</summary>
public sealed class ThresholdYearTests
{
    private static readonly Dictionary<string, string> Settings = new()
    {
        ["Exporters:acme-zhuhai:Name"] = "Acme (Zhuhai)",
        // The timer is fired by the tests alone.
        ["Alerts:Interval"] = "0 0 0 1 7 *",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Levels_restart_at_the_first_moment_of_the_year_in_Shanghai_and_what_was_reached_stands()
    {
        using var data = new DataDirectory();
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T15:40:00Z", Settings))
        {
            await ExportAsync(program, "2026", Enumerable.Range(1, 5_000), "2026-12-31T23:30:00+08:00", "bankCardNumber");
            await program.TickAsync("CheckThresholds");
            await EventuallyToldAsync(program, "CN24-SA-SPI 50 open", "CN24-SC-SPI 100 open", "CN26-CERT-SPI 100 open");
            // One more comes before midnight, and nobody looks any more.
            await ExportAsync(program, "last", Enumerable.Range(5_001, 5_000), "2026-12-31T23:35:00+08:00", "bankCardNumber");
        }

        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T16:00:00Z", Settings))
        {
            var standing = await StandingAsync(program);
            Assert.Equal(("EXEMPT", 0, "2027-01-01"), ((string?)standing["tier"], (int)RuleOf(standing, "CN24-SA-SPI")["count"]!, (string?)RuleOf(standing, "CN24-SA-SPI")["window"]!["from"]));
            await program.TickAsync("CheckThresholds");
            await program.TickAsync("CheckThresholds");

            // The approach of last year is over; what it reached after the last look is told with its own window, and the rest stands.
            await EventuallyToldAsync(program, "CN24-SA-SPI 100 open", "CN24-SA-SPI 50 resolved", "CN24-SC-SPI 100 open", "CN26-CERT-SPI 100 open");
            var late = (await AlertsAsync(program)).Single(static alert => (string?)alert["details"]!["rule"] == "CN24-SA-SPI" && (string?)alert["details"]!["percent"] == "100");
            Assert.Equal(("2026-01-01", "2026-12-31", "10000"), ((string?)late["details"]!["from"], (string?)late["details"]!["to"], (string?)late["details"]!["count"]));
            Assert.Equal(["2026-cn-2024-SA", "2026-cn-2024-SC_OR_CERT"], (await StandingAsync(program))["latched"]!.Select(static tier => (string?)tier["key"]));

            await ExportAsync(program, "2027", Enumerable.Range(1, 5_000), "2027-01-01T00:00:00+08:00", "bankCardNumber");
            await program.TickAsync("CheckThresholds");
            await EventuallyToldAsync(
                program, "CN24-SA-SPI 100 open", "CN24-SA-SPI 50 open", "CN24-SA-SPI 50 resolved", "CN24-SC-SPI 100 open", "CN24-SC-SPI 100 open", "CN26-CERT-SPI 100 open", "CN26-CERT-SPI 100 open");
        }
    }

    [Fact]
    public async Task A_push_of_120_000_customers_in_December_is_the_duty_of_its_year_and_the_next_year_begins_at_its_own_ten()
    {
        using var data = new DataDirectory();
        await using var program = await ClockedProgram.StartAsync(data.Path, "2026-01-06T02:00:00Z", Settings);
        await ExportAsync(program, "push", Enumerable.Range(1, 120_000), "2025-12-10T12:00:00+08:00", "name");
        await ExportAsync(program, "january", Enumerable.Range(1, 10), "2026-01-05T12:00:00+08:00", "name");
        await program.TickAsync("CheckThresholds");

        var standing = await StandingAsync(program);
        Assert.Equal("EXEMPT", (string?)standing["tier"]);
        Assert.Equal((10, true), ((int)RuleOf(standing, "CN24-EX-VOL")["count"]!, (bool)RuleOf(standing, "CN24-EX-VOL")["reached"]!));
        Assert.Equal(["2025-cn-2024-SC_OR_CERT"], standing["latched"]!.Select(static tier => (string?)tier["key"]));
        await EventuallyToldAsync(program, "CN24-SC-PI 100 open");

        // The recipient may still ask for the same persons: they are exported anew.
        await ExportAsync(program, "open access", Enumerable.Range(1, 120_000), "2026-01-01T00:00:00+08:00", "name");
        var open = await StandingAsync(program);
        Assert.Equal(("SC_OR_CERT", 120_000), ((string?)open["tier"], (int)RuleOf(open, "CN24-SC-PI")["count"]!));
    }

    [Fact]
    public async Task A_silence_ends_by_itself_and_only_an_acknowledgement_ends_the_daily_repetition()
    {
        using var data = new DataDirectory();
        var now = new DateTimeOffset(2026, 3, 2, 1, 2, 0, TimeSpan.Zero);
        await using var receiver = await Alerts.AlertReceiver.StartAsync(() => now, Cancellation);
        var settings = new Dictionary<string, string>(Settings)
        {
            ["Alerts:Channels:ops:Type"] = "webhook", ["Alerts:Channels:ops:Url"] = receiver.Url.ToString(), ["Alerts:Channels:ops:Secret"] = receiver.Secret,
        };
        string path;
        await using (var program = await StartAsync())
        {
            await ExportAsync(program, "b", [1], "2026-03-02T09:00:00+08:00", "bankCardNumber");
            await program.TickAsync("CheckThresholds");
            await EventuallyToldAsync(program, "CN24-SC-SPI 100 open", "CN26-CERT-SPI 100 open");
            path = $"/api/alerts/{(await AlertsAsync(program)).Single(static alert => (string?)alert["details"]!["rule"] == "CN24-SC-SPI")["id"]}";
            await ReceivedAsync(1);
            var silence = await program.Operator.AskAsync(HttpMethod.Post, path + "/silence", $$"""{"until":"{{now.AddHours(48):O}}","reason":"Counsel looks at it."}""");
            Assert.True(silence.Status == 200, silence.Text);
        }

        foreach (var (hours, occurrence) in ((int, int)[])[(25, 1), (24, 2), (23, 2), (2, 3)])
        {
            now = now.AddHours(hours);
            await using var program = await StartAsync();
            await program.TickAsync("RepeatAlerts");
            Assert.Equal(occurrence, (int)(await program.Operator.AskAsync(HttpMethod.Get, path)).Json["occurrence"]!);
            await ReceivedAsync(occurrence);
        }

        now = now.AddMinutes(1);
        await using (var program = await StartAsync())
        {
            Assert.Equal(200, (await program.Operator.AskAsync(HttpMethod.Post, path + "/acknowledge", """{"reason":"We are filing."}""")).Status);
        }

        now = now.AddHours(100);
        await using (var program = await StartAsync())
        {
            await program.TickAsync("RepeatAlerts");
            var alert = (await program.Operator.AskAsync(HttpMethod.Get, path)).Json;
            Assert.Equal((3, "acknowledged"), ((int)alert["occurrence"]!, (string?)alert["state"]));
            await ReceivedAsync(3);
        }

        Task<ClockedProgram> StartAsync() => ClockedProgram.StartAsync(data.Path, now.ToString("O", CultureInfo.InvariantCulture), settings);

        // Every telling is a message of its own, rightly signed.
        Task ReceivedAsync(int tellings) => Eventually.IsTrueAsync(
            () =>
            {
                var told = receiver.Received.Where(static message => System.Text.Encoding.UTF8.GetString(message.Body).Contains("CN24-SC-SPI", StringComparison.Ordinal)).ToList();
                Assert.All(told, static message => Assert.Equal(DingFlow.Intake.SignatureVerdict.Valid, message.Verdict));
                return Task.FromResult(told.Count == tellings && told.Select(static message => message.Id).Distinct().Count() == tellings);
            },
            () => $"{tellings} tellings", Cancellation);
    }

    [Fact]
    public async Task A_contact_list_that_cannot_be_read_in_the_night_is_read_again_and_keeps_nobody_else_from_being_counted()
    {
        using var data = new DataDirectory();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        var settings = OutsideSandbox.Settings(
            sandbox, ("DingFlow:Region", "SG"), ("HrSources:okta:Dialect", "scim"), ("HrSources:okta:Exporter", "acme-zhuhai"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"),
            ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)"), ("Auth:ApiKeys:okta:Hash", ConfiguredProgram.HashOf(Scim.ScimProgram.Key)), ("Auth:ApiKeys:okta:Roles", "scim"));
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-30T02:00:00Z", settings))
        {
            using var provider = new HttpClient { BaseAddress = program.Client.BaseAddress };
            provider.DefaultRequestHeaders.Authorization = new("Bearer", Scim.ScimProgram.Key);
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/scim/v2/okta/Users")
            {
                Content = new StringContent(Scim.ScimProgram.User("e9001@sandbox.example", "E9001").ToString(), System.Text.Encoding.UTF8, "application/scim+json"),
            };
            Assert.Equal(201, (await provider.AskAsync(request)).Status);
            await Eventually.IsTrueAsync(async () => await CountAsync(program, 2026) == 1, () => "the provisioned one", Cancellation);
        }

        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T16:21:00Z", settings))
        {
            // An hour of DingTalk's own trouble.
            sandbox.Faults.Set([new SandboxFault { Kind = SandboxFaultKind.ServerError, Operation = "user.list" }]);
            await program.TickAsync("CountDingTalkContacts");

            Assert.Equal(1, await CountAsync(program, 2027));
            await Eventually.IsTrueAsync(
                async () => (await program.Operator.AskAsync(HttpMethod.Get, "/api/alerts?type=transfers.contacts_failed")).Json["items"]!.Any(), () => "people told", Cancellation);
        }

        var before = sandbox.Journal.Entries.Count(static entry => entry.Operation == "user.list");
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T16:55:00Z", settings))
        {
            await Eventually.IsTrueAsync(
                () => Task.FromResult(sandbox.Journal.Entries.Count(static entry => entry.Operation == "user.list") > before), () => "a second attempt", Cancellation);
            Assert.Equal(1, await CountAsync(program, 2027));
        }

        sandbox.Faults.Clear();
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T17:30:00Z", settings))
        {
            await Eventually.IsTrueAsync(async () => await CountAsync(program, 2027) == 26, () => "everybody counted anew", Cancellation);
        }
    }

    private static async Task ExportAsync(ClockedProgram program, string key, IEnumerable<int> persons, string at, string field)
    {
        using var sender = new TransferSender(program.CreateOperator());
        var lines = string.Concat(persons.Select(number => string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"id":"t-{{number}}","occurredAt":"{{at}}","exporter":"acme-zhuhai","subject":{"type":"customerId","id":"C{{number}}"},"fields":["{{field}}"],"origin":"CN","destination":"SG","recipient":"acme-sg","purpose":"sales","legalBasis":"contract","method":"api","system":"crm"}""") + "\n"));
        var answer = await sender.PostAsync(lines, TransferSender.NdJson, key);
        Assert.True(answer.Status == 202 && (int)answer.Json["rejectedCount"]! == 0, answer.Text);
    }

    private static async Task<JObject> StandingAsync(ClockedProgram program) =>
        (JObject)(await program.Operator.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=acme-zhuhai")).Json;

    private static JToken RuleOf(JObject standing, string rule) => standing["rules"]!.Single(one => (string?)one["rule"] == rule);

    private static async Task<List<JToken>> AlertsAsync(ClockedProgram program) =>
        [.. (await program.Operator.AskAsync(HttpMethod.Get, "/api/alerts?type=thresholds&limit=200")).Json["items"]!];

    private static async Task<int> CountAsync(ClockedProgram program, int year)
    {
        using var sender = new TransferSender(program.CreateOperator());
        return (int)(await sender.CountersAsync("acme-zhuhai", year))["subjects"]!;
    }

    /// <summary>The alerts on thresholds, each as <c>rule percent state</c>, whatever their order.</summary>
    private static Task EventuallyToldAsync(ClockedProgram program, params string[] expected)
    {
        string[] told = [];
        return Eventually.IsTrueAsync(
            async () =>
            {
                told = [.. (await AlertsAsync(program)).Select(static alert => $"{alert["details"]!["rule"]} {alert["details"]!["percent"]} {alert["state"]}").Order(StringComparer.Ordinal)];
                return told.SequenceEqual(expected.Order(StringComparer.Ordinal));
            },
            () => $"{string.Join(", ", expected)}; there are {string.Join(", ", told)}", Cancellation);
    }
}
