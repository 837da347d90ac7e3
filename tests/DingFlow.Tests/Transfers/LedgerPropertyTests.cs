using CsCheck;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// The ledger against its definition: any order, any duplication, any division into batches, any fault at any call, several writers.
/// </summary>
public sealed class LedgerPropertyTests
{
    private const string Exporter = LedgerScenario.Exporter;

    private static readonly string[] Moments =
    [
        "2024-12-31T15:59:59Z", "2024-12-31T16:00:00Z", "2025-07-01T00:00:00Z", "2025-12-31T15:59:59.999Z", "2025-12-31T16:00:00Z",
        "2026-06-01T00:00:00Z", "2026-12-31T16:00:00Z",
    ];

    private static readonly TransferFact[][] FactSets =
    [
        [],
        [LedgerScenario.Fact()],
        [LedgerScenario.Fact(dataClass: DataClass.Finance)],
        [LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.Finance)],
        [LedgerScenario.Fact(exemption: ExemptionKind.HumanResources)],
        [LedgerScenario.Fact(lane: "CN-MO", recipient: "acme-mo", exemption: ExemptionKind.GreaterBayContract)],
        [LedgerScenario.Fact(lane: "MO-CN", recipient: "acme-zhuhai", dataClass: DataClass.MedicalHealth)],
        [LedgerScenario.Fact(minor: true, dataClass: DataClass.Minor)],
    ];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Gen<SubjectTransfer> Records { get; } =
        from subject in Gen.Int[0, 25]
        from moment in Gen.Int[0, Moments.Length - 1]
        from facts in Gen.Int[0, FactSets.Length - 1]
        select LedgerScenario.Record(subject, Moments[moment]) with { Facts = FactSets[facts] };

    private static Gen<Step> Steps { get; } = Gen.Frequency(
        (8, Records.List[1, 24].Select(records => new Step(StepKind.Append, records, 0, 0))),
        (1, Gen.Int[0, 9].Select(batch => new Step(StepKind.Void, [], batch, 0))),
        (1, Gen.Select(Gen.Int[0, 25], Gen.Int[0, 25]).Select(pair => new Step(StepKind.Union, [], pair.Item1, pair.Item2))),
        (1, Gen.Const(new Step(StepKind.Read, [], 0, 0))));

    [Fact]
    public Task Counters_are_what_the_definition_says() => Steps.List[1, 14].SampleAsync(
        async steps =>
        {
            var model = new LedgerModel(LedgerScenario.Predicates);
            await using var ledger = LedgerScenario.Ledger(new LedgerMemoryStore());
            for (var i = 0; i < steps.Count; i++)
            {
                await RunAsync(ledger, steps[i], i);
                Apply(model, steps[i], i);
            }

            await model.AssertAgreesAsync(ledger, Exporter, Token);
        },
        iter: 300);

    [Fact]
    public Task Any_order_and_any_division_of_the_same_records_count_the_same() =>
        Gen.Select(Records.List[1, 60], Gen.Int[1, 20], Gen.Int[1, 20], Gen.Int[0, int.MaxValue]).SampleAsync(
            async (records, size, otherSize, seed) =>
            {
                var shuffled = records.Concat(records.Take(10)).ToArray();
                new Random(seed).Shuffle(shuffled);
                var (model, one, other) = (new LedgerModel(LedgerScenario.Predicates), new LedgerMemoryStore(), new LedgerMemoryStore());
                model.Append("all", records);
                await using var first = LedgerScenario.Ledger(one);
                await using var second = LedgerScenario.Ledger(other);
                await AppendInPartsAsync(first, records, size);
                await AppendInPartsAsync(second, shuffled, otherSize);
                await model.AssertAgreesAsync(first, Exporter, Token);
                await model.AssertAgreesAsync(second, Exporter, Token);
            },
            iter: 150);

    [Fact]
    public Task A_fault_at_any_call_changes_no_count() =>
        Gen.Select(Steps.List[1, 8], Gen.Int[1, 120], Gen.Enum<StoreFault>(), Gen.Int[40, 120]).SampleAsync(
            async (steps, at, fault, again) =>
            {
                var model = new LedgerModel(LedgerScenario.Predicates);
                var inner = new LedgerMemoryStore();
                var world = new World(inner, call => call == at || (fault > StoreFault.DieAfter && call % (at + again) == 0) ? fault : StoreFault.None);
                for (var i = 0; i < steps.Count; i++)
                {
                    await world.RunAsync(ledger => RunAsync(ledger, steps[i], i));
                    Apply(model, steps[i], i);
                }

                await world.DisposeAsync();
                await using var fresh = LedgerScenario.Ledger(inner);
                await model.AssertAgreesAsync(fresh, Exporter, Token);
            },
            iter: 600);

    [Fact]
    public Task Two_writers_on_one_store_count_exactly() =>
        Gen.Select(Steps.List[1, 8], Steps.List[1, 8]).SampleAsync(
            async (left, right) =>
            {
                var model = new LedgerModel(LedgerScenario.Predicates);
                var store = new LedgerMemoryStore();
                await using var one = LedgerScenario.Ledger(store);
                await using var other = LedgerScenario.Ledger(store);
                await Task.WhenAll(Task.Run(() => RunAllAsync(one, left, 0)), Task.Run(() => RunAllAsync(other, right, 100)));
                left.Index().ToList().ForEach(step => Apply(model, step.Item, step.Index));
                right.Index().ToList().ForEach(step => Apply(model, step.Item, step.Index + 100));
                await model.AssertAgreesAsync(one, Exporter, Token);
                await model.AssertAgreesAsync(other, Exporter, Token);
            },
            iter: 200);

    [Fact]
    public Task A_writer_that_falls_behind_catches_up() =>
        Gen.Select(Steps.List[2, 12], Gen.Int[0, int.MaxValue]).SampleAsync(
            async (steps, seed) =>
            {
                var model = new LedgerModel(LedgerScenario.Predicates);
                var (random, store) = (new Random(seed), new LedgerMemoryStore());
                await using var one = LedgerScenario.Ledger(store);
                await using var other = LedgerScenario.Ledger(store);
                for (var i = 0; i < steps.Count; i++)
                {
                    await RunAsync(random.Next(3) == 0 ? other : one, steps[i], i);
                    Apply(model, steps[i], i);
                }

                await model.AssertAgreesAsync(other, Exporter, Token);
                await model.AssertAgreesAsync(one, Exporter, Token);
            },
            iter: 300);

    private static async Task AppendInPartsAsync(SubjectLedger ledger, IReadOnlyList<SubjectTransfer> records, int size)
    {
        foreach (var (part, chunk) in records.Chunk(size).Index())
        {
            await ledger.AppendAsync(new("batch", part, chunk), Token);
            if (part % 3 == 0)
            {
                await ledger.AppendAsync(new("batch", part, chunk), Token);
            }
        }
    }

    private static async Task RunAllAsync(SubjectLedger ledger, List<Step> steps, int offset)
    {
        for (var i = 0; i < steps.Count; i++)
        {
            await RunAsync(ledger, steps[i], i + offset);
        }
    }

    /// <summary>One step; a void goes to a batch of the same sequence, and says nothing when there is none.</summary>
    private static async Task RunAsync(SubjectLedger ledger, Step step, int number)
    {
        switch (step.Kind)
        {
            case StepKind.Append:
                await ledger.AppendAsync(LedgerScenario.Batch(BatchOf(number), step.Records), Token);
                break;
            case StepKind.Void:
                try
                {
                    await ledger.VoidBatchAsync(Exporter, BatchOf((number / 100 * 100) + step.One), Token);
                }
                catch (LedgerRefusalException refusal) when (refusal.Reason == LedgerRefusal.UnknownBatch)
                {
                    // The sequence has no such batch yet.
                }

                break;
            case StepKind.Union when step.One != step.Other:
                await ledger.UnionAsync(Exporter, LedgerScenario.Subject(step.One), LedgerScenario.Subject(step.Other), Token);
                break;
            case StepKind.Read:
                await ledger.ReadCountersAsync(Exporter, 2026, Token);
                break;
            case StepKind.Union:
            default:
                break;
        }
    }

    private static void Apply(LedgerModel model, Step step, int number)
    {
        switch (step.Kind)
        {
            case StepKind.Append:
                model.Append(BatchOf(number), step.Records);
                break;
            case StepKind.Void when model.Has(BatchOf((number / 100 * 100) + step.One)):
                model.Void(BatchOf((number / 100 * 100) + step.One));
                break;
            case StepKind.Union when step.One != step.Other:
                model.Union(LedgerScenario.Subject(step.One), LedgerScenario.Subject(step.Other));
                break;
            case StepKind.Void:
            case StepKind.Union:
            case StepKind.Read:
            default:
                break;
        }
    }

    private static string BatchOf(int number) => $"batch/{number}";

    private enum StepKind
    {
        Append,
        Void,
        Union,
        Read,
    }

    private sealed record Step(StepKind Kind, List<SubjectTransfer> Records, int One, int Other)
    {
        public override string ToString() => Kind == StepKind.Append
            ? $"append {string.Join(", ", Records.Select(r => $"{r.RecordId}@{r.OccurredAt:yyyy} {string.Join('+', r.Facts)}"))}"
            : $"{Kind} {One} {Other}";
    }

    /// <summary>A ledger whose process may die: another one then starts over the same store, and the caller asks again.</summary>
    private sealed class World(IEntityStore inner, Func<int, StoreFault> faultOf) : IAsyncDisposable
    {
        public SubjectLedger Ledger { get; private set; } = LedgerScenario.Ledger(new LedgerFaultyStore(inner, faultOf));

        public async ValueTask DisposeAsync()
        {
            try
            {
                await Ledger.DisposeAsync();
            }
            catch (ProcessDiedException)
            {
                // It died while it merged in the background.
            }
        }

        public async Task RunAsync(Func<SubjectLedger, Task> step)
        {
            for (var attempt = 0; ; attempt++)
            {
                try
                {
                    await step(Ledger);
                    return;
                }
                catch (Exception exception) when (attempt < 20 && exception is ProcessDiedException or EntityStoreException)
                {
                    if (exception is ProcessDiedException)
                    {
                        Ledger = LedgerScenario.Ledger(inner);
                    }
                }
            }
        }
    }
}
