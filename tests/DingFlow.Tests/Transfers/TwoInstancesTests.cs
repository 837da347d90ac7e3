using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.Transfers;

/// <summary>Two programs under the Functions host that write the same shards of one ledger in Table Storage (Azurite).</summary>
public sealed class TwoInstancesTests(AzuriteFixture azurite) : UnderFunctionsHost(azurite)
{
    private const string SenderKey = "transfers-key-under-the-host-0123456789";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_instances_on_one_ledger_and_a_kill_of_one_count_everybody_once()
    {
        await using var sandbox = await DingFlow.Sandbox.SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        await using var otherHost = await FunctionsHostStandIn.StartAsync();
        (string, string)[] more =
        [
            ("Auth__ApiKeys__sender__Hash", ConfiguredProgram.HashOf(SenderKey)), ("Auth__ApiKeys__sender__Roles", "transfers.write,compliance.read,operations.read"),
            ("Exporters__two-instances__Name", "Two instances"), ("Transfers__Shards", "4"),
        ];
        await using var one = await StartAsync(sandbox, host, more);
        await using var two = await StartAsync(sandbox, otherHost, more);

        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => PostAsync(i % 2 == 0 ? one : two, i * 150, 300, $"batch-{i}")));
        var killed = Task.WhenAll(Enumerable.Range(6, 3).Select(i => AttemptAsync(two, i * 150, 300, $"batch-{i}")));
        await PostAsync(one, 6 * 150, 300, "batch-6");
        await two.KillAsync();
        await killed;
        await Task.WhenAll(Enumerable.Range(6, 3).Select(i => PostAsync(one, i * 150, 300, $"batch-{i}")));

        using var sender = new TransferSender(one.CreateOperator(SenderKey));
        Assert.Equal((8 * 150) + 300, (int)(await sender.CountersAsync("two-instances"))["subjects"]!);
        var recount = await sender.Client.AskAsync(HttpMethod.Post, "/api/transfers/recount?exporter=two-instances");
        Assert.True((bool)recount.Json["agrees"]!, recount.Text);
    }

    [Fact]
    public async Task A_person_of_whom_the_queue_tells_again_after_success_counts_once()
    {
        await using var sandbox = await DingFlow.Sandbox.SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        host.DeliverEach = 3;
        await using var program = await StartAsync(
            sandbox, host, ("Auth__ApiKeys__sender__Hash", ConfiguredProgram.HashOf(SenderKey)), ("Auth__ApiKeys__sender__Roles", "compliance.read"),
            ("Exporters__told-again__Name", "Told again"), ("DingTalk:Tenants:sandbox:DataRegion", "SG"), ("DingTalk:Tenants:sandbox:Exporter", "told-again"));
        using var sender = new TransferSender(program.CreateOperator(SenderKey));

        DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(program.Client, """{"EventType":"user_add_org","UserId":["sb-1001","sb-1002"],"eventId":"00000000000000000000000000000c01"}"""));
        await Eventually.IsTrueAsync(
            async () => host.Sent.Count(message => message.Queue == "transfers") == 2 && (int)(await sender.CountersAsync("told-again", null))["subjects"]! == 2,
            () => "two people counted", Cancellation);

        Assert.All(host.Sent.Where(message => message.Queue == "transfers"), message => Assert.DoesNotContain("sb-1", message.Body + message.SessionId, StringComparison.Ordinal));
        Assert.Empty(host.Violations);
        Assert.Empty(host.Failures);
    }

    private static async Task PostAsync(DingFlowProcess program, int from, int count, string key)
    {
        using var sender = new TransferSender(program.CreateOperator(SenderKey));
        var answer = await sender.PostAsync(TransferSender.Lines(Enumerable.Range(from, count), "two-instances"), TransferSender.NdJson, key);
        Assert.True(answer.Status == 202, answer.Text);
    }

    private static async Task AttemptAsync(DingFlowProcess program, int from, int count, string key)
    {
        try
        {
            using var sender = new TransferSender(program.CreateOperator(SenderKey));
            await sender.PostAsync(TransferSender.Lines(Enumerable.Range(from, count), "two-instances"), TransferSender.NdJson, key);
        }
        catch (HttpRequestException)
        {
            // Killed.
        }
    }
}
