using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Scim;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Newtonsoft.Json.Linq;
using Answer = DingFlow.Tests.EndToEnd.Answer;

namespace DingFlow.Tests.Scim;

/// <summary>
/// The SCIM service in this process with the program's own listener, routing, authentication and inbox, over a real store. The test
/// controls the clock, the queue and the faults of the store.
/// </summary>
internal sealed class ScimProgram : IAsyncDisposable
{
    public const string Key = "scim-key-of-the-tests-0123456789";
    public const string ConfinedKey = "confined-key-of-the-tests-0123456789";
    public const string OperatorKey = "operator-key-of-the-tests-0123456789";
    public const string EncryptionKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    public const string UserSchema = "urn:ietf:params:scim:schemas:core:2.0:User";
    public const string Enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    public const string PatchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

    private readonly DataDirectory _data;
    private readonly SqliteDatabase _database;
    private readonly bool _ownsData;
    private readonly string _functions = Directory.CreateTempSubdirectory("dingflow-functions-").FullName;
    private WebApplication _app = null!;

    private ScimProgram(DataDirectory? data)
    {
        _ownsData = data is null;
        _data = data ?? new DataDirectory();
        _database = new SqliteDatabase(_data.Path);
        Store = new FaultyStore(new SqliteEntityStore(_database, Time));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero));

    public FaultyStore Store { get; }

    public TestQueue Queue { get; } = new();

    public CapturedLogs Logs { get; } = new();

    public List<AlertMessage> Alerts { get; } = [];

    public HttpClient Client { get; private set; } = null!;

    public IServiceProvider Services => _app.Services;

    /// <summary>Where the source's service is.</summary>
    public string Base { get; set; } = "/api/scim/v2/acme";

    public static async Task<ScimProgram> StartAsync(DataDirectory? data, params (string Name, string Value)[] settings)
    {
        var program = new ScimProgram(data);
        await program.RunAsync(settings);
        return program;
    }

    public static Task<ScimProgram> StartAsync(params (string Name, string Value)[] settings) => StartAsync(null, settings);

    /// <summary>A user as Microsoft Entra would send one.</summary>
    public static JObject User(string userName, string? employeeNumber = null, bool active = true)
    {
        var user = new JObject
        {
            ["schemas"] = new JArray(UserSchema, Enterprise),
            ["externalId"] = $"ext-{userName}",
            ["userName"] = userName,
            ["active"] = active,
            ["displayName"] = "Wei Chan",
            ["emails"] = new JArray(new JObject { ["primary"] = true, ["type"] = "work", ["value"] = userName }),
            ["name"] = new JObject { ["formatted"] = "Wei Chan", ["familyName"] = "Chan", ["givenName"] = "Wei" },
        };
        if (employeeNumber is not null)
        {
            user[Enterprise] = new JObject { ["employeeNumber"] = employeeNumber };
        }

        return user;
    }

    public static string Patch(params string[] operations) =>
        $$"""{"schemas":["{{PatchSchema}}"],"Operations":[{{string.Join(',', operations)}}]}""";

    /// <summary>Asks the source's service with its key.</summary>
    public async Task<Answer> AskAsync(
        string method, string path, string? body = null, string? key = Key, string mediaType = "application/scim+json",
        Action<HttpRequestMessage>? change = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path.StartsWith("/api/", StringComparison.Ordinal) ? path : Base + path);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            request.Content.Headers.TryAddWithoutValidation("Content-Type", mediaType);
        }

        if (key is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        change?.Invoke(request);
        return await Client.AskAsync(request);
    }

    /// <summary>Creates a user and returns the id.</summary>
    public async Task<string> CreateAsync(JObject user)
    {
        var answer = await AskAsync("POST", "/Users", user.ToString());
        Assert.True(answer.Status == 201, answer.Text);
        return (string)answer.Json["id"]!;
    }

    public Task<Answer> PatchAsync(string id, params string[] operations) => AskAsync("PATCH", $"/Users/{id}", Patch(operations));

    public Task<Answer> SetActiveAsync(string id, bool active) =>
        PatchAsync(id, $$"""{"op":"replace","path":"active","value":{{(active ? "true" : "false")}}}""");

    public async Task<JObject> GetAsync(string id)
    {
        var answer = await AskAsync("GET", $"/Users/{id}");
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json;
    }

    public async Task<JObject> FilterAsync(string filter, string more = "")
    {
        var answer = await AskAsync("GET", $"/Users?filter={Uri.EscapeDataString(filter)}{more}");
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json;
    }

    /// <summary>Lets the time pass after which the sweeper enqueues what a dead process left behind, and sweeps.</summary>
    public async Task SweepAsync()
    {
        Time.Advance(InboxTiming.SweepAfter + TimeSpan.FromSeconds(1));
        await Services.GetRequiredService<IInbox>().SweepAsync(Cancellation);
    }

    /// <summary>The deliveries that were accepted and enqueued, in the order in which they happened.</summary>
    public async Task<IReadOnlyList<InboxWork>> DeliveriesAsync()
    {
        var work = new List<InboxWork>();
        foreach (var message in Queue.Offboarding)
        {
            var reference = OffboardingMessage.Parse(message.Body.Span).Delivery!;
            work.Add((await Services.GetRequiredService<IInbox>().ReadAsync(reference, Cancellation))!);
        }

        return [.. work.DistinctBy(item => item.DeliveryId).OrderBy(item => item.Events.Single().OccurredAt)];
    }

    /// <summary>The events that were reported, in order.</summary>
    public async Task<IReadOnlyList<PersonEvent>> EventsAsync() => [.. (await DeliveriesAsync()).SelectMany(work => work.Events)];

    /// <summary>Every row that the service keeps about a source.</summary>
    public async Task<IReadOnlyList<Entity>> RowsAsync(string source = "acme") =>
        (await Store.QueryAsync(ScimUserStore.Table, source, RowKeyRange.All, 1000, null, Cancellation)).Entities;

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
        _database.Dispose();
        if (_ownsData)
        {
            _data.Dispose();
        }

        Directory.Delete(_functions, recursive: true);
    }

    private async Task RunAsync((string Name, string Value)[] settings)
    {
        for (var attempt = 0; ; attempt++)
        {
            var port = DingFlowProcess.FreePort();
            _app = DingFlowProgram.Build([.. Arguments(port, settings)], AddFeatures, _functions);
            try
            {
                await _app.StartAsync(Cancellation);
                Client = new HttpClient { BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")) };
                return;
            }
            catch (IOException) when (attempt < 5)
            {
                // Another test took the port meanwhile.
                await _app.DisposeAsync();
            }
        }
    }

    private static IEnumerable<string> Arguments(int port, (string Name, string Value)[] settings)
    {
        var all = new Dictionary<string, string>
        {
            ["FUNCTIONS_CUSTOMHANDLER_PORT"] = port.ToString(CultureInfo.InvariantCulture),
            ["Deliveries:EncryptionKey"] = EncryptionKey,
            ["HrSources:acme:Dialect"] = "scim",
            ["HrSources:other:Dialect"] = "scim",
            ["HrSources:hooks:Dialect"] = "standard",
            ["HrSources:hooks:Secrets:0"] = HrSender.NewSecret(),
            ["Auth:ApiKeys:scim:Hash"] = ConfiguredProgram.HashOf(Key),
            ["Auth:ApiKeys:scim:Roles"] = "scim",
            ["Auth:ApiKeys:confined:Hash"] = ConfiguredProgram.HashOf(ConfinedKey),
            ["Auth:ApiKeys:confined:Roles"] = "scim",
            ["Auth:ApiKeys:confined:Sources"] = "Other",
            ["Auth:ApiKeys:operator:Hash"] = ConfiguredProgram.HashOf(OperatorKey),
            ["Auth:ApiKeys:operator:Roles"] = "operations.read",
        };
        foreach (var (name, value) in settings)
        {
            all[name] = value;
        }

        return all.Select(setting => $"--{setting.Key}={setting.Value}");
    }

    /// <summary>What the program told the audit trail.</summary>
    public TestTrail Trail { get; private set; } = null!;

    private void AddFeatures(IServiceCollection services, Microsoft.Extensions.Configuration.ConfigurationManager configuration, SettingsFaults faults)
    {
        services.Replace(ServiceDescriptor.Singleton<TimeProvider>(Time));
        services.AddSingleton<ILoggerProvider>(Logs);
        services.AddSingleton<IEntityStore>(Store);
        services.AddSingleton<IAuditTrail>(Trail = new TestTrail(Store)).AddSingleton(new AuditTrailOptions()).AddSingleton<RepetitionCounter>().AddSingleton<RequestAudit>();
        services.AddSingleton<IMessageQueue>(Queue);
        services.AddSingleton<IAlertSender>(new AlertList(Alerts));
        services.AddSingleton(new DingTalkOptions(new Dictionary<string, DingTalkTenant>()));
        services.AddIntake(configuration, faults).AddScim(configuration, faults);
        foreach (var name in services.Select(service => service.ImplementationInstance).OfType<FunctionRegistration>().Select(function => function.Name))
        {
            Directory.CreateDirectory(Path.Combine(_functions, name));
            File.Copy(Path.Combine(AppContext.BaseDirectory, name, "function.json"), Path.Combine(_functions, name, "function.json"), overwrite: true);
        }

        File.Copy(Path.Combine(AppContext.BaseDirectory, "host.json"), Path.Combine(_functions, "host.json"), overwrite: true);
    }

    private sealed class AlertList(List<AlertMessage> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            alerts.Add(alert);
            return Task.CompletedTask;
        }
    }
}

