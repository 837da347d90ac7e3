using System.Net.Http.Headers;
using System.Text;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Signals;

/// <summary>Signals from the transmitter to the frozen account, with the real program.</summary>
public sealed class SignalWalkTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Signals_of_a_transmitter_end_sessions_and_freeze_as_the_settings_say()
    {
        await using var transmitter = await TransmitterStandIn.StartAsync();
        await using var program = await DingFlowProcess.StartStandaloneAsync(
            transmitter.Source("idp", ("SubjectIs", "employeeId")).ToDictionary(static setting => setting.Item1, static setting => setting.Item2!));
        using var operators = program.CreateOperator();
        using var sandbox = program.CreateSocketClient("sandbox.sock");
        var now = TimeProvider.System.GetUtcNow();

        var revoked = await SendAsync(program, transmitter.Token(transmitter.Claims(now, Secevents.SessionRevoked, """{"format":"email","email":"e1006@sandbox.example"}""")));
        await Eventually.GetAsync(
            async () => (await sandbox.AskAsync(HttpMethod.Get, "/people/E1006")).Text is var person && person.Contains("signOut", StringComparison.Ordinal) && person.Contains("revokeSignInSessions", StringComparison.Ordinal) ? person : null,
            static () => "ended sessions of E1006", Cancellation);
        var forged = await SendAsync(program, SignalKey.Rsa(transmitter.Key.Id, unlike: transmitter.Key).Sign(transmitter.Claims(now, Secevents.Disabled, Secevents.Person).ToJsonString()));
        var disabled = await SendAsync(program, transmitter.Token(transmitter.Claims(now, Secevents.Disabled, """{"format":"opaque","id":"E1007"}""")));
        var verified = await new Operations(operators).VerifiedAsync("E1007");

        Assert.Equal((202, ""), (revoked.Status, revoked.Text));
        Assert.Equal((202, ""), (disabled.Status, disabled.Text));
        Assert.Equal((400, "authentication_failed"), (forged.Status, (string?)forged.Json["err"]));
        Assert.Empty(await new Operations(operators).CasesOfAsync("E1006"));
        Assert.Equal("accountDisabled", (string?)verified["signals"]![0]!["kind"]);
        Assert.DoesNotContain("e1006@", program.Output + program.Errors, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task<Answer> SendAsync(DingFlowProcess program, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/signals/idp") { Content = new ByteArrayContent(Encoding.ASCII.GetBytes(token)) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/secevent+jwt");
        return await program.Client.AskAsync(request);
    }
}
