using System.Globalization;
using System.Text;
using System.Text.Json;
using DingFlow.Alerts;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Signals;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Intake;

/// <summary>The intake as the program wires it, over a real store, with a clock and a queue that the test controls.</summary>
internal sealed class IntakeScenario : IAsyncDisposable
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    public const string NextSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    public const string CallbackToken = "dingflowtesttoken";
    public const string CallbackAesKey = "DingFlowTestAesKey0123456789abcdefghijklmnQ";
    public const string AppKey = "dingflowtestappkey01";
    public const string CorpId = "dingcorp0000000000000000000000000001";

    public const string Leaver =
        """{"type":"employee.terminated","timestamp":"2026-11-22T09:00:00+08:00","data":{"employeeId":"E1001","email":"e1001@sandbox.example","dingTalkUserId":"sb-1001","effectiveAt":"2026-11-22T09:00:00+08:00","immediate":true,"reason":"resignation"}}""";

    private readonly ServiceProvider _services;
    private readonly Dictionary<Type, FunctionRegistration> _registrations;

    public static DateTimeOffset Start { get; } = new(2026, 11, 22, 1, 0, 0, TimeSpan.Zero);

    public IntakeScenario(params (string Name, string? Value)[] settings)
    {
        Time = new FakeTimeProvider(Start);
        Store = new TestStore(Time);
        var all = new Dictionary<string, string?>
        {
            ["Deliveries:EncryptionKey"] = Convert.ToBase64String(Enumerable.Range(0, 32).Select(static n => (byte)n).ToArray()),
            ["Pseudonyms:LedgerKey"] = Convert.ToBase64String(Enumerable.Range(100, 32).Select(static n => (byte)n).ToArray()),
            ["HrSources:acme:Dialect"] = "standard",
            ["HrSources:acme:Secrets:0"] = Secret,
            ["HrSources:acme:Secrets:1"] = NextSecret,
        };
        foreach (var (name, value) in settings)
        {
            all[name] = value;
        }

        var configuration = new ConfigurationBuilder().AddInMemoryCollection(all).Build();
        var faults = new SettingsFaults();
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton<IEntityStore>(Store);
        Trail = new TestTrail(Store);
        services.AddSingleton<IAuditTrail>(Trail).AddSingleton(new AuditTrailOptions()).AddSingleton<RepetitionCounter>().AddSingleton<RequestAudit>();
        services.AddSingleton<IMessageQueue>(Queue);
        services.AddSingleton(new DingTalkOptions(Tenants())).AddSingleton<DingTalkClients>();
        services.AddAlerts(configuration, faults).AddIntake(configuration, faults).AddSignalReceiver(configuration, faults);
        faults.ThrowIfAny();
        _registrations = services.Select(static service => service.ImplementationInstance).OfType<FunctionRegistration>().ToDictionary(static known => known.Type);
        _services = services.BuildServiceProvider();
    }

    public FakeTimeProvider Time { get; }

    public TestStore Store { get; }

    public TestTrail Trail { get; }

    public TestQueue Queue { get; } = new();

    public Inbox Inbox => _services.GetRequiredService<Inbox>();

    /// <summary>What was too much for an entry each becomes one, as the timer has it.</summary>
    public Task ConcludeRepetitionsAsync() => _services.GetRequiredService<RepetitionCounter>().ConcludeAsync(all: false, CancellationToken.None);

    public DeliverAlert DeliverAlert => _services.GetRequiredService<DeliverAlert>();

    public DingTalkCallbackCrypto Crypto { get; } = new(CallbackToken, CallbackAesKey, AppKey);

    /// <summary>The ways in which a callback's push carries its signature.</summary>
    public static string Query(string signature, string timestamp, string nonce, string name = "signature") =>
        $"?{name}={signature}&timestamp={timestamp}&nonce={nonce}";

    public Task<Answer> PostHrAsync(string body, string id = "msg_1", string secret = Secret, string source = "acme", DateTimeOffset? at = null) =>
        PostHrAsync(Encoding.UTF8.GetBytes(body), id, secret, source, at);

    public Task<Answer> PostHrAsync(byte[] body, string id, string secret = Secret, string source = "acme", DateTimeOffset? at = null) =>
        SendHrAsync(source, request =>
        {
            var timestamp = (at ?? Time.GetUtcNow()).ToUnixTimeSeconds();
            request.Headers[StandardWebhooks.IdHeader] = id;
            request.Headers[StandardWebhooks.TimestampHeader] = timestamp.ToString(CultureInfo.InvariantCulture);
            request.Headers[StandardWebhooks.SignatureHeader] =
                StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(secret)!, id, timestamp, body);
            request.ContentType = "application/json";
            request.ContentLength = body.Length;
            request.Body = new MemoryStream(body);
        });

    /// <summary>Sends a request exactly as the test makes it.</summary>
    public Task<Answer> SendHrAsync(string source, Action<HttpRequest> prepare) =>
        SendAsync(_services.GetRequiredService<ReceiveHrWebhook>(), "source", source, prepare);

    /// <summary>Sends a body as it is, with the headers that its dialect signs it with.</summary>
    public Task<Answer> PostAsync(string source, byte[] body, string contentType, params (string Name, string Value)[] headers) =>
        SendHrAsync(source, request => Fill(request, body, contentType, headers));

    /// <summary>Calls another function of the intake, by its own route value.</summary>
    public Task<Answer> CallAsync<TFunction>(
        string routeName, string routeValue, byte[] body, string contentType = "application/json", params (string Name, string Value)[] headers)
        where TFunction : IHttpFunction =>
        SendAsync(_services.GetRequiredService<TFunction>(), routeName, routeValue, request =>
        {
            // Problems are written as the function's own protocol has it.
            request.HttpContext.SetEndpoint(new Endpoint(null, new EndpointMetadataCollection(_registrations[typeof(TFunction)]), typeof(TFunction).Name));
            Fill(request, body, contentType, headers);
        });

    /// <summary>Calls a function that the test made.</summary>
    public Task<Answer> CallAsync(IHttpFunction function, string routeName, string routeValue, byte[] body) =>
        SendAsync(function, routeName, routeValue, request => Fill(request, body, "application/json", []));

    /// <summary>Sends a message as DingTalk would: encrypted, signed, with the present time.</summary>
    public Task<Answer> PostDingTalkAsync(string message, string tenant = "acme", DateTimeOffset? at = null)
    {
        var reply = Crypto.Seal(message, at ?? Time.GetUtcNow());
        return PostCallbackAsync(Query(reply.Signature, reply.TimeStamp, reply.Nonce), $$"""{"encrypt":"{{reply.Encrypt}}"}""", tenant);
    }

    /// <summary>Sends a callback exactly as given.</summary>
    public Task<Answer> PostCallbackAsync(string query, string body, string tenant = "acme", string contentType = "application/json") =>
        SendAsync(_services.GetRequiredService<ReceiveDingTalkEvent>(), "tenant", tenant, request =>
        {
            request.QueryString = new QueryString(query);
            request.ContentType = contentType;
            request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
        });

    /// <summary>What an answer to a callback says once it is decrypted.</summary>
    public string OpenReply(Answer answer)
    {
        var json = answer.Json;
        Assert.Equal(["msg_signature", "timeStamp", "nonce", "encrypt"], json.EnumerateObject().Select(static property => property.Name));
        var opened = Crypto.Open(
            json.GetProperty("msg_signature").GetString()!, json.GetProperty("timeStamp").GetString()!, json.GetProperty("nonce").GetString()!,
            json.GetProperty("encrypt").GetString()!);
        Assert.Equal(DingTalkCallbackVerdict.Valid, opened.Verdict);
        return Encoding.UTF8.GetString(opened.Message.Span);
    }

    /// <summary>The work items that were enqueued, read from the inbox.</summary>
    public async Task<IReadOnlyList<InboxWork>> ReadWorkAsync(CancellationToken cancellationToken)
    {
        var work = new List<InboxWork>();
        foreach (var message in Queue.Offboarding)
        {
            work.Add((await Inbox.ReadAsync(OffboardingMessage.Parse(message.Body.Span).Delivery!, cancellationToken))!);
        }

        return work;
    }

    /// <summary>The alerts that were sent.</summary>
    public IReadOnlyList<AlertMessage> Alerts => [.. Queue.Alerts.Select(static message => AlertWork.Parse(message.Body.Span).Alert!)];

    public async ValueTask DisposeAsync()
    {
        Queue.Resume();
        await _services.DisposeAsync();
        Store.Dispose();
    }

    private static void Fill(HttpRequest request, byte[] body, string contentType, (string Name, string Value)[] headers)
    {
        foreach (var (name, value) in headers)
        {
            request.Headers.Append(name, value);
        }

        request.ContentType = contentType;
        request.ContentLength = body.Length;
        request.Body = new MemoryStream(body);
    }

    private async Task<Answer> SendAsync(IHttpFunction function, string routeName, string routeValue, Action<HttpRequest> prepare)
    {
        var context = new DefaultHttpContext { RequestServices = _services };
        context.Request.Method = "POST";
        context.Request.RouteValues[routeName] = routeValue;
        using var body = new MemoryStream();
        context.Response.Body = body;
        prepare(context.Request);
        await function.InvokeAsync(context);
        return new Answer(context.Response.StatusCode, context.Response.Headers, context.Response.ContentType, body.ToArray());
    }

    private static Dictionary<string, DingTalkTenant> Tenants() => new(StringComparer.OrdinalIgnoreCase)
    {
        ["acme"] = new DingTalkTenant
        {
            Name = "acme", CorpId = CorpId, AppKey = AppKey, AppSecret = "secret", Token = CallbackToken, AesKey = CallbackAesKey,
        },
        ["silent"] = new DingTalkTenant { Name = "silent", CorpId = CorpId, AppKey = AppKey, AppSecret = "secret" },
    };
}

/// <summary>What was answered.</summary>
internal sealed record Answer(int Status, IHeaderDictionary Headers, string? ContentType, byte[] Body)
{
    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    public string DeliveryId => Json.GetProperty("deliveryId").GetString()!;

    public bool Duplicate => Json.GetProperty("duplicate").GetBoolean();

    /// <summary>Asserts that it is a problem of this code.</summary>
    public void IsProblem(int status, string code)
    {
        Assert.Equal((status, Problems.MediaType), (Status, ContentType));
        Assert.Equal($"urn:dingflow:problem:{code}", Json.GetProperty("type").GetString());
    }
}