/// <summary>What a SCIM client expects of an answer.</summary>
internal static class ScimAnswers
{
    /// <summary>It is an error of SCIM (RFC 7644 section 3.12).</summary>
    public static void IsScimError(this Answer answer, int status, string? scimType = null)
    {
        Assert.True((status, "application/scim+json") == (answer.Status, answer.MediaType), $"{answer.Status} {answer.MediaType} {answer.Text}");
        Assert.Equal("urn:ietf:params:scim:api:messages:2.0:Error", (string?)Assert.Single(answer.Json["schemas"]!));
        Assert.Equal(JTokenType.String, answer.Json["status"]!.Type);
        Assert.Equal(status.ToString(CultureInfo.InvariantCulture), (string?)answer.Json["status"]);
        Assert.Equal(scimType, (string?)answer.Json["scimType"]);
        Assert.False(string.IsNullOrWhiteSpace((string?)answer.Json["detail"]));
    }

    /// <summary>It is a list with so many results in all; returns those on the page.</summary>
    public static IReadOnlyList<JObject> IsScimList(this JObject list, int totalResults)
    {
        Assert.Contains("urn:ietf:params:scim:api:messages:2.0:ListResponse", list["schemas"]!.Values<string>());
        Assert.Equal(totalResults, (int)list["totalResults"]!);
        Assert.Equal(JTokenType.Integer, list["startIndex"]!.Type);
        var resources = (JArray)list["Resources"]!;
        Assert.Equal(resources.Count, (int)list["itemsPerPage"]!);
        return [.. resources.Cast<JObject>()];
    }
}
