using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using static DingFlow.Tests.Transfers.LedgerScenario;

namespace DingFlow.Tests.Transfers;

public sealed class LedgerTests : IAsyncLifetime
{
    private readonly LedgerMemoryStore _store = new();
    private SubjectLedger _ledger = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _ledger = Ledger(_store);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync() => await _ledger.DisposeAsync();

    [Fact]
    public async Task The_example_of_the_contract_counts_as_it_says()
    {
        var record = Record(1, "2026-11-22T09:00:00+08:00", Fact(), Fact(dataClass: DataClass.Finance));

        var result = await _ledger.AppendAsync(Batch("b-1", record), Token);
        var counters = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal((1, 0), (result.Accepted, result.AlreadyAccepted));
        Assert.Equal((1, 1), (counters.Subjects, counters.Position));
        foreach (var name in (string[])["pi.general", "pi.sensitive", "sensitive.finance", "recipient.acme-sg", "country.SG", "lane.CN-SG"])
        {
            Assert.Equal(1, counters.Counters[name]);
        }
    }

    [Fact]
    public async Task An_exporter_with_no_data_has_zeros()
    {
        var counters = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal((0, 0), (counters.Subjects, counters.Position));
        Assert.All(counters.Counters.Values, count => Assert.Equal(0, count));
        Assert.Contains("cn.counted.general", counters.Counters.Keys);
    }

