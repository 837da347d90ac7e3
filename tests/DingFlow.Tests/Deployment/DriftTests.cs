using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Deployment;

/// <summary>
/// What the infrastructure names and what the program reads are the same: queues, timers with their schedules, settings, metrics. Whoever
/// adds one to the program is told here what to add to <c>infra/</c>.
/// </summary>
public sealed partial class DriftTests
{
    private const string DeadLetters = "/$DeadLetterQueue";

    /// <summary>The longest silence that an alert rule on logs can notice: it looks back two days.</summary>
    private static readonly TimeSpan Noticeable = TimeSpan.FromHours(46);

    /// <summary>Settings that the Functions host reads.</summary>
    private static readonly string[] OfTheHost =
    [
        "AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__clientId", "AzureWebJobsStorage__credential",
        "AzureWebJobsStorage__queueServiceUri", "AzureWebJobsStorage__tableServiceUri",
        "FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE",
    ];

    public static TheoryData<string> Environments => [.. Bicep.Environments];

    private static IEnumerable<(string Function, JsonElement Trigger)> Triggers(string type)
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "functions", "Triggers"), "function.json", SearchOption.AllDirectories))
        {
            using var document = JsonDocument.Parse(File.ReadAllText(file), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            foreach (var binding in document.RootElement.GetProperty("bindings").EnumerateArray().Where(b => b.GetProperty("type").GetString() == type))
            {
                yield return (Path.GetFileName(Path.GetDirectoryName(file))!, binding.Clone());
            }
        }
    }

    private static JsonElement Json(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Bicep.PathOf(file)));
        return document.RootElement.Clone();
    }

    [Fact]
    public void Queues_of_the_infrastructure_are_those_of_the_program()
    {
        var expected = Queues.All.Select(q => string.Create(
            CultureInfo.InvariantCulture,
            $$"""{ "name": "{{q.Name}}", "requiresSession": {{(q.RequiresSession ? "true" : "false")}}, "duplicateDetection": "{{XmlConvert.ToString(q.DuplicateDetection)}}", "lockDuration": "{{XmlConvert.ToString(q.LockDuration)}}", "maxDeliveryCount": {{q.MaxDeliveryCount}} }"""));
        var expectedFile = $"[\n  {string.Join(",\n  ", expected)}\n]\n";

        Update("queues.json", expectedFile);
        Assert.True(expectedFile == File.ReadAllText(Bicep.PathOf("queues.json")), $"infra/queues.json should read:\n{expectedFile}");
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Every_queue_is_made_as_the_program_defines_it(string environment)
    {
        var queues = (await Bicep.ResourcesAsync(environment)).Of("Microsoft.ServiceBus/namespaces/queues").ToDictionary(q => q.Name().Split('/')[1]);

        Assert.Equal(Queues.All.Select(q => q.Name).Order(), queues.Keys.Order());
        Assert.All(Queues.All, queue =>
        {
            var made = queues[queue.Name];
            Assert.Equal(queue.RequiresSession.ToString(), made.Property("requiresSession"));
            Assert.Equal(bool.TrueString, made.Property("requiresDuplicateDetection"));
            Assert.Equal(queue.DuplicateDetection, XmlConvert.ToTimeSpan(made.Property("duplicateDetectionHistoryTimeWindow")!));
            Assert.Equal(queue.LockDuration, XmlConvert.ToTimeSpan(made.Property("lockDuration")!));
            Assert.Equal(queue.MaxDeliveryCount.ToString(CultureInfo.InvariantCulture), made.Property("maxDeliveryCount"));
            Assert.Equal(bool.TrueString, made.Property("deadLetteringOnMessageExpiration"));
            Assert.Equal(bool.FalseString, made.Property("enablePartitioning"));
        });
    }

    [Fact]
    public void Queue_triggers_name_queues_that_are_made_and_agree_on_sessions()
    {
        var made = Json("queues.json").EnumerateArray().ToDictionary(q => q.GetProperty("name").GetString()!, q => q.GetProperty("requiresSession").GetBoolean());
        var read = Triggers("serviceBusTrigger").ToList();

        Assert.All(read, t =>
        {
            Assert.Equal("ServiceBusConnection", t.Trigger.GetProperty("connection").GetString());
            var queue = t.Trigger.GetProperty("queueName").GetString()!;
            // Dead letters have no sessions, whatever their queue has.
            var isDeadLetters = queue.EndsWith(DeadLetters, StringComparison.Ordinal);
            Assert.Equal(made[isDeadLetters ? queue[..^DeadLetters.Length] : queue] && !isDeadLetters, t.Trigger.GetProperty("isSessionsEnabled").GetBoolean());
        });
        // A queue that nobody receives from fills up in silence.
        Assert.Equal(made.Keys.Order(), read.Select(t => t.Trigger.GetProperty("queueName").GetString()!).Where(q => !q.EndsWith(DeadLetters, StringComparison.Ordinal)).Order());
    }

    [Fact]
    public async Task Timers_of_the_heartbeat_are_those_of_the_program_with_their_schedules()
    {
        var settings = (await Bicep.ResourcesAsync("prod")).AppSettings();
        var watched = Json("timers.json").EnumerateArray().ToDictionary(t => t.GetProperty("function").GetString()!);
        var timers = Triggers("timerTrigger").ToDictionary(t => t.Function, t => Resolve(t.Trigger.GetProperty("schedule").GetString()!, settings));
        var lines = timers.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t =>
            $$"""  { "function": "{{t.Key}}", "schedule": "{{t.Value}}", "silentAfterMinutes": {{Silence(t.Value).ToString(CultureInfo.InvariantCulture)}} }""");
        var missing = timers.Where(t => !watched.TryGetValue(t.Key, out var w) || w.GetProperty("schedule").GetString() != t.Value).Select(t => t.Key);

        var expectedFile = $"[\n{string.Join(",\n", lines)}\n]\n";
        Update("timers.json", expectedFile);
        Assert.True(!missing.Any() && watched.Count == timers.Count, $"infra/timers.json should read:\n{expectedFile}");
        Assert.All(watched.Values, t =>
        {
            var silent = TimeSpan.FromMinutes(t.GetProperty("silentAfterMinutes").GetInt32());
            var gap = LongestGap(t.GetProperty("schedule").GetString()!);
            if (gap * 1.1 > Noticeable)
            {
                Assert.Equal(TimeSpan.Zero, silent);
                return;
            }

            // Long enough that a run may be late, short enough that a missing one is noticed.
            Assert.InRange(silent, gap * 1.1 > TimeSpan.FromMinutes(10) ? gap * 1.1 : TimeSpan.FromMinutes(10), Noticeable);
            Assert.True(silent <= gap * 2 || silent <= TimeSpan.FromMinutes(30), $"{t} is noticed too late");
        });
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Every_timer_that_can_be_watched_is_watched_by_a_heartbeat_alert(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var queries = string.Concat(resources.Of("Microsoft.Insights/scheduledQueryRules")
            .Where(r => r.Name().EndsWith("-missing", StringComparison.Ordinal))
            .Select(r => r.At("properties", "criteria", "allOf")!.Value.EnumerateArray().Single().GetProperty("query").GetString()));
        var timers = Json("timers.json").EnumerateArray().Where(t => t.GetProperty("silentAfterMinutes").GetInt32() > 0).ToList();

        Assert.True(timers.Count >= 5);
        Assert.All(timers, t => Assert.Contains($"\"{t.GetProperty("function").GetString()}\", {t.GetProperty("silentAfterMinutes").GetInt32()}m", queries, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Every_setting_that_a_trigger_names_is_set(string environment)
    {
        var settings = (await Bicep.ResourcesAsync(environment)).AppSettings();
        var named = Triggers("timerTrigger").Concat(Triggers("serviceBusTrigger")).SelectMany(t => Percent().Matches(t.Trigger.GetRawText()).Select(m => m.Groups[1].Value));

        Assert.All(named, name => Assert.True(settings.ContainsKey(name.Replace(":", "__", StringComparison.Ordinal)), $"a trigger names %{name}%, which no app setting gives"));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Every_app_setting_is_one_that_the_program_or_its_host_reads(string environment)
    {
        var documented = File.ReadAllText(Path.Combine(Repository.Root, "functions", "docs", "settings.md"));
        var names = (await Bicep.ResourcesAsync(environment)).AppSettings().Keys.Except(OfTheHost);

        Assert.All(names, name =>
        {
            // Letters, digits, dots and underscores are all that an app setting on Linux may have in its name.
            Assert.Matches("^[A-Za-z0-9_.]+$", name);
            var setting = name.Replace("__", ":", StringComparison.Ordinal);
            Assert.Matches($@"[:`]{Regex.Escape(setting.Contains(':', StringComparison.Ordinal) ? setting[(setting.LastIndexOf(':') + 1)..] : setting)}[`:]", documented);
        });
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Names_that_no_app_setting_can_have_go_into_the_vault(string environment)
    {
        var secrets = (await Bicep.ResourcesAsync(environment)).Of("Microsoft.KeyVault/vaults/secrets").ToList();

        Assert.All(secrets, s =>
        {
            Assert.Matches("^[A-Za-z0-9-]+$", s.Name().Split('/')[1]);
            Assert.DoesNotMatch("Secret|Key|Token|Hash|Password", s.Name());
        });
    }

    /// <summary>The program itself judges the settings: with those of the template and the secrets of the runbook it starts and answers.</summary>
    [Theory]
    [MemberData(nameof(Environments))]
    public async Task The_program_starts_with_the_settings_of_the_template(string environment)
    {
        var settings = (await Bicep.ResourcesAsync(environment)).AppSettings()
            .Where(s => !OfTheHost.Contains(s.Key))
            .ToDictionary(s => s.Key, s => s.Value.Contains("clientId", StringComparison.Ordinal) ? s.Value.Replace(
                s.Value[s.Value.IndexOf('[', StringComparison.Ordinal)..], "00000000-0000-0000-0000-00000000000a", StringComparison.Ordinal) : s.Value);
        // What only Azure has: the vault, whose secrets are given as settings, and the address of Application Insights.
        Assert.StartsWith("https://", settings["KeyVault__Uri"], StringComparison.Ordinal);
        settings.Remove("KeyVault__Uri");
        settings.Remove("APPLICATIONINSIGHTS_CONNECTION_STRING");
        foreach (var (name, value) in SecretsOfTheRunbook().Concat(environment == "dev" ? [] : DirectoryOfTheRunbook()))
        {
            settings[name] = value;
        }

        settings["DingFlow__DataDirectory"] = Directory.CreateTempSubdirectory("dingflow-").FullName;
        await using var program = await DingFlowProcess.StartUnderHostAsync(settings);

        Assert.True(await program.AnswersAsync(), program.Errors);
        using var answer = await program.Client.GetAsync("/api/offboarding", TestContext.Current.CancellationToken);
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task Without_one_of_the_secrets_of_the_runbook_the_program_says_which_is_missing()
    {
        foreach (var missing in SecretsOfTheRunbook().Keys.Where(name => !name.EndsWith("Roles", StringComparison.Ordinal)))
        {
            var settings = SecretsOfTheRunbook();
            settings.Remove(missing);
            settings["Sandbox__Enabled"] = "true";
            settings["ServiceBusConnection__fullyQualifiedNamespace"] = "x.servicebus.windows.net";
            settings["Storage__TableServiceUri"] = "https://x.table.core.windows.net/";
            await using var program = DingFlowProcess.UnderHost(settings);

            Assert.Equal(78, await program.RunToEndAsync());

            Assert.Contains(missing.Split("__")[0] + ":", program.Errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Every_metric_and_alert_type_that_alerts_and_workbook_read_is_emitted_by_the_program()
    {
        var source = string.Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "functions"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)).Select(File.ReadAllText));
        var read = await Bicep.SnapshotAsync("prod") + File.ReadAllText(Bicep.PathOf("workbook.json"));
        var metrics = Metric().Matches(read).Select(m => m.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var types = Directory.EnumerateFiles(Path.Combine(Repository.Root, "functions", "Alerts", "Texts"), "*.json")
            .SelectMany(file => JsonKeys(File.ReadAllText(file))).ToList();

        Assert.Superset(new HashSet<string>(["dingflow.timer.runs", "dingflow.alerts.raised", "dingflow.queue.age", "dingflow.messages.parked", "dingflow.offboarding.time_to_verified", "dingflow.thresholds.share"]), metrics);
        // Emitted by ASP.NET Core; TelemetryTests sees it arrive.
        Assert.All(metrics.Except(["http.server.request.duration"]), name => Assert.Contains($"\"{name}\"", source, StringComparison.Ordinal));
        Assert.Contains("offboarding.overdue", types);
        Assert.Contains(types, type => type.StartsWith("thresholds.", StringComparison.Ordinal));
    }

    private static IEnumerable<string> JsonKeys(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateObject().Select(p => p.Name)];
    }

    /// <summary>What <c>infra/deploy.sh keys</c> puts into the vault.</summary>
    private static Dictionary<string, string> SecretsOfTheRunbook() => new()
    {
        ["Pseudonyms__LedgerKey"] = Convert.ToBase64String(new byte[32]),
        ["Deliveries__EncryptionKey"] = Convert.ToBase64String(new byte[32]),
        ["Auth__ApiKeys__ops__Hash"] = $"sha256:{new string('a', 64)}",
        ["Auth__ApiKeys__ops__Roles"] = "operations.read,operations.write",
    };

    /// <summary>What <c>infra/deploy.sh dingtalk</c> and <c>hr</c> put there.</summary>
    private static Dictionary<string, string> DirectoryOfTheRunbook() => new()
    {
        ["DingTalk__Tenants__zhuhai__CorpId"] = "ding1",
        ["DingTalk__Tenants__zhuhai__AppKey"] = "key",
        ["DingTalk__Tenants__zhuhai__AppSecret"] = "secret",
        ["DingTalk__Tenants__zhuhai__Token"] = "token",
        ["DingTalk__Tenants__zhuhai__AesKey"] = new string('a', 42) + "A",
        ["DingTalk__Tenants__zhuhai__Exporter"] = "acme-zhuhai",
        ["Exporters__acme-zhuhai__Name"] = "Acme (Zhuhai) Ltd",
        ["HrSources__acme__Dialect"] = "standard",
        ["HrSources__acme__Exporter"] = "acme-zhuhai",
        ["HrSources__acme__Secrets__0"] = $"whsec_{Convert.ToBase64String(new byte[32])}",
    };

    /// <summary>As with the snapshots: run once with the variable, look at the change, run once more.</summary>
    private static void Update(string file, string text)
    {
        if (Environment.GetEnvironmentVariable("DINGFLOW_UPDATE_SNAPSHOTS") == "1")
        {
            File.WriteAllText(Bicep.PathOf(file), text);
        }
    }

    private static string Resolve(string schedule, Dictionary<string, string> settings) =>
        Percent().Match(schedule) is { Success: true } named ? settings[named.Groups[1].Value.Replace(":", "__", StringComparison.Ordinal)] : schedule;

    private static double Silence(string schedule) =>
        LongestGap(schedule) * 1.1 > Noticeable ? 0 : Math.Max(15, Math.Ceiling(LongestGap(schedule).TotalMinutes * 1.125));

    private static TimeSpan LongestGap(string schedule)
    {
        var read = Schedule.TryParse(schedule) ?? throw new FormatException(schedule);
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var longest = TimeSpan.Zero;
        for (var i = 0; i < 400; i++)
        {
            var next = read.NextAfter(at);
            longest = i > 0 && next - at > longest ? next - at : longest;
            at = next;
        }

        return longest;
    }

    [GeneratedRegex("%([A-Za-z:_]+)%")]
    private static partial Regex Percent();

    [GeneratedRegex(@"Name == \\+(?:""|u0022)([a-z_.]+)\\+(?:""|u0022)")]
    private static partial Regex Metric();
}
