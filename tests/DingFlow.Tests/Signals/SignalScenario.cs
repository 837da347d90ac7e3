using System.Text;
using System.Text.Json.Nodes;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using DingFlow.Signals;
using DingFlow.Tests.Intake;

namespace DingFlow.Tests.Signals;

/// <summary>The receiver of signals as the program wires it, with a transmitter that the test controls.</summary>
internal sealed class SignalScenario : IAsyncDisposable
{
    public const string Source = "idp";

    private SignalScenario(TransmitterStandIn transmitter, IntakeScenario intake) => (Transmitter, Intake) = (transmitter, intake);

    public TransmitterStandIn Transmitter { get; }

    public IntakeScenario Intake { get; }

    public static async Task<SignalScenario> StartAsync(params (string Name, string? Value)[] settings)
    {
        var transmitter = await TransmitterStandIn.StartAsync();
        return new SignalScenario(transmitter, new IntakeScenario(transmitter.Source(Source, settings)));
    }

    public static async Task<SignalScenario> StartAsync(Func<TransmitterStandIn, (string, string?)[]> settings, string? issuer = null)
    {
        var transmitter = await TransmitterStandIn.StartAsync(issuer);
        return new SignalScenario(transmitter, new IntakeScenario(settings(transmitter)));
    }

    public JsonObject Claims(string type, string subject = Secevents.Person, string body = "{}") =>
        Transmitter.Claims(Intake.Time.GetUtcNow(), type, subject, body);

    /// <summary>Pushes an event about a person, signed as it should be.</summary>
    public Task<Answer> PushAsync(string type, string subject = Secevents.Person, string body = "{}") => PushAsync(Claims(type, subject, body));

    public Task<Answer> PushAsync(JsonObject claims) => SendAsync(Transmitter.Token(claims));

    /// <summary>Sends a token as it is.</summary>
    public Task<Answer> SendAsync(string token, params (string Name, string Value)[] headers) => SendAsync(Encoding.UTF8.GetBytes(token), headers);

    public Task<Answer> SendAsync(byte[] body, params (string Name, string Value)[] headers) =>
        Intake.CallAsync<ReceiveSignal>("source", Source, body, SsfDialect.MediaType, headers);

    /// <summary>What was accepted and enqueued.</summary>
    public async Task<IReadOnlyList<PersonEvent>> EventsAsync() =>
        [.. (await Intake.ReadWorkAsync(TestContext.Current.CancellationToken)).SelectMany(static work => work.Events)];

    public async ValueTask DisposeAsync()
    {
        await Intake.DisposeAsync();
        await Transmitter.DisposeAsync();
    }
}

/// <summary>What RFC 8935 answers are.</summary>
internal static class SetAnswers
{
    public static void IsAccepted(this Answer answer) => Assert.Equal((202, 0, null), (answer.Status, answer.Body.Length, answer.ContentType));

    public static void IsRefused(this Answer answer, string error, int status = 400)
    {
        Assert.True(answer.Status == status, $"{answer.Status} {Encoding.UTF8.GetString(answer.Body)}");
        Assert.Equal("application/json", answer.ContentType);
        Assert.Equal(["err", "description"], answer.Json.EnumerateObject().Select(static member => member.Name));
        Assert.Equal(error, answer.Json.GetProperty("err").GetString());
        Assert.NotEmpty(answer.Json.GetProperty("description").GetString()!);
        Assert.Equal("en", answer.Headers.ContentLanguage);
    }
}
