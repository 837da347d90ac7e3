using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Infrastructure;
using Microsoft.Extensions.Logging.Abstractions;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Messages that could not be handled, as the people see them who run the program; dead letters are among them.</summary>
public sealed class ParkedMessageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Parked_and_dead_lettered_messages_are_listed_read_replayed_and_discarded()
    {
        using var directory = new Storage.DataDirectory();
        await DeadLetterAsync(directory.Path, "dead-1", """{"kind":"nobody"}""");
        await DeadLetterAsync(directory.Path, "dead-2", """{"kind":"run","caseId":"0190a1b2c3d47e5f8a9b0c1d2e3f4a5b","generation":0}""");
        await using var program = await DingFlowProcess.StartStandaloneAsync(dataDirectory: directory.Path);
        using var client = program.CreateOperator();

        // Both dead letters end in the list, with why the queue gave them up.
        var listed = await ListAsync(client, "parked", 2);
        var strange = listed.Single(m => (string?)m["messageId"] == "dead-1");
        var run = listed.Single(m => (string?)m["messageId"] == "dead-2");
        Assert.Equal(("offboarding", "given back"), ((string?)strange["queue"], (string?)strange["reason"]));

        var read = await client.AskAsync(HttpMethod.Get, $"/api/parked-messages/{run["parkedId"]}");
        Assert.Contains("0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", (string?)read.Json["body"], StringComparison.Ordinal);

        // A replay is handled: a run of a case that there is not does nothing. It cannot be discarded unseen, and a reason is asked for.
        (await client.AskAsync(HttpMethod.Post, $"/api/parked-messages/{run["parkedId"]}/replay", """{"reason":""}""")).IsProblem(400, "malformed");
        Assert.Equal(202, (await client.AskAsync(HttpMethod.Post, $"/api/parked-messages/{run["parkedId"]}/replay", """{"reason":"mended"}""")).Status);
        Assert.Equal("mended", (string?)Assert.Single(await ListAsync(client, "replayed", 1))["action"]!["reason"]);

        // A replay that fails again is parked anew, also a second time.
        for (var replays = 1; replays <= 2; replays++)
        {
            Assert.Equal(202, (await client.AskAsync(HttpMethod.Post, $"/api/parked-messages/{strange["parkedId"]}/replay", """{"reason":"try it"}""")).Status);
            await Eventually.IsTrueAsync(
                async () => (await ListAsync(client, "parked")).Any(m => ((string?)m["messageId"])!.EndsWith($"/{replays}", StringComparison.Ordinal)),
                () => "the replay among the parked messages", Cancellation);
        }

        Assert.Equal(202, (await client.AskAsync(HttpMethod.Post, $"/api/parked-messages/{strange["parkedId"]}/discard", """{"reason":"of a test"}""")).Status);
        (await client.AskAsync(HttpMethod.Post, $"/api/parked-messages/{strange["parkedId"]}/replay", """{"reason":"again"}""")).IsProblem(409, "conflict");
        Assert.Single(await ListAsync(client, "discarded", 1));

        // Each of it stands in the trail.
        var story = await Eventually.GetAsync<IReadOnlyList<string>>(
            async () =>
            {
                var kinds = (await client.AskAsync(HttpMethod.Get, "/api/audit?kind=messaging.*&limit=1000")).Json["items"]!
                    .Select(static entry => (string)entry["kind"]!).Order(StringComparer.Ordinal).ToList();
                return kinds.Count >= 8 ? kinds : null;
            },
            () => "the entries on parked messages", Cancellation);
        Assert.Equal(
            ["messaging.message_discarded", .. Enumerable.Repeat("messaging.message_parked", 4), .. Enumerable.Repeat("messaging.message_replayed", 3)], story);

        (await client.AskAsync(HttpMethod.Get, "/api/parked-messages/0123456789abcdef0123456789abcdef")).IsProblem(404, "not-found");
        (await client.AskAsync(HttpMethod.Get, "/api/parked-messages?queue=nowhere")).IsProblem(400, "malformed");
        (await program.Client.AskAsync(HttpMethod.Get, "/api/parked-messages")).IsProblem(401, "unauthorized");
    }

    private static async Task<IReadOnlyList<JObject>> ListAsync(HttpClient client, string status, int? count = null)
    {
        IReadOnlyList<JObject> listed = [];
        return await Eventually.GetAsync(
            async () =>
            {
                var answer = await client.AskAsync(HttpMethod.Get, $"/api/parked-messages?queue=offboarding&status={status}");
                listed = [.. answer.Json["items"]!.Cast<JObject>()];
                Assert.Equal(listed.Count, (int)answer.Json["count"]!);
                return count is null || listed.Count == count ? listed : null;
            },
            () => $"{count} messages that are {status}: {string.Join(", ", listed)}", Cancellation);
    }

    /// <summary>A message that was delivered as often as its queue allows, by a program that ran before.</summary>
    private static async Task DeadLetterAsync(string directory, string id, string body)
    {
        Directory.CreateDirectory(directory);
        using var database = new SqliteDatabase(directory);
        using var queue = new EmbeddedQueue(database, TimeProvider.System, NullLogger<EmbeddedQueue>.Instance);
        await queue.SendAsync(Queues.Offboarding, [new() { MessageId = id, SessionId = id, Body = Encoding.UTF8.GetBytes(body) }], Cancellation);
        for (var delivery = 0; delivery < Queues.Offboarding.MaxDeliveryCount; delivery++)
        {
            Assert.True(await queue.AbandonAsync(await queue.ReceiveAsync(Queues.Offboarding, Cancellation), "given back", Cancellation));
        }
    }
}
