using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using DingFlow.Messaging;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Hosting;

/// <summary>What cannot be handled is set aside with its reason; nothing is dropped and nothing goes round for ever.</summary>
public sealed class ParkingTests
{
    private readonly ConcurrentBag<AlertMessage> _alerts = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_message_that_can_never_succeed_is_parked_at_its_first_delivery()
    {
        await using var program = await StartAsync(Queues.Offboarding, _ => throw new UnusableMessageException("It is not one of ours."));

        Assert.Equal(HttpStatusCode.OK, await InvokeAsync(program, deliveryCount: 1));

        var parked = Assert.Single(await ListAsync(program, Queues.Offboarding));
        Assert.Equal(("m-1", "s-1", "It is not one of ours.", """{"kind":"strange"}"""),
            (parked.Message.MessageId, parked.Message.SessionId, parked.Reason, Encoding.UTF8.GetString(parked.Message.Body.Span)));
        Assert.Equal("messaging.parked", Assert.Single(_alerts).Type);
    }

    [Fact]
    public async Task A_failing_message_is_delivered_again_and_parked_in_its_last_delivery()
    {
        await using var program = await StartAsync(Queues.Offboarding, _ => throw new InvalidOperationException("broken"));

        Assert.Equal(HttpStatusCode.InternalServerError, await InvokeAsync(program, deliveryCount: 1));
        Assert.Equal(HttpStatusCode.InternalServerError, await InvokeAsync(program, Queues.Offboarding.MaxDeliveryCount - 1));
        Assert.Empty(await ListAsync(program, Queues.Offboarding));

        Assert.Equal(HttpStatusCode.OK, await InvokeAsync(program, Queues.Offboarding.MaxDeliveryCount));
        var parked = Assert.Single(await ListAsync(program, Queues.Offboarding));
        Assert.Contains(nameof(InvalidOperationException), parked.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(" at ", parked.Reason, StringComparison.Ordinal); // No stack trace, no path of the machine that built it.
        Assert.DoesNotContain(".cs", parked.Reason, StringComparison.Ordinal);
        Assert.Single(_alerts);
    }

    [Fact]
    public async Task A_parked_alert_raises_no_alert()
    {
        await using var program = await StartAsync(Queues.Alerts, _ => throw new UnusableMessageException("no"));

        Assert.Equal(HttpStatusCode.OK, await InvokeAsync(program, deliveryCount: 1));

        Assert.Single(await ListAsync(program, Queues.Alerts));
        Assert.Empty(_alerts);
    }

    private async Task<TestProgram> StartAsync(QueueDefinition queue, Func<ReceivedMessage, Task> handle)
    {
        var configuration = new ConfigurationBuilder().Build();
        return await new TestProgram()
            .Function(TestProgram.QueueJson(queue), new QueueProbe((message, _) => handle(message)))
            .Services(services =>
            {
                services.AddMessaging(configuration, new DingFlow.Settings.SettingsFaults());
                services.AddSingleton<IAlertSender>(new Collector(_alerts));
            })
            .StartAsync();
    }

    private static async Task<HttpStatusCode> InvokeAsync(TestProgram program, int deliveryCount)
    {
        using var client = program.CreateSocketClient();
        var invocation = """
            {"Data":{"msg":"\"{\\\"kind\\\":\\\"strange\\\"}\""},"Metadata":{"MessageId":"\"m-1\"","SessionId":"\"s-1\"","DeliveryCount":"COUNT"}}
            """.Replace("COUNT", deliveryCount.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        using var answer = await client.PostAsync("/QueueProbe", new StringContent(invocation, Encoding.UTF8, "application/json"), Cancellation);
        return answer.StatusCode;
    }

    private static ValueTask<List<ParkedMessage>> ListAsync(TestProgram program, QueueDefinition queue) =>
        program.App.Services.GetRequiredService<ParkedMessages>().AllAsync(queue, Cancellation).ToListAsync(Cancellation);

    private sealed class Collector(ConcurrentBag<AlertMessage> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            alerts.Add(alert);
            return Task.CompletedTask;
        }
    }
}
