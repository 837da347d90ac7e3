using System.Collections.Concurrent;
using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The outgoing webhook that tells people.</summary>
public sealed class AlertDeliveryTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_case_that_needs_people_is_told_once_and_signed_also_across_a_kill()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, receiver.Settings));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);

        // Killed when Entra is done but the case is not concluded yet.
        var reached = sandbox.Journal.WaitForAsync(e => e.EmployeeId == "E1021" && e.Operation == SandboxOperations.GraphRevoke && e.Status is not null, Cancellation);
        await hr.AcceptedAsync(HrSender.Leaver("E1021"));
        await reached;
        await program.KillAsync();
        await program.StartAsync();
        var told = await receiver.WaitAsync(1);

        var envelope = told[0].Verified(receiver.Secret);
        using var client = program.CreateOperator();
        var concluded = await new Operations(client).ConcludedAsync("E1021");
        Assert.Equal("offboarding.needs_human", (string?)envelope["type"]);
        Assert.Equal((string?)concluded["caseId"], (string?)envelope["data"]!["about"]);
        Assert.Equal("critical", (string?)envelope["data"]!["severity"]);
        Assert.DoesNotContain("@", told[0].Text, StringComparison.Ordinal);
        Assert.DoesNotContain("sb-1021", told[0].Text, StringComparison.Ordinal);

        // Killed again after it was told, and another case later: nothing is told anew.
        await program.KillAsync();
        await program.StartAsync();
        await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver("E1022"));
        var all = await receiver.WaitAsync(2);
        Assert.Equal(2, all.Select(message => message.Id).Distinct().Count());
    }

    [Fact]
    public async Task An_alert_whose_answer_was_lost_is_sent_again_under_the_same_id()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, receiver.Settings));
        receiver.Hold();

        await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver("E1023"));
        await receiver.WaitAsync(1);
        await program.KillAsync();
        receiver.Release();
        await program.StartAsync();

        var told = await receiver.WaitAsync(2);
        Assert.Equal(told[0].Id, told[1].Id);
        Assert.Equal(told[0].Text, told[1].Text);
        told[1].Verified(receiver.Secret);
    }

    [Fact]
    public async Task A_receiver_that_fails_is_tried_again()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, receiver.Settings));
        receiver.FailNext();

        await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver("E1024"));

        var told = await receiver.WaitAsync(2);
        Assert.Equal(told[0].Id, told[1].Id);
        told[1].Verified(receiver.Secret);
    }

    [Fact]
    public async Task A_case_whose_clock_runs_out_is_told()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        sandbox.Faults.Set([new SandboxFault { Kind = SandboxFaultKind.DoNothing, Operation = SandboxOperations.Disable, EmployeeId = "E1001" }]);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox, [.. receiver.Settings, ("Offboarding:Target", "00:00:01"), ("Offboarding:RetryDelay", "00:00:02")]));
        await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver("E1001"));
        using var socket = program.CreateSocketClient();

        // The timer's own minute is too long for a test: it is fired as the host fires it.
        var told = await Eventually.GetAsync(
            async () =>
            {
                using var content = new StringContent(FunctionsHostStandIn.Tick("SweepOffboarding"));
                using var answer = await socket.PostAsync("/SweepOffboarding", content, Cancellation);
                Assert.True(answer.IsSuccessStatusCode);
                return receiver.Received.FirstOrDefault(m => m.Text.Contains("offboarding.overdue", StringComparison.Ordinal));
            },
            () => "the alert that the clock ran out", Cancellation);

        Assert.Equal("offboarding.overdue", (string?)told.Verified(receiver.Secret)["type"]);
        using var client = program.CreateOperator();
        Assert.NotEqual(JTokenType.Null, (await new Operations(client).CasesOfAsync("E1001"))[0]["overdueAt"]!.Type);
    }

    private sealed record Received(string Id, string Timestamp, string Signature, byte[] Body)
    {
        public string Text => Encoding.UTF8.GetString(Body);

        /// <summary>The envelope, if the signature is right.</summary>
        public JObject Verified(string secret)
        {
            Assert.Equal(HrSender.Sign(secret, Id, Timestamp, Body), Signature);
            return (JObject)Answer.Parse(Text);
        }
    }

    private sealed class Receiver : IAsyncDisposable
    {
        private readonly ConcurrentQueue<Received> _received = new();
        private LoopbackServer? _server;
        private TaskCompletionSource _gate = Open();
        private int _failures;

        public string Secret { get; } = HrSender.NewSecret();

        public IReadOnlyCollection<Received> Received => _received;

        public (string Name, string Value)[] Settings =>
        [
            ("Alerts:Channels:duty:Type", "webhook"), ("Alerts:Channels:duty:Url", new Uri(_server!.Address, "alerts").ToString()), ("Alerts:Channels:duty:Secret", Secret),
        ];

        public static async Task<Receiver> StartAsync()
        {
            var receiver = new Receiver();
            receiver._server = await LoopbackServer.StartAsync(receiver.AnswerAsync);
            return receiver;
        }

        /// <summary>From now on what arrives is not answered.</summary>
        public void Hold() => _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Release() => _gate.TrySetResult();

        public void FailNext() => _failures = 1;

        public Task<List<Received>> WaitAsync(int count) => Eventually.GetAsync(
            () => Task.FromResult(_received.Count >= count ? _received.ToList() : null), () => $"{count} alerts; there are {_received.Count}", Cancellation);

        public async ValueTask DisposeAsync()
        {
            Release();
            if (_server is not null)
            {
                await _server.DisposeAsync();
            }
        }

        private static TaskCompletionSource Open()
        {
            var open = new TaskCompletionSource();
            open.SetResult();
            return open;
        }

        private async Task AnswerAsync(HttpContext context)
        {
            var headers = context.Request.Headers;
            _received.Enqueue(new(
                headers["webhook-id"]!, headers["webhook-timestamp"]!, headers["webhook-signature"]!, await LoopbackServer.BodyOfAsync(context)));
            await _gate.Task;
            context.Response.StatusCode = Interlocked.Decrement(ref _failures) >= 0 ? 503 : 204;
        }
    }
}
