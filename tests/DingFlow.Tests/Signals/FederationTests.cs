using System.Net.Http.Headers;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Signals;

/// <summary>
/// Two companies, each with the real program: what one verifies, its transmitter tells the other, whose receiver fetches the keys and
/// freezes the same person there.
/// </summary>
public sealed class FederationTests
{
    private const string Issuer = "https://parent.example/api";
    private const string Audience = "https://subsidiary.example";
    private const string Bearer = "a-bearer-token-of-the-subsidiary";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leaver_of_one_program_is_frozen_in_the_other_and_given_back_there_to_people()
    {
        DingFlowProcess? receiver = null;
        var pushes = new List<int>();
        // The transmitter is configured before the receiver's address is known: the line between them is made here, and is down at first.
        await using var line = await LoopbackServer.StartAsync(async context =>
        {
            if (receiver is null)
            {
                context.Response.StatusCode = 503;
                return;
            }

            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/signals/parent") { Content = new ByteArrayContent(await LoopbackServer.BodyOfAsync(context)) };
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(context.Request.ContentType!);
            request.Headers.Authorization = AuthenticationHeaderValue.Parse(context.Request.Headers.Authorization!);
            var answer = await receiver.Client.AskAsync(request);
            pushes.Add(answer.Status);
            context.Response.StatusCode = answer.Status;
        });
        await using var transmitter = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["Signals:Issuer"] = Issuer,
            ["Signals:Subscribers:subsidiary:Url"] = line.Address.ToString(),
            ["Signals:Subscribers:subsidiary:Audience"] = Audience,
            ["Signals:Subscribers:subsidiary:Token"] = Bearer,
        });
        using var parent = transmitter.CreateOperator();
        var hr = new HrSender(transmitter.Client, "sandbox", transmitter.HrSecret);
        await hr.AcceptedAsync(HrSender.Leaver("E1008"));
        var verified = await new Operations(parent).VerifiedAsync("E1008");

        receiver = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:parent:Dialect"] = "ssf",
            ["HrSources:parent:Issuer"] = Issuer,
            ["HrSources:parent:Audience"] = Audience,
            ["HrSources:parent:JwksUri"] = new Uri(transmitter.Client.BaseAddress!, "/api/signals/jwks.json").ToString(),
            ["HrSources:parent:Secrets:0"] = Bearer,
            ["HrSources:parent:AccountDisabled"] = "freeze",
        });
        await using var _ = receiver;
        using var subsidiary = receiver.CreateOperator();
        var there = await Eventually.GetAsync(
            async () => (await new Operations(subsidiary).AllCasesAsync()).FirstOrDefault(static c => Operations.StateOf(c) == "verified"),
            () => $"a verified case at the subsidiary; pushes {string.Join(' ', pushes)}", Cancellation);
        var back = await parent.AskAsync(HttpMethod.Post, $"/api/offboarding/{(string)verified["caseId"]!}/reactivate", """{"reason":"left by mistake"}""");
        var calledOff = await Eventually.GetAsync(
            async () => (await new Operations(subsidiary).AllCasesAsync()).FirstOrDefault(static c => Operations.StateOf(c) == "needsHuman"),
            () => $"the case at the subsidiary handed to people; pushes {string.Join(' ', pushes)}", Cancellation);
        var tested = await parent.AskAsync(HttpMethod.Post, "/api/signals/subscribers/subsidiary/verify");

        Assert.Equal("accountDisabled", (string?)there["signals"]![0]!["kind"]);
        Assert.Equal(202, back.Status);
        Assert.Equal((string?)there["caseId"], (string?)calledOff["caseId"]);
        Assert.Contains("enabled the account again", (string?)calledOff["notes"]![0], StringComparison.Ordinal);
        Assert.True((bool)tested.Json["delivered"]!);
        // Three tokens: disabled, enabled, verification; nothing was told twice.
        Assert.Equal([202, 202, 202], pushes);
        Assert.DoesNotContain("e1008@", transmitter.Output + transmitter.Errors + receiver.Output + receiver.Errors, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(Bearer, transmitter.Output + transmitter.Errors + receiver.Output + receiver.Errors, StringComparison.Ordinal);
    }
}