    [Theory]
    [InlineData("2025-12-31T15:59:59.9999999Z", 2025)]
    [InlineData("2025-12-31T16:00:00Z", 2026)]
    [InlineData("2026-01-01T00:00:00+08:00", 2026)]
    [InlineData("2025-12-31T23:00:00-05:00", 2026)]
    public async Task The_year_turns_at_midnight_in_Shanghai(string at, int year)
    {
        await _ledger.AppendAsync(Batch("b", Record(1, at)), Token);

        Assert.Equal(1, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, year, Token)).Subjects);
        Assert.Equal(0, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, year == 2025 ? 2026 : 2025, Token)).Subjects);
    }

    [Fact]
    public async Task A_late_record_corrects_its_year_and_the_window_of_two_years()
    {
        await _ledger.AppendAsync(Batch("this year", Record(1)), Token);
        var before = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        await _ledger.AppendAsync(Batch("last year", Record(1, "2025-03-01T00:00:00Z"), Record(2, "2025-03-01T00:00:00Z")), Token);

        Assert.Equal(1, before.Counters["cn.counted.any.twoYears"]);
        Assert.Equal(2, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2025, Token)).Subjects);
        var after = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        Assert.Equal((1, 2), (after.Subjects, after.Counters["cn.counted.any.twoYears"]));
    }

    [Fact]
    public async Task A_batch_that_comes_again_is_not_accepted_again()
    {
        var batch = Batch("b", [.. Enumerable.Range(0, 12).Select(i => Record(i))]);
        await _ledger.AppendAsync(batch, Token);

        var again = await _ledger.AppendAsync(batch, Token);
        await using var other = Ledger(_store);
        var elsewhere = await other.AppendAsync(batch, Token);

        Assert.Equal((0, 12), (again.Accepted, again.AlreadyAccepted));
        Assert.Equal((0, 12), (elsewhere.Accepted, elsewhere.AlreadyAccepted));
        Assert.Equal(12, await CountAsync(_ledger.ReadRecordsAsync(LedgerScenario.Exporter, null, Token)));
        var info = await _ledger.FindBatchAsync(LedgerScenario.Exporter, "b", Token);
        Assert.Equal((BatchState.Accepted, 1, 12), (info!.State, info.Parts, info.Records));
    }

    [Fact]
    public async Task Parts_may_come_in_any_order_and_any_number_of_times()
    {
        var parts = Enumerable.Range(0, 5).Select(part => new TransferBatch("b", part, [.. Enumerable.Range(part * 12, 12).Select(i => Record(i))])).ToList();

        var results = new List<AppendResult>();
        foreach (var part in (int[])[2, 0, 2, 4, 1, 0, 3])
        {
            results.Add(await _ledger.AppendAsync(parts[part], Token));
        }

        Assert.Equal([12, 12, 0, 12, 12, 0, 12], results.Select(result => result.Accepted));
        Assert.Equal([0, 0, 12, 0, 0, 12, 0], results.Select(result => result.AlreadyAccepted));
        Assert.Equal(60, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.Equal(5, (await _ledger.FindBatchAsync(LedgerScenario.Exporter, "b", Token))!.Parts);
    }

    [Fact]
    public async Task Records_of_two_exporters_in_one_part_count_for_each()
    {
        await _ledger.AppendAsync(Batch("b", Record(1), Record(1) with { Exporter = "acme-sg" }, Record(2) with { Exporter = "acme-sg" }), Token);

        Assert.Equal(1, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.Equal(2, (await _ledger.ReadCountersAsync("acme-sg", 2026, Token)).Subjects);
    }

    [Fact]
    public async Task A_voided_batch_leaves_what_others_say()
    {
        await _ledger.AppendAsync(Batch("right", Record(1), Record(2)), Token);
        await _ledger.AppendAsync(Batch("wrong", Record(2, facts: Fact(dataClass: DataClass.Finance)), Record(3)), Token);

        await _ledger.VoidBatchAsync(LedgerScenario.Exporter, "wrong", Token);
        await _ledger.VoidBatchAsync(LedgerScenario.Exporter, "wrong", Token);

        var counters = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        Assert.Equal((2, 0), (counters.Subjects, counters.Counters["pi.sensitive"]));
        Assert.Equal(BatchState.Voided, (await _ledger.FindBatchAsync(LedgerScenario.Exporter, "wrong", Token))!.State);
        Assert.Equal(2, await CountAsync(_ledger.ReadRecordsAsync(LedgerScenario.Exporter, null, Token)));
        var refusal = await Assert.ThrowsAsync<LedgerRefusalException>(() => _ledger.AppendAsync(new("wrong", 1, [Record(9)]), Token));
        Assert.Equal(LedgerRefusal.BatchVoided, refusal.Reason);
        Assert.Equal(
            LedgerRefusal.UnknownBatch,
            (await Assert.ThrowsAsync<LedgerRefusalException>(() => _ledger.VoidBatchAsync(LedgerScenario.Exporter, "none", Token))).Reason);
        Assert.True((await _ledger.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
    }

    [Fact]
    public async Task Two_identifiers_of_one_person_count_once_now_and_later()
    {
        await _ledger.AppendAsync(Batch("b", Record(1), Record(2, facts: Fact(dataClass: DataClass.Finance)), Record(3)), Token);

        await _ledger.UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);
        await _ledger.AppendAsync(Batch("later", Record(2, "2025-06-01T00:00:00Z")), Token);
        await using var fresh = Ledger(_store);

        Assert.Equal(2, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.Equal(1, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2025, Token)).Subjects);
        var state = await fresh.ReadSubjectAsync(LedgerScenario.Exporter, Subject(2), Token);
        Assert.Equal(SubjectKey.Of(Subject(1)), state.Subject);
        Assert.Equal([2025, 2026], state.Years.Keys);
        Assert.Equal([Fact(), Fact(dataClass: DataClass.Finance)], state.Years[2026].OrderBy(fact => fact.Class));
        Assert.Equal(3, await CountAsync(fresh.ReadRecordsAsync(LedgerScenario.Exporter, Subject(1), Token)));
    }

    [Fact]
    public async Task Until_a_union_is_through_the_count_is_never_too_low()
    {
        await _ledger.AppendAsync(Batch("b", Record(1), Record(2, facts: Fact(dataClass: DataClass.Finance))), Token);
        Assert.Equal(2, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.NotEqual(SubjectKey.Of(Subject(1)).Shard(4), SubjectKey.Of(Subject(2)).Shard(4));
        var seen = new List<long>();
        for (var at = 1; at < 40; at++)
        {
            var inner = new LedgerMemoryStore();
            await using (var first = Ledger(inner))
            {
                await first.AppendAsync(Batch("b", Record(1), Record(2)), Token);
                await first.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
            }

            var dying = Ledger(new LedgerFaultyStore(inner, call => call == at ? StoreFault.DieAfter : StoreFault.None));
            try
            {
                await dying.UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);
            }
            catch (ProcessDiedException)
            {
                // The point of the test.
            }

            seen.Add(await StoredSubjectsAsync(inner));
        }

        Assert.Equal([2L, 1L], seen.Distinct());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_reads_while_two_identifiers_are_united_counts_the_person(bool elsewhere)
    {
        await _ledger.AppendAsync(Batch("b", Record(1), Record(2, facts: Fact(dataClass: DataClass.Finance))), Token);
        var (survivor, other) = (ShardOf(1), ShardOf(2));
        Assert.NotEqual(survivor, other);
        var (armed, united, survivorRead) = (false, 0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        SubjectLedger? reader = null;
        var store = new WatchedStore(
            _store,
            async partition =>
            {
                if (armed && partition == other && Interlocked.Exchange(ref united, 1) == 0)
                {
                    // The survivor's shard was read as it was; now the other loses its facts.
                    await survivorRead.Task.WaitAsync(Token);
                    await (elsewhere ? _ledger : reader!).UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);
                }
            },
            partition =>
            {
                if (armed && partition == survivor)
                {
                    survivorRead.TrySetResult();
                }
            });
        await using (reader = Ledger(store))
        {
            await reader.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
            armed = true;

            var counters = await reader.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

            Assert.Equal((1, 1, 1), (united, counters.Counters["pi.general"], counters.Counters["pi.sensitive"]));
        }

        static string ShardOf(int subject) => LedgerRows.ShardPartition(LedgerScenario.Exporter, SubjectKey.Of(Subject(subject)).Shard(SmallOptions.Shards));
    }

    [Theory]
    [InlineData(8, "key-1", "Transfers:Shards")]
    [InlineData(4, "key-2", "Pseudonyms:LedgerKey")]
    public async Task Another_shard_count_or_key_is_refused(int shards, string keyId, string setting)
    {
        await _ledger.AppendAsync(Batch("b", Record(1)), Token);
        await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        await using var other = Ledger(_store, SmallOptions with { Shards = shards, KeyId = keyId });

        var read = await Assert.ThrowsAsync<LedgerMismatchException>(() => other.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token));
        var write = await Assert.ThrowsAsync<LedgerMismatchException>(() => other.AppendAsync(Batch("c", Record(2)), Token));

        Assert.Equal((setting, setting), (read.Setting, write.Setting));
        Assert.Equal(1, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task Other_definitions_count_the_same_rows_anew()
    {
        await _ledger.AppendAsync(Batch("b", [.. Enumerable.Range(0, 30).Select(i => Record(i, facts: Fact(dataClass: DataClass.IdentityNumber)))]), Token);
        Assert.Equal(0, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Counters["pi.sensitive"]);
        await using var conservative = Ledger(_store, predicates: PredicateSet.Load(new(1UL << (int)DataClass.IdentityNumber)));

        var counters = await conservative.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal((30, 0), (counters.Counters["pi.sensitive"], counters.Counters["pi.general"]));
        Assert.True((await conservative.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
    }

    [Fact]
    public async Task Recipients_beyond_the_limit_are_refused_and_the_others_count()
    {
        await using var ledger = Ledger(_store, SmallOptions with { RecipientLimit = 2, LaneLimit = 2 });

        var result = await ledger.AppendAsync(
            Batch(
                "b", Record(1, facts: Fact(recipient: "a")), Record(2, facts: Fact(recipient: "b", lane: "CN-MO")),
                Record(3, facts: Fact(recipient: "c")), Record(4, facts: Fact(recipient: "a", lane: "CN-HK")), Record(5, facts: Fact(recipient: "b"))),
            Token);

        Assert.Equal(3, result.Accepted);
        Assert.Equal([new(2, LedgerRefusal.TooManyRecipients), new(3, LedgerRefusal.TooManyLanes)], result.Refused);
        Assert.Equal(3, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task Refused_records_do_not_shift_the_pieces_of_a_part()
    {
        await using var ledger = Ledger(_store, SmallOptions with { RecipientLimit = 1 });
        var part = new TransferBatch("b", 0, [.. Enumerable.Range(0, 30).Select(i => Record(i, facts: Fact(recipient: i is 3 or > 9 and < 20 ? "new" : "known")))]);

        var result = await ledger.AppendAsync(part, Token);
        var again = await ledger.AppendAsync(part, Token);

        Assert.Equal([3, .. Enumerable.Range(10, 10)], result.Refused.Select(record => record.Index));
        Assert.Equal((19, 0), (result.Accepted, again.Accepted));
        Assert.Equal(19, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task A_ledger_that_remembers_no_more_refuses_what_is_new_and_goes_on_counting()
    {
        await using var ledger = Ledger(_store, SmallOptions with { HeaderBytes = 200 });
        var voided = 0;
        LedgerRefusalException? refusal = null;
        while (refusal is null)
        {
            var batch = $"batch-{voided++}";
            await ledger.AppendAsync(Batch(batch, Record(voided)), Token);
            refusal = await Xunit.Record.ExceptionAsync(() => ledger.VoidBatchAsync(LedgerScenario.Exporter, batch, Token)) as LedgerRefusalException;
        }

        var known = await ledger.AppendAsync(Batch("more", Record(90), Record(91, facts: Fact(recipient: "new"))), Token);
        var union = await Assert.ThrowsAsync<LedgerRefusalException>(() => ledger.UnionAsync(LedgerScenario.Exporter, Subject(90), Subject(91), Token));
        await ledger.VoidBatchAsync(LedgerScenario.Exporter, "batch-0", Token);

        Assert.InRange(voided, 5, 50);
        Assert.Equal((LedgerRefusal.TooManyVoids, LedgerRefusal.TooManyUnions), (refusal.Reason, union.Reason));
        Assert.Equal([new(1, LedgerRefusal.TooManyRecipients)], known.Refused);
        Assert.Equal(2, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task The_largest_checkpoint_is_one_that_the_store_takes()
    {
        var (options, header, position) = (new LedgerOptions("key-1"), new LedgerHeader(new("key-1")), 0L);
        for (var subject = 0; subject < LedgerLimits.Aliases; subject++)
        {
            header.Observe(new(LogEntryKind.Union, "") { Position = ++position, Subject = SubjectKey.Of(Subject(-1)), Other = SubjectKey.Of(Subject(subject)) });
        }

        while (header.Bytes <= options.HeaderBytes)
        {
            header.Observe(new(LogEntryKind.Void, Guid.NewGuid().ToString("N")) { Position = ++position });
        }

        var row = new DingFlow.Storage.Entity(LedgerScenario.Exporter, LedgerRows.Checkpoint);
        header.Write(row.Properties);
        var result = await _store.SubmitAsync(
            DingFlow.Storage.EntityTransaction.Of(LedgerRows.LogTable, DingFlow.Storage.EntityOperation.Insert(row)), Token);

        Assert.True(result.Committed);
        Assert.InRange(row.Properties.Values.OfType<byte[]>().Sum(bytes => bytes.Length), 700_000, header.Bytes);
        Assert.Equal(LedgerLimits.Aliases, LedgerHeader.Of(row.Properties, position, options).Aliases);
    }

    [Fact]
    public async Task A_preview_says_what_recording_would_and_records_nothing()
    {
        await _ledger.AppendAsync(Batch("b", [.. Enumerable.Range(0, 20).Select(i => Record(i))]), Token);
        var batch = Batch(
            "c", Record(3, facts: Fact(dataClass: DataClass.Finance)), Record(40, facts: Fact(recipient: "unheard-of")),
            Record(41, "2025-02-01T00:00:00Z"), Record(41, "2025-02-02T00:00:00Z"), Record(5));

        var preview = await _ledger.PreviewAsync(LedgerScenario.Exporter, 2026, batch.Records, Token);
        var nothing = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        await _ledger.AppendAsync(batch, Token);
        var recorded = await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal((20, 21), (nothing.Subjects, preview.Counters.Subjects));
        Assert.Equal(recorded.Counters.OrderBy(c => c.Key, StringComparer.Ordinal), preview.Counters.Counters.OrderBy(c => c.Key, StringComparer.Ordinal));
        Assert.Equal((1, 2), (preview.Changes["recipient.unheard-of"], preview.Changes["cn.counted.any.twoYears"]));
        Assert.DoesNotContain("cn.counted.generalOnly", preview.Changes.Keys);
    }

    [Fact]
    public async Task Opening_balances_stand_beside_the_counters()
    {
        await _ledger.AppendAsync(Batch("b", Record(1)), Token);
        await _ledger.SetOpeningBalanceAsync(LedgerScenario.Exporter, 2026, "cn.counted.general", 4000, "HR system, 30 June", Token);
        await _ledger.SetOpeningBalanceAsync(LedgerScenario.Exporter, 2026, "cn.counted.general", 4100, "HR system, corrected", Token);

        var balance = Assert.Single(await _ledger.ReadOpeningBalancesAsync(LedgerScenario.Exporter, Token));
        Assert.Equal((2026, "cn.counted.general", 4100L), (balance.Year, balance.Counter, balance.Count));
        Assert.Equal(1, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Counters["cn.counted.general"]);
    }

    [Fact]
    public async Task Records_come_back_as_they_were_accepted()
    {
        var circumstances = new TransferCircumstances(
            ["name", "bankCardNumber"], "payroll", "contract", "SC-2026-1", "api", "dingtalk", null, TransferNotices.UnknownRecipient);
        var record = Record(7, "2026-11-22T09:00:00.123+08:00", Fact(), Fact(dataClass: DataClass.Finance)) with
        {
            RecordId = "t-😀-1", Circumstances = circumstances,
        };
        await _ledger.AppendAsync(Batch("b", Record(1) with { RecordId = "t-😃-0" }, record, Record(3) with { Facts = [] }), Token);

        var records = await ListAsync(_ledger.ReadRecordsAsync(LedgerScenario.Exporter, Subject(7), Token));

        var kept = Assert.Single(records);
        Assert.Equal((record.RecordId, "b", record.OccurredAt), (kept.RecordId, kept.BatchId, kept.OccurredAt));
        Assert.Equal(record.Facts, kept.Facts);
        Assert.Equal(circumstances.Fields, kept.Circumstances.Fields);
        Assert.Equal(circumstances with { Fields = [] }, kept.Circumstances with { Fields = [] });
        Assert.Equal(2, (await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task A_subject_is_erased_only_after_its_retention()
    {
        var clock = Clock();
        await using var ledger = Ledger(_store, time: clock);
        await ledger.AppendAsync(Batch("b", [.. Enumerable.Range(0, 20).Select(i => Record(i))]), Token);

        var early = await Assert.ThrowsAsync<LedgerRefusalException>(() => ledger.EraseSubjectAsync(LedgerScenario.Exporter, Subject(4), Token));
        clock.Advance(TimeSpan.FromDays(3 * 366));
        await ledger.EraseSubjectAsync(LedgerScenario.Exporter, Subject(4), Token);

        Assert.Equal(LedgerRefusal.WithinRetention, early.Reason);
        await using var fresh = Ledger(_store, time: clock);
        Assert.Equal(19, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.Empty((await fresh.ReadSubjectAsync(LedgerScenario.Exporter, Subject(4), Token)).Years);
        Assert.Equal(0, await CountAsync(fresh.ReadRecordsAsync(LedgerScenario.Exporter, Subject(4), Token)));
        Assert.Equal(19, await CountAsync(fresh.ReadRecordsAsync(LedgerScenario.Exporter, null, Token)));
        Assert.True((await fresh.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
        Assert.False(_store.Holds(Subject(4)));
        Assert.True(_store.Holds(Subject(5)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_subject_of_whom_nothing_is_left_does_not_stay_as_a_name(bool restarts)
    {
        var clock = Clock();
        await using var ledger = Ledger(_store, time: clock);
        await ledger.AppendAsync(Batch("wrong", Record(4)), Token);
        await ledger.VoidBatchAsync(LedgerScenario.Exporter, "wrong", Token);
        Assert.Equal(0, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        clock.Advance(TimeSpan.FromDays(5 * 366));

        await using var later = Ledger(_store, time: clock);
        await (restarts ? later : ledger).PruneAsync(LedgerScenario.Exporter, Token);

        Assert.False(_store.Holds(Subject(4)));
        Assert.True((await later.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
    }

    /// <summary>Another instance accepts a record of the person between any two calls of the erasure.</summary>
    [Fact]
    public async Task A_record_that_is_accepted_while_its_person_is_erased_is_not_lost()
    {
        var (erased, refused) = (0, 0);
        for (var call = 1; call <= 40; call++)
        {
            var (memory, clock) = (new LedgerMemoryStore(), Clock());
            await using var other = Ledger(memory, time: clock);
            await other.AppendAsync(Batch("old", Record(4), Record(5)), Token);
            clock.Advance(TimeSpan.FromDays(3 * 366));
            var store = new InterruptedStore(
                memory, call, async () => await other.AppendAsync(Batch("new", Record(4) with { OccurredAt = clock.GetUtcNow() }), Token));
            await using var ledger = Ledger(store, time: clock);
            try
            {
                await ledger.EraseSubjectAsync(LedgerScenario.Exporter, Subject(4), Token);
                erased++;
            }
            catch (LedgerRefusalException refusal) when (refusal.Reason == LedgerRefusal.WithinRetention)
            {
                refused++;
            }

            await store.EndAsync();
            await other.AppendAsync(Batch("new", Record(4) with { OccurredAt = clock.GetUtcNow() }), Token);
            foreach (var reader in (SubjectLedger[])[ledger, other])
            {
                Assert.Equal(1, (await reader.ReadCountersAsync(LedgerScenario.Exporter, 2029, Token)).Subjects);
                Assert.True((await reader.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
            }
        }

        Assert.True(erased > 0 && refused > 0, $"{erased} erased, {refused} refused");
    }

    /// <summary>A person under two identifiers is erased by one instance between any two calls of another that is behind, and comes again.</summary>
    [Fact]
    public async Task An_instance_that_is_behind_counts_nobody_who_was_erased_meanwhile()
    {
        for (var call = 1; call <= 60; call++)
        {
            var (memory, clock, model) = (new LedgerMemoryStore(), Clock(), new LedgerModel(Predicates));
            await using var one = Ledger(memory, time: clock);
            await AppendAsync("first", Record(1), Record(2), Record(3, facts: Fact(recipient: "first")));
            var armed = false;
            var store = new InterruptedStore(memory, call + 20, async () =>
            {
                if (armed)
                {
                    await EraseAsync();
                }
            });
            await using var behind = Ledger(store, time: clock);
            await behind.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
            await one.UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);
            model.Union(Subject(1), Subject(2));
            await AppendAsync("second", Record(2, facts: Fact(recipient: "second")), Record(4, facts: Fact(recipient: "third")));
            for (var more = 0; more < 5; more++)
            {
                await AppendAsync($"more-{more}", Record(5 + more), Record(2));
            }

            clock.Advance(TimeSpan.FromDays(3 * 366));
            armed = true;
            await behind.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
            await store.EndAsync();
            armed = false;
            if (model.Holds(Record(1)))
            {
                await EraseAsync();
            }

            await model.AssertAgreesAsync(behind, LedgerScenario.Exporter, [2026, 2029], Token);
            await model.AssertAgreesAsync(one, LedgerScenario.Exporter, [2026, 2029], Token);
            Assert.False(memory.Holds(Subject(1)), $"call {call}");

            async Task EraseAsync()
            {
                await one.EraseSubjectAsync(LedgerScenario.Exporter, Subject(1), Token);
                model.Erase(Subject(1));
            }

            async Task AppendAsync(string batch, params SubjectTransfer[] records)
            {
                await one.AppendAsync(Batch(batch, records), Token);
                model.Append(batch, records);
            }
        }
    }

    [Fact]
    public async Task A_person_who_comes_again_after_being_erased_is_united_again_also_where_both_are_read_at_once()
    {
        var clock = Clock();
        await using var one = Ledger(_store, time: clock);
        await using var behind = Ledger(_store, time: clock);
        await one.AppendAsync(Batch("b", Record(1), Record(2)), Token);
        await one.UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);
        await behind.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        clock.Advance(TimeSpan.FromDays(3 * 366));
        await one.EraseSubjectAsync(LedgerScenario.Exporter, Subject(2), Token);
        await one.AppendAsync(Batch("again", Record(1, "2029-11-01T00:00:00Z"), Record(2, "2029-11-01T00:00:00Z")), Token);
        await one.UnionAsync(LedgerScenario.Exporter, Subject(1), Subject(2), Token);

        await behind.AppendAsync(Batch("more", Record(2, "2029-11-02T00:00:00Z", Fact(recipient: "more"))), Token);

        foreach (var ledger in (SubjectLedger[])[behind, one])
        {
            Assert.Equal(1, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2029, Token)).Subjects);
            Assert.Equal(0, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        }
    }

    [Fact]
    public async Task An_instance_that_starts_after_an_erasure_numbers_recipients_as_the_others_do()
    {
        var rarely = SmallOptions with { CheckpointEntries = 1000 };
        for (var at = 1; at < 40; at++)
        {
            var (copy, clock) = (new LedgerMemoryStore(), Clock());
            await using (var filling = Ledger(copy, rarely, time: clock))
            {
                await filling.AppendAsync(Batch("b", Record(4, facts: Fact(recipient: "first", lane: "CN-JP")), Record(5, facts: Fact(recipient: "second")), Record(6, facts: Fact(recipient: "first"))), Token);
                await filling.AppendAsync(Batch("c", Record(7, facts: Fact(recipient: "third"))), Token);
                await filling.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
            }

            clock.Advance(TimeSpan.FromDays(3 * 366));
            var dying = Ledger(new LedgerFaultyStore(copy, call => call == at ? StoreFault.DieAfter : StoreFault.None), rarely, time: clock);
            try
            {
                await dying.EraseSubjectAsync(LedgerScenario.Exporter, Subject(4), Token);
            }
            catch (ProcessDiedException)
            {
                // The point of the test.
            }

            await using var fresh = Ledger(copy, time: clock);
            var counters = (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Counters;
            Assert.Equal((1, 1), (counters["recipient.second"], counters["recipient.third"]));
            Assert.InRange(counters["recipient.first"], 1, 2);
        }
    }

    [Fact]
    public async Task What_is_past_its_retention_is_pruned()
    {
        var clock = Clock();
        await using var ledger = Ledger(_store, time: clock);
        await ledger.AppendAsync(Batch("old", Record(1, "2025-05-01T00:00:00Z"), Record(2)), Token);
        clock.Advance(TimeSpan.FromDays(3 * 366));
        await ledger.AppendAsync(Batch("new", Record(2, "2029-11-01T00:00:00Z"), Record(3, "2029-11-01T00:00:00Z")), Token);

        var removed = await ledger.PruneAsync(LedgerScenario.Exporter, Token);
        await ledger.VoidBatchAsync(LedgerScenario.Exporter, "new", Token);

        Assert.Equal(1, removed);
        Assert.Null(await ledger.FindBatchAsync(LedgerScenario.Exporter, "old", Token));
        await using var fresh = Ledger(_store, time: clock);
        Assert.Equal(0, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2025, Token)).Subjects);
        Assert.Equal(1, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
        Assert.Equal(0, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2029, Token)).Subjects);
        await fresh.AppendAsync(Batch("newer", Record(5, "2029-11-02T00:00:00Z")), Token);
        Assert.Equal(1, (await fresh.ReadCountersAsync(LedgerScenario.Exporter, 2029, Token)).Subjects);
        Assert.True((await fresh.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
    }

    [Fact]
    public async Task A_single_record_writes_three_entities_and_a_bulk_hardly_any_per_subject()
    {
        await using var ledger = Ledger(_store, new("key-1"));
        await ledger.AppendAsync(Batch("single", Record(0)), Token);
        await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        var (singleEntities, singleTransactions) = (_store.EntitiesWritten, _store.Transactions);

        const int records = 10_000;
        await ledger.AppendAsync(Batch("bulk", [.. Enumerable.Range(1, records).Select(i => Record(i))]), Token);
        await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal((3, 2), (singleEntities, singleTransactions));
        Assert.InRange((_store.EntitiesWritten - singleEntities) / (double)records, 0, 0.02);
        Assert.InRange((_store.Transactions - singleTransactions) / (double)records, 0, 0.01);
    }

    [Fact]
    public async Task Records_that_say_nothing_new_write_no_shard()
    {
        await _ledger.AppendAsync(Batch("b", Record(1)), Token);
        await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        var before = _store.Transactions;

        await _ledger.AppendAsync(Batch("c", Record(1), Record(1)), Token);
        await _ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);

        Assert.Equal(before + 1, _store.Transactions);
    }

    [Fact]
    public async Task Many_senders_at_once_share_transactions_and_all_count()
    {
        var model = new LedgerModel(Predicates);
        var batches = Enumerable.Range(0, 60)
            .Select(i => Batch($"b-{i}", [.. Enumerable.Range(i, 7).Select(s => Record(s, facts: Fact(recipient: $"r-{i % 9}")))])).ToList();
        batches.ForEach(batch => model.Append(batch.Id, batch.Records));

        await Task.WhenAll(batches.Select(batch => Task.Run(() => _ledger.AppendAsync(batch, Token), Token)));

        await model.AssertAgreesAsync(_ledger, LedgerScenario.Exporter, Token);
    }

    private static async Task<long> StoredSubjectsAsync(LedgerMemoryStore store)
    {
        var subjects = 0L;
        for (var number = 0; number < SmallOptions.Shards; number++)
        {
            var row = await store.GetAsync(LedgerRows.ShardTable, LedgerRows.ShardPartition(LedgerScenario.Exporter, number), LedgerRows.CounterRow, Token);
            var place = Predicates.Predicates.Index().First(predicate => predicate.Item.Name == "subjects").Index;
            subjects += row is null ? 0 : ShardRow.FromRow(row, SmallOptions).Counters[new(2026, place)];
        }

        return subjects;
    }

    private static async Task<List<T>> ListAsync<T>(IAsyncEnumerable<T> items)
    {
        List<T> list = [];
        await foreach (var item in items)
        {
            list.Add(item);
        }

        return list;
    }

    private static async Task<int> CountAsync<T>(IAsyncEnumerable<T> items) => (await ListAsync(items)).Count;
}
