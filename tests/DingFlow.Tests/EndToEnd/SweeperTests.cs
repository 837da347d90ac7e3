using DingFlow.Sandbox;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What was accepted but not enqueued. Alone in its class, because it waits for the sweeper's half minute.</summary>
public sealed class SweeperTests(AzuriteFixture azurite) : UnderFunctionsHost(azurite)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_delivery_that_the_bus_did_not_take_is_enqueued_by_the_sweeper()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        using var closed = new ClosedPort();
        await using (var cut = await StartAsync(sandbox, host, ("ServiceBus__Endpoint", $"http://127.0.0.1:{closed.Number}"), ("ServiceBus__RetryFor", "00:00:01")))
        {
            await Hr(cut).AcceptedAsync(HrSender.Leaver("E1008"));
        }

        await using var otherHost = await FunctionsHostStandIn.StartAsync();
        await using var program = await StartAsync(sandbox, otherHost);
        using var client = program.CreateOperator(ApiKey);
        await Eventually.IsTrueAsync(
            async () =>
            {
                Assert.Equal(200, (await FunctionsHostStandIn.InvokeAsync(program, "SweepInbox", FunctionsHostStandIn.Tick("SweepInbox"))).Status);
                return await new Operations(client).CasesOfAsync("E1008") is [var only] && Operations.StateOf(only) == "verified";
            },
            () => "the case of E1008 after a sweep", Cancellation);
    }
}
