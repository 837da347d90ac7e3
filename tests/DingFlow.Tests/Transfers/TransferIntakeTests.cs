using CsCheck;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>Batches against a store that fails, several instances, retention and united persons, without HTTP.</summary>
public sealed class TransferIntakeTests
{
    private const string Exporter = LedgerScenario.Exporter;
    private static readonly AuditEvent Reported = new()
    {
        Kind = TransferAudit.BatchRecorded, Actor = AuditActor.System("Tests"), Payload = PayloadHash.None,
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public Task Whatever_fails_sending_the_batch_again_counts_everybody_once() =>
        Gen.Select(Gen.Int[1, 40], Gen.Enum<StoreFault>().Where(fault => fault != StoreFault.None), Gen.Int[1, 60]).SampleAsync(
            async (call, fault, records) =>
            {
                var memory = new LedgerMemoryStore();
                var batch = Batch(records);
                for (var attempt = 0; attempt < 2; attempt++)
                {
                    await using var failing = new TransferWorld(new LedgerFaultyStore(memory, number => number == call ? fault : StoreFault.None));
                    try
                    {
                        await failing.Intake.RecordAsync("batch", batch, Reported, Token);
                        await failing.Ledger.ReadCountersAsync(Exporter, 2026, Token);
                    }
                    catch (Exception exception) when (exception is EntityStoreException or ProcessDiedException)
                    {
                        // The sender sends it again.
                    }
                }

                await using var world = new TransferWorld(memory);
                var receipt = await world.Intake.RecordAsync("batch", batch, Reported, Token);

                Assert.Equal(records, receipt.Accepted + receipt.Duplicates);
                Assert.Equal(records, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
                Assert.Equal(records, (await world.Ledger.FindBatchAsync(Exporter, "batch", Token))!.Records);
                Assert.True((await world.Ledger.RecountAsync(Exporter, Token)).Agrees);
            },
            iter: 300);

    [Fact]
    public async Task Two_instances_that_take_in_the_same_batch_at_once_count_it_once()
    {
        var memory = new LedgerMemoryStore();
        await using var one = new TransferWorld(memory);
        await using var two = new TransferWorld(memory);

        for (var round = 0; round < 20; round++)
        {
            var batch = Batch(200, 100 * round);
            var receipts = await Task.WhenAll(
                Task.Run(() => one.Intake.RecordAsync($"batch-{round}", batch, Reported, Token)), Task.Run(() => two.Intake.RecordAsync($"batch-{round}", batch, Reported, Token)));
            Assert.Equal((200, 200), (receipts.Sum(receipt => receipt.Accepted), receipts.Sum(receipt => receipt.Duplicates)));
        }

        foreach (var world in (TransferWorld[])[one, two])
        {
            Assert.Equal(2100, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
            Assert.Equal(20 * 200, await KeptAsync(world.Ledger));
            Assert.True((await world.Ledger.RecountAsync(Exporter, Token)).Agrees);
        }
    }

    /// <summary>A second instance takes in the same batch, or another body under its key, between any two calls of the first.</summary>
    [Fact]
    public Task A_batch_that_is_sent_twice_at_once_is_kept_once_whatever_comes_between() =>
        Gen.Select(Gen.Int[1, 45], Gen.Int[1, 40], Gen.Int[1, 40], Gen.Int[0, 20]).SampleAsync(
            async (call, records, others, from) =>
            {
                var memory = new LedgerMemoryStore();
                await using var other = new TransferWorld(memory);
                TransferReceipt? between = null;
                var store = new InterruptedStore(memory, call, async () => between = await other.Intake.RecordAsync("batch", Batch(others, from), Reported, Token));
                await using var one = new TransferWorld(store);

                var receipt = await one.Intake.RecordAsync("batch", Batch(records), Reported, Token);
                await store.EndAsync();
                between ??= await other.Intake.RecordAsync("batch", Batch(others, from), Reported, Token);

                var expected = Enumerable.Range(0, records).Union(Enumerable.Range(from, others)).Count();
                Assert.Equal((records, others), (receipt.Accepted + receipt.Duplicates, between.Accepted + between.Duplicates));
                Assert.Equal(expected, receipt.Accepted + between.Accepted);
                Assert.Equal(expected, (await other.Ledger.FindBatchAsync(Exporter, "batch", Token))!.Records);
                Assert.Equal(expected, await KeptAsync(other.Ledger));
                Assert.Equal(expected, (await one.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);

                await one.Ledger.VoidBatchAsync(Exporter, "batch", Token);
                Assert.Equal((0, 0), ((await other.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects, await KeptAsync(one.Ledger)));
                Assert.True((await other.Ledger.RecountAsync(Exporter, Token)).Agrees);
            },
            iter: 300);

    [Fact]
    public Task A_batch_that_is_voided_while_it_is_taken_in_counts_nothing() =>
        Gen.Select(Gen.Int[1, 45], Gen.Int[1, 40]).SampleAsync(
            async (call, records) =>
            {
                var memory = new LedgerMemoryStore();
                await using var other = new TransferWorld(memory);
                var voided = false;
                var store = new InterruptedStore(memory, call, async () =>
                {
                    if (await other.Ledger.FindBatchAsync(Exporter, "batch", Token) is not null)
                    {
                        await other.Ledger.VoidBatchAsync(Exporter, "batch", Token);
                        voided = true;
                    }
                });
                await using var one = new TransferWorld(store);
                try
                {
                    await one.Intake.RecordAsync("batch", Batch(records), Reported, Token);
                }
                catch (LedgerRefusalException refusal) when (voided)
                {
                    Assert.Equal(LedgerRefusal.BatchVoided, refusal.Reason);
                }

                await store.EndAsync();
                var expected = voided ? 0 : records;
                Assert.Equal((expected, expected), ((int)(await one.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects, await KeptAsync(one.Ledger)));
                Assert.Equal(expected, (await other.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
                Assert.True((await other.Ledger.RecountAsync(Exporter, Token)).Agrees);
            },
            iter: 150);

    /// <summary>Azure cuts an answer off after 230 s: before that it is given, with how far the batch got.</summary>
    [Fact]
    public async Task A_batch_that_takes_too_long_is_answered_with_how_far_it_got_and_goes_on_from_there()
    {
        var time = LedgerScenario.Clock();
        await using var world = new TransferWorld(new LedgerMemoryStore(), time: time);
        var lines = TransferSender.Lines(Enumerable.Range(0, 300), Exporter);
        var until = lines.Split('\n').Take(200).Sum(static line => line.Length + 1);
        await using var stalling = new StallingStream(System.Text.Encoding.UTF8.GetBytes(lines[..(until + 50)]));
        await using var body = await OpenAsync(stalling, time);

        var taking = world.Intake.RecordAsync(body.BatchId, body, Reported, static _ => true, Token);
        await stalling.Stalled.WaitAsync(Token);
        time.Advance(TransferWorld.Options.BatchTime);
        var receipt = await taking;

        Assert.Equal((BatchStop.TimeLimit, false, 200L, 200L), (receipt.Stopped, receipt.Complete, receipt.Read, receipt.Accepted));
        await using var rest = await OpenAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(lines[until..])), time);
        var more = await world.Intake.RecordAsync(rest.BatchId, rest, Reported, static _ => true, Token);
        Assert.Equal((true, 100L, receipt.BatchId), (more.Complete, more.Accepted, more.BatchId));
        Assert.Equal(300, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);

        static async Task<BatchBody> OpenAsync(Stream body, TimeProvider time)
        {
            var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
            (context.Request.Method, context.Request.ContentType, context.Request.Body) = ("POST", TransferSender.NdJson, body);
            context.Request.Headers["Idempotency-Key"] = "slow";
            return (await BatchBody.OpenAsync(context, TransferWorld.Options, TransferWorld.Key, time))!;
        }
    }

    [Fact]
    public async Task Records_that_become_acceptable_are_recorded_when_the_same_batch_comes_again()
    {
        await using var world = new TransferWorld(new LedgerMemoryStore());
        await world.Intake.RecordAsync("batch", Batch(3), Reported, Token);

        var again = await world.Intake.RecordAsync("batch", Batch(5), Reported, Token);

        Assert.Equal((2, 3), (again.Accepted, again.Duplicates));
        Assert.Equal(5, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task More_recipients_than_can_be_told_apart_are_refused_record_by_record()
    {
        await using var world = new TransferWorld(new LedgerMemoryStore(), LedgerScenario.SmallOptions with { RecipientLimit = 2 });
        var batch = Enumerable.Range(0, 3).Select(i => LedgerScenario.Record(i, facts: LedgerScenario.Fact(recipient: $"recipient-{i}"))).ToList();

        var receipt = await world.Intake.RecordAsync("batch", batch, Reported, Token);

        Assert.Equal(3, receipt.Accepted + receipt.RejectedCount);
        Assert.All(receipt.Rejected, rejected => Assert.Equal("too-many-recipients", rejected.Code));
        Assert.NotEmpty(receipt.Rejected);
        Assert.Equal(receipt.Accepted, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task Identifiers_linked_after_they_were_counted_are_united_by_whoever_comes_first()
    {
        var memory = new LedgerMemoryStore();
        await using var world = new TransferWorld(memory);
        await world.Intake.RecordAsync("batch", Batch(4), Reported, Token);

        // The process dies between the link and the union.
        await world.Identities.LinkAsync([[LedgerScenario.Subject(0), LedgerScenario.Subject(1), LedgerScenario.Subject(99)]], Token);
        await using var next = new TransferWorld(memory);
        Assert.Equal(1, (await next.Links.SettleAndConfirmAsync(Token)).United);
        Assert.Equal(3, (await next.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);

        // An instance that did not know of the link yet records under an identifier that was not held before: the second run finds it.
        await next.Ledger.AppendAsync(LedgerScenario.Batch("stale", LedgerScenario.Record(99)), Token);
        Assert.Equal(1, (await next.Links.SettleAndConfirmAsync(Token)).United);
        Assert.Equal(0, (await next.Links.SettleAndConfirmAsync(Token)).United);
        Assert.Equal(3, (await next.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
        Assert.True((await next.Ledger.RecountAsync(Exporter, Token)).Agrees);
        Assert.Empty((await next.Identities.PendingAsync(Token)).Unions);
    }

    [Fact]
    public async Task Only_what_says_something_new_is_news()
    {
        await using var world = new TransferWorld(new LedgerMemoryStore());
        await world.Intake.RecordAsync("batch", Batch(2), Reported, Token);

        var news = await world.Ledger.NewsAsync(
            Exporter,
            [
                LedgerScenario.Record(0), LedgerScenario.Record(2), LedgerScenario.Record(1, facts: LedgerScenario.Fact(recipient: "acme-mo")),
                LedgerScenario.Record(1, "2025-12-31T23:59:59+08:00"),
            ], Token);

        Assert.Equal(3, news.Count);
        Assert.DoesNotContain(news, record => record.Subject == LedgerScenario.Subject(0));
    }

    [Fact]
    public async Task Observed_counters_are_kept_by_day_and_by_year()
    {
        var store = new LedgerMemoryStore();
        var time = LedgerScenario.Clock();
        await using var world = new TransferWorld(store, time: time);
        var history = new CounterHistory(store, time);
        await world.Intake.RecordAsync("one", Batch(2), Reported, Token);
        await history.RecordAsync(await world.Ledger.ReadCountersAsync(Exporter, 2026, Token), Token);
        await world.Intake.RecordAsync("two", Batch(3), Reported, Token);
        await history.RecordAsync(await world.Ledger.ReadCountersAsync(Exporter, 2026, Token), Token);
        time.Advance(TimeSpan.FromDays(1));
        await history.RecordAsync(await world.Ledger.ReadCountersAsync(Exporter, 2026, Token), Token);
        await history.RecordAsync(await world.Ledger.ReadCountersAsync(Exporter, 2025, Token), Token);

        var days = await history.ReadAsync(Exporter, 2026, Token);

        Assert.Equal([(new DateOnly(2026, 11, 22), 3L), (new DateOnly(2026, 11, 23), 3L)], days.Select(day => (day.Day, day.Counters["cn.counted.any"])));
        Assert.Empty(await history.ReadAsync(Exporter, 2025, Token));
    }

    [Fact]
    public async Task What_is_past_its_retention_goes_with_the_nightly_run_and_a_person_can_be_forgotten_then()
    {
        var store = new LedgerMemoryStore();
        var time = LedgerScenario.Clock();
        await using var world = new TransferWorld(store, time: time);
        await world.Intake.RecordAsync("old", [LedgerScenario.Record(1), LedgerScenario.Record(2)], Reported, Token);
        await Assert.ThrowsAsync<LedgerRefusalException>(() => world.Ledger.EraseSubjectAsync(Exporter, LedgerScenario.Subject(1), Token));

        time.Advance(TimeSpan.FromDays(3 * 366));
        await world.Ledger.EraseSubjectAsync(Exporter, LedgerScenario.Subject(1), Token);
        Assert.False(store.Holds(LedgerScenario.Subject(1)));
        await new PruneTransfers(TransferWorld.Options, world.Ledger, TestJournal.Aside(LedgerScenario.Clock()).Journal, Microsoft.Extensions.Logging.Abstractions.NullLogger<PruneTransfers>.Instance).InvokeAsync(new(false), Token);

        Assert.Null(await world.Ledger.FindBatchAsync(Exporter, "old", Token));
        Assert.Equal(1, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
        Assert.True((await world.Ledger.RecountAsync(Exporter, Token)).Agrees);
    }

    /// <summary>How many records the evidence holds; each once.</summary>
    private static async Task<int> KeptAsync(SubjectLedger ledger)
    {
        List<(string, string)> kept = [];
        await foreach (var record in ledger.ReadRecordsAsync(Exporter, null, Token))
        {
            kept.Add((record.BatchId, record.RecordId));
        }

        Assert.Equal(kept.Count, kept.Distinct().Count());
        return kept.Count;
    }

    private static List<SubjectTransfer> Batch(int records, int from = 0) =>
        [.. Enumerable.Range(from, records).Select(i => LedgerScenario.Record(i))];

    /// <summary>A body that stops coming after some bytes.</summary>
    private sealed class StallingStream(byte[] bytes) : MemoryStream(bytes)
    {
        private readonly TaskCompletionSource _stalled = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Stalled => _stalled.Task;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Position < Length)
            {
                return await base.ReadAsync(buffer, cancellationToken);
            }

            _stalled.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return 0;
        }
    }
}
