using System.Security.Cryptography;
using System.Text;
using DingFlow.Alerts;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Remote;
using DingFlow.Settings;
using DingFlow.Signals;
using DingFlow.Storage;
using DingFlow.Tests.Intake;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Signals;

/// <summary>The transmitter as the program wires it, over a real store, with a clock and a queue that the test controls.</summary>
internal sealed class TransmitterScenario : IAsyncDisposable
{
    public const string Issuer = "https://dingflow.example/api";

    private readonly Dictionary<string, string?> _settings;
    private readonly HashSet<string> _handled = new(StringComparer.Ordinal);
    private ServiceProvider _services = null!;

    private TransmitterScenario(SubscriberStandIn subscriber, params (string Name, string? Value)[] settings)
    {
        Subscriber = subscriber;
        Store = new TestStore(Time);
        _settings = new()
        {
            ["Deliveries:EncryptionKey"] = Convert.ToBase64String(Enumerable.Range(0, 32).Select(static n => (byte)n).ToArray()),
            ["Signals:Issuer"] = Issuer,
            ["Signals:SigningKeys:0"] = NewKey(),
            ["Signals:Subscribers:crm:Url"] = subscriber.Address.ToString(),
            ["Signals:Subscribers:crm:Audience"] = "https://crm.example",
            ["Signals:Subscribers:crm:Token"] = "the-bearer-token",
        };
        Compose(settings);
    }

    public FakeTimeProvider Time { get; } = new(IntakeScenario.Start);

    public TestStore Store { get; }

    public TestQueue Queue { get; } = new();

    public SubscriberStandIn Subscriber { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The alerts that were sent.</summary>
    public IReadOnlyList<AlertMessage> Alerts => [.. Queue.Alerts.Select(static message => AlertWork.Parse(message.Body.Span).Alert!)];

    public static async Task<TransmitterScenario> StartAsync(params (string Name, string? Value)[] settings) =>
        new(await SubscriberStandIn.StartAsync(), settings);

    public static string NewKey(bool curve = false)
    {
        if (curve)
        {
            using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            return ec.ExportPkcs8PrivateKeyPem();
        }

        return Convert.ToBase64String(SignalKey.Rsa().Pkcs8());
    }

    /// <summary>Starts anew over the same store, with other settings.</summary>
    public async Task RestartAsync(params (string Name, string? Value)[] settings)
    {
        await _services.DisposeAsync();
        Compose(settings);
    }

    /// <summary>A case that was verified.</summary>
    public async Task<OffboardingCase> VerifiedAsync(Func<OffboardingCase, OffboardingCase>? change = null)
    {
        var @case = new OffboardingCase
        {
            CaseId = CaseId.New(Time.GetUtcNow()),
            EmployeeId = "E1001",
            State = CaseState.Verified,
            ReceivedAt = Time.GetUtcNow(),
            DueAt = Time.GetUtcNow(),
            VerifiedAt = Time.GetUtcNow().AddMinutes(-2),
            Identifiers = [new() { EmployeeId = "E1001", Email = "e1001@sandbox.example" }],
            Signals = [new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = Time.GetUtcNow() }],
        };
        @case = change?.Invoke(@case) ?? @case;
        await _services.GetRequiredService<CaseStore>().AddAsync(@case, Cancellation);
        return @case;
    }

    public async Task ChangeAsync(string caseId, Func<OffboardingCase, OffboardingCase> change)
    {
        var cases = _services.GetRequiredService<CaseStore>();
        await cases.UpdateAsync((await cases.FindAsync(caseId, Cancellation))!, change, Cancellation);
    }

    /// <summary>A run of the case has ended.</summary>
    public Task AnnounceAsync(string caseId) => _services.GetRequiredService<CaseAnnouncements>().AnnounceAsync(caseId, Cancellation);

    /// <summary>Handles every message that is due and was not handled yet.</summary>
    public async Task SettleAsync()
    {
        while (Signals.FirstOrDefault(m => !_handled.Contains(m.MessageId) && (m.EnqueueAt ?? default) <= Time.GetUtcNow()) is { } message)
        {
            _handled.Add(message.MessageId);
            await HandleAsync(message);
        }
    }

    public IReadOnlyList<OutgoingMessage> Signals => Queue.Of(Queues.Signals);

    public Task HandleAsync(OutgoingMessage message) => _services.GetRequiredService<DeliverSignal>().InvokeAsync(
        new ReceivedMessage { Queue = "signals", MessageId = message.MessageId, DeliveryCount = 1, Body = message.Body }, Cancellation);

    /// <summary>When the next message falls due.</summary>
    public TimeSpan NextDue => Signals.Where(m => !_handled.Contains(m.MessageId)).Min(m => m.EnqueueAt)!.Value - Time.GetUtcNow();

    public async Task<Answer> CallAsync<TFunction>(string routeValue = "", string body = "")
        where TFunction : IHttpFunction
    {
        var context = new DefaultHttpContext();
        context.Request.RouteValues["name"] = routeValue;
        context.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
        using var written = new MemoryStream();
        context.Response.Body = written;
        await _services.GetRequiredService<TFunction>().InvokeAsync(context);
        return new Answer(context.Response.StatusCode, context.Response.Headers, context.Response.ContentType, written.ToArray());
    }

    /// <summary>Checks a token against the published keys, by hand.</summary>
    public async Task<bool> IsSignedByUsAsync(PushedToken pushed)
    {
        var key = (await CallAsync<GetSignalKeys>()).Json.GetProperty("keys").EnumerateArray()
            .Single(k => k.GetProperty("kid").GetString() == pushed.Header.GetProperty("kid").GetString());
        var (input, signature) = (pushed.Token[..pushed.Token.LastIndexOf('.')], pushed.Token[(pushed.Token.LastIndexOf('.') + 1)..]);
        byte[] Part(string name) => System.Buffers.Text.Base64Url.DecodeFromChars(key.GetProperty(name).GetString()!);
        if (key.GetProperty("kty").GetString() == "EC")
        {
            using var curve = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = Part("x"), Y = Part("y") } });
            return curve.VerifyData(Encoding.ASCII.GetBytes(input), System.Buffers.Text.Base64Url.DecodeFromChars(signature), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }

        using var rsa = RSA.Create(new RSAParameters { Modulus = Part("n"), Exponent = Part("e") });
        return rsa.VerifyData(Encoding.ASCII.GetBytes(input), System.Buffers.Text.Base64Url.DecodeFromChars(signature), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        Store.Dispose();
        await Subscriber.DisposeAsync();
    }

    private void Compose((string Name, string? Value)[] settings)
    {
        foreach (var (name, value) in settings)
        {
            _settings[name] = value;
        }

        var configuration = new ConfigurationBuilder().AddInMemoryCollection(_settings).Build();
        var faults = new SettingsFaults();
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<TimeProvider>(Time).AddSingleton<IEntityStore>(Store).AddSingleton<IMessageQueue>(Queue);
        services.AddSingleton<IAlertSender, AlertSender>();
        services.AddAzureCredentials(configuration);
        services.AddDingTalk(configuration, faults).AddEntra(configuration, faults).AddIntake(configuration, faults);
        services.AddSingleton<CaseStore>().AddSingleton<CaseAnnouncements>();
        services.AddSignals(configuration, faults);
        faults.ThrowIfAny();
        _services = services.BuildServiceProvider();
    }
}
