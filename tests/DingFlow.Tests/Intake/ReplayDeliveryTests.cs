using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class ReplayDeliveryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_completed_delivery_is_enqueued_under_a_generation_never_used_before()
    {
        await using var scenario = new IntakeScenario();
        var id = (await scenario.PostHrAsync(IntakeScenario.Leaver)).DeliveryId;
        await CompleteAllAsync(scenario);

        var first = await ReplayAsync(scenario, id);
        var second = await ReplayAsync(scenario, id);

        Assert.Equal((202, id, 1), (first.Status, first.DeliveryId, first.Json.GetProperty("workItems").GetInt32()));
        Assert.Equal(202, second.Status);
        Assert.Equal(
            [$"delivery-{id}-0-0", $"delivery-{id}-0-10000", $"delivery-{id}-0-20000"], scenario.Queue.Offboarding.Select(static m => m.MessageId));
        var work = await scenario.Inbox.ReadAsync(OffboardingMessage.Parse(scenario.Queue.Offboarding[^1].Body.Span).Delivery!, Token);
        Assert.Equal(("E1001", 0), (Assert.Single(work!.Events).EmployeeId, work.Attempt));
    }

    [Fact]
    public async Task A_replay_that_the_queue_does_not_take_is_swept_like_a_new_delivery()
    {
        await using var scenario = new IntakeScenario();
        var id = (await scenario.PostHrAsync(IntakeScenario.Leaver)).DeliveryId;
        await CompleteAllAsync(scenario);
        scenario.Queue.IsDown = true;

        Assert.Equal(202, (await ReplayAsync(scenario, id)).Status);
        scenario.Queue.IsDown = false;
        scenario.Time.Advance(TimeSpan.FromMinutes(3));

        Assert.Equal(1, await scenario.Inbox.SweepAsync(Token));
        Assert.Equal($"delivery-{id}-0-10001", scenario.Queue.Offboarding[^1].MessageId);
    }

    [Fact]
    public async Task Settings_that_were_mended_count_in_a_replay()
    {
        (string, string?)[] settings =
        [
            ("HrSources:m:Dialect", "mapped"), ("HrSources:m:Secrets:0", "mapped-secret-0001"), ("HrSources:m:Signature:Header", "X-Sig"),
            ("HrSources:m:Map:Id", "$.id"), ("HrSources:m:Map:Kind", "$.what"), ("HrSources:m:Map:EmployeeId", "$.nr"),
        ];
        await using var scenario = new IntakeScenario([.. settings, ("HrSources:m:Kinds:Terminated", "LEFT")]);
        var body = """{"id":"1","what":"GONE","nr":"E1001"}"""u8.ToArray();
        var signature = Convert.ToHexString(System.Security.Cryptography.HMACSHA256.HashData("mapped-secret-0001"u8, body));
        var id = (await scenario.PostAsync("m", body, "application/json", ("X-Sig", signature))).DeliveryId;

        (await ReplayAsync(scenario, id)).IsProblem(409, "conflict");
        var mended = new ReplayDelivery(
            Fixtures.Options([.. settings, ("HrSources:m:Kinds:Terminated", "GONE")]), scenario.Inbox, Microsoft.Extensions.Logging.Abstractions.NullLogger<ReplayDelivery>.Instance);
        var answer = await scenario.CallAsync(mended, "id", id, """{"reason":"the word for leavers was wrong"}"""u8.ToArray());

        Assert.Equal(202, answer.Status);
        Assert.Equal("E1001", Assert.Single(Assert.Single(await scenario.ReadWorkAsync(Token)).Events).EmployeeId);
    }

    [Fact]
    public async Task Who_replayed_it_and_why_is_kept_with_it_and_not_logged()
    {
        await using var scenario = new IntakeScenario();
        var id = (await scenario.PostHrAsync(IntakeScenario.Leaver)).DeliveryId;

        await ReplayAsync(scenario, id, "for the evidence");

        var row = Assert.Single(await scenario.Store.AllAsync("Inbox", Token), static row => row.RowKey.StartsWith("d|", StringComparison.Ordinal));
        Assert.Equal((1, "for the evidence"), (row.Properties.Get<int>("Replays"), row.Properties.Get<string>("ReplayReason")));
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef", """{"reason":"because"}""", 404, "not-found")]
    [InlineData("../../../etc/passwd", """{"reason":"because"}""", 404, "not-found")]
    [InlineData("0123456789abcdef0123456789abcdef", """{"reason":" "}""", 400, "malformed")]
    [InlineData("0123456789abcdef0123456789abcdef", "{}", 400, "malformed")]
    public async Task A_replay_of_nothing_or_for_no_reason_is_refused(string id, string body, int status, string code)
    {
        await using var scenario = new IntakeScenario();

        (await scenario.CallAsync<ReplayDelivery>("id", id, Encoding.UTF8.GetBytes(body))).IsProblem(status, code);
    }

    [Fact]
    public async Task Work_that_is_deferred_comes_once_at_its_time_and_the_sweeper_leaves_it_alone()
    {
        await using var scenario = new IntakeScenario();
        await scenario.PostHrAsync(IntakeScenario.Leaver);
        var reference = OffboardingMessage.Parse(scenario.Queue.Offboarding[0].Body.Span).Delivery!;
        var until = scenario.Time.GetUtcNow() + TimeSpan.FromMinutes(20);

        await scenario.Inbox.DeferAsync(reference, until, Token);
        scenario.Time.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal(0, await scenario.Inbox.SweepAsync(Token));
        Assert.Equal(until, scenario.Queue.Offboarding[1].EnqueueAt);
        Assert.Equal(1, (await scenario.Inbox.ReadAsync(reference, Token))!.Attempt);
        // If that message is lost, the sweeper sends the next one.
        scenario.Time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal(1, await scenario.Inbox.SweepAsync(Token));
        await scenario.Inbox.CompleteAsync(reference, Token);
        await scenario.Inbox.DeferAsync(reference, until, Token);
        Assert.Equal(3, scenario.Queue.Offboarding.Count);
    }

    private static Task<Answer> ReplayAsync(IntakeScenario scenario, string id, string reason = "the cause is mended") =>
        scenario.CallAsync<ReplayDelivery>("id", id, Encoding.UTF8.GetBytes($$"""{"reason":"{{reason}}"}"""));

    private static async Task CompleteAllAsync(IntakeScenario scenario)
    {
        foreach (var message in scenario.Queue.Offboarding)
        {
            await scenario.Inbox.CompleteAsync(OffboardingMessage.Parse(message.Body.Span).Delivery!, Token);
        }
    }
}
