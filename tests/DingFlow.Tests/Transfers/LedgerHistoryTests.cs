using CsCheck;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// Years of a ledger's life against its definition: batches new, repeated and grown, batches taken back, identifiers linked before and after they
/// were counted, feeds, persons erased, retention, restarts, in any order over several years, by two instances, with a fault at any call.
/// </summary>
public sealed class LedgerHistoryTests
{
    private const string Exporter = LedgerScenario.Exporter;
    private const int People = 12;

    private static readonly TransferFact[][] FactSets =
    [
        [],
        [LedgerScenario.Fact()],
        [LedgerScenario.Fact(dataClass: DataClass.Finance)],
        [LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.MedicalHealth, recipient: "acme-jp", lane: "CN-JP")],
        [LedgerScenario.Fact(exemption: ExemptionKind.HumanResources)],
        [LedgerScenario.Fact(minor: true, dataClass: DataClass.Minor)],
    ];

    private static readonly TimeSpan[] Pauses =
        [TimeSpan.FromHours(1), TimeSpan.FromDays(40), TimeSpan.FromDays(200), TimeSpan.FromDays(366), TimeSpan.FromDays(3 * 366)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Gen<Said> Says { get; } = Gen.Select(Gen.Int[0, People - 1], Gen.Int[0, 5], Gen.Int[0, FactSets.Length - 1]).Select(said => new Said(said.Item1, said.Item2, said.Item3));

    private static Gen<Step> Steps { get; } = Gen.Select(
        Gen.Frequency(
            (6, Gen.Const(Kind.Append)), (2, Gen.Const(Kind.Resend)), (3, Gen.Const(Kind.Void)), (3, Gen.Const(Kind.Link)), (2, Gen.Const(Kind.Feed)), (2, Gen.Const(Kind.Erase)),
            (2, Gen.Const(Kind.Prune)), (3, Gen.Const(Kind.Pause)), (1, Gen.Const(Kind.Read)), (1, Gen.Const(Kind.Settle)), (1, Gen.Const(Kind.Restart))),
        Gen.Int[0, 1], Gen.Int[0, People - 1], Gen.Int[0, People - 1], Says.List[1, 9]).Select(step => new Step(step.Item1, step.Item2, step.Item3, step.Item4, step.Item5));

    [Fact]
    public Task Whatever_happens_over_the_years_the_counters_are_what_the_definition_says() => Steps.List[1, 18].SampleAsync(
        async steps =>
        {
            await using var history = new History(_ => StoreFault.None);
            foreach (var step in steps)
            {
                await history.RunAsync(step);
            }

            await history.AssertAgreesAsync();
        },
        iter: 400);

    [Fact]
    public Task A_fault_at_any_call_in_those_years_changes_no_count() =>
        Gen.Select(Steps.List[1, 14], Gen.Int[1, 250], Gen.Enum<StoreFault>(), Gen.Int[40, 160]).SampleAsync(
            async (steps, at, fault, again) =>
            {
                await using var history = new History(call => call == at || (fault > StoreFault.DieAfter && call % (at + again) == 0) ? fault : StoreFault.None);
                foreach (var step in steps)
                {
                    await history.RunAsync(step);
                }

                await history.AssertAgreesAsync();
            },
            iter: 300);

    private enum Kind
    {
        /// <summary>A new batch.</summary>
        Append,

        /// <summary>An earlier batch again, with a body that has grown.</summary>
        Resend,

        /// <summary>A batch is taken back.</summary>
        Void,

        /// <summary>Two identifiers are found to be one person's.</summary>
        Link,

        /// <summary>A feed records those of whom it says something new.</summary>
        Feed,

        /// <summary>A person asks to be forgotten.</summary>
        Erase,

        /// <summary>The nightly run.</summary>
        Prune,

        /// <summary>Time goes by.</summary>
        Pause,

        /// <summary>Somebody looks at the counters.</summary>
        Read,

        /// <summary>The timer that unites what is linked.</summary>
        Settle,

        /// <summary>An instance ends and another begins.</summary>
        Restart,
    }

    /// <summary>What a record says of whom: moment and facts are chosen by number.</summary>
    private sealed record Said(int Subject, int Moment, int Facts);

    private sealed record Step(Kind Kind, int Instance, int One, int Other, List<Said> Says)
    {
        public override string ToString() => $"{Kind} by {Instance}, {One} {Other}" + (Kind is Kind.Append or Kind.Resend or Kind.Feed ? $": {string.Join(' ', Says)}" : "");
    }

    /// <summary>Two instances over one store, and what should be in it. Whoever asks asks again when it fails.</summary>
    private sealed class History : IAsyncDisposable
    {
        private const int Attempts = 40;

        private readonly LedgerMemoryStore _store = new();
        private readonly FakeTimeProvider _clock = LedgerScenario.Clock();
        private readonly LedgerModel _model = new(LedgerScenario.Predicates);
        private readonly List<(string Id, List<SubjectTransfer> Records)> _batches = [];
        private readonly TransferWorld[] _instances;
        private readonly SortedSet<int> _years = [];
        private int _records;

        public History(Func<int, StoreFault> faultOf)
        {
            var faulty = new LedgerFaultyStore(_store, faultOf);
            _instances = [new(faulty, LedgerScenario.SmallOptions, _clock), new(_store, LedgerScenario.SmallOptions, _clock)];
        }

        private DateOnly Today => LegalTime.DayOf(_clock.GetUtcNow());

        private DateOnly RetainedFrom => Today.AddYears(-LedgerScenario.SmallOptions.RetentionYears);

        public Task RunAsync(Step step)
        {
            _years.UnionWith(Enumerable.Range(Today.Year - 5, 7));
            return step.Kind switch
            {
                Kind.Append => AppendAsync(step),
                Kind.Resend when _batches.Count > 0 => ResendAsync(step),
                Kind.Void when _batches.Count > 0 => VoidAsync(step),
                Kind.Link when step.One != step.Other => LinkAsync(step),
                Kind.Feed => FeedAsync(step),
                Kind.Erase => EraseAsync(step),
                Kind.Prune => PruneAsync(step),
                Kind.Pause => PauseAsync(step),
                Kind.Read => AskAsync(step, world => world.Ledger.ReadCountersAsync(Exporter, Today.Year, Token)),
                Kind.Settle => AskAsync(step, world => world.Links.SettleAndConfirmAsync(Token)),
                Kind.Restart => RestartAsync(step.Instance),
                _ => Task.CompletedTask,
            };
        }

        public async Task AssertAgreesAsync()
        {
            for (var i = 0; i < 2; i++)
            {
                await AskAsync(i, world => world.Links.SettleAndConfirmAsync(Token));
                await AskAsync(i, world => world.Links.SettleAndConfirmAsync(Token));
            }

            await RestartAsync(0);
            foreach (var world in _instances)
            {
                await _model.AssertAgreesAsync(world.Ledger, Exporter, _years, Token);
                List<(string, string)> kept = [];
                await foreach (var record in world.Ledger.ReadRecordsAsync(Exporter, null, Token))
                {
                    kept.Add((record.BatchId, record.RecordId));
                }

                Assert.Equal(_model.Standing.Order(), kept.Order());
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var world in _instances)
            {
                await world.DisposeAsync();
            }
        }

        private async Task AppendAsync(Step step)
        {
            var id = $"batch-{_batches.Count}";
            var records = RecordsOf(step);
            _batches.Add((id, records));
            await RecordAsync(step, id, records);
        }

        private async Task ResendAsync(Step step)
        {
            // The reader refuses what is older than that.
            var (id, records) = _batches[step.One % _batches.Count];
            records.RemoveAll(record => LegalTime.YearOf(record.OccurredAt) < RetainedFrom.Year);
            records.AddRange(RecordsOf(step).Take(step.Other % 3));
            await RecordAsync(step, id, records);
        }

        private async Task RecordAsync(Step step, string id, List<SubjectTransfer> records)
        {
            var refused = await AskAsync(step, async world =>
            {
                await world.Identities.RefreshAsync(Token);
                await world.Intake.RecordAsync(id, [.. records.Select(record => record with { Subject = world.Identities.Resolve(record.Subject) })], TransferWorld.Reported, Token);
            });
            Assert.Equal(_model.IsVoided(id) && records.Count > 0 ? LedgerRefusal.BatchVoided : null, refused);
            if (refused is null)
            {
                var known = _model.Standing.Where(kept => kept.Batch == id).Select(kept => kept.Record).ToHashSet();
                _model.Append(id, records.Where(record => !known.Contains(record.RecordId)), Today);
            }
        }

        private async Task VoidAsync(Step step)
        {
            var (id, _) = _batches[step.One % _batches.Count];
            var refused = await AskAsync(step, world => world.Ledger.VoidBatchAsync(Exporter, id, Token));
            if (refused is null)
            {
                _model.Void(id);
            }
            else
            {
                Assert.Equal(LedgerRefusal.UnknownBatch, refused);
                Assert.True(_model.IsVoided(id) || !_model.Has(id));
            }
        }

        private async Task LinkAsync(Step step)
        {
            var (one, other) = (LedgerScenario.Subject(step.One), LedgerScenario.Subject(step.Other));
            Assert.Null(await AskAsync(step, world => world.Links.LinkAsync([[one, other]], Token)));
            _model.Union(one, other);
        }

        private async Task FeedAsync(Step step)
        {
            var id = $"batch-{_batches.Count}";
            var records = RecordsOf(step);
            IReadOnlyList<SubjectTransfer> news = [];
            await AskAsync(step, async world =>
            {
                await world.Identities.RefreshAsync(Token);
                await world.Links.SettleAsync(Token);
                var resolved = records.Select(record => record with { Subject = world.Identities.Resolve(record.Subject) }).ToList();
                var told = await world.Ledger.NewsAsync(Exporter, resolved, Token);
                news = [.. records.Where(record => told.Any(one => one.RecordId == record.RecordId))];
            });
            Assert.Equal(
                records.Where(record => record.Facts.Count > 0 && !_model.Holds(record)).Select(record => record.RecordId), news.Select(record => record.RecordId));
            if (news.Count > 0)
            {
                _batches.Add((id, [.. news]));
                await RecordAsync(step, id, [.. news]);
            }
        }

        private async Task EraseAsync(Step step)
        {
            var subject = LedgerScenario.Subject(step.One);
            var may = _model.MayErase(subject, RetainedFrom);
            var refused = await AskAsync(step, async world =>
            {
                await world.Identities.RefreshAsync(Token);
                await world.Links.SettleAsync(Token);
                // Under all names at once: one may be past its retention while another is not.
                await world.Ledger.EraseSubjectAsync(Exporter, world.Identities.PersonOf(subject), Token);
                await world.Identities.EraseAsync(subject, Token);
            });
            Assert.Equal(may ? null : LedgerRefusal.WithinRetention, refused);
            if (refused is null)
            {
                _model.Erase(subject);
            }
        }

        private async Task PruneAsync(Step step)
        {
            await AskAsync(step, world => world.Ledger.PruneAsync(Exporter, Token));
            _model.Prune(RetainedFrom);
        }

        /// <summary>No instance that lives is idle for so long: each looks every five minutes.</summary>
        private async Task PauseAsync(Step step)
        {
            await AskAsync(0, world => world.Ledger.MergeAsync(Exporter, Token));
            await AskAsync(1, world => world.Ledger.MergeAsync(Exporter, Token));
            _clock.Advance(Pauses[step.One % Pauses.Length]);
        }

        private async Task RestartAsync(int instance)
        {
            await _instances[instance].DisposeAsync();
            _instances[instance] = new(_store, LedgerScenario.SmallOptions, _clock);
        }

        /// <summary>Records at moments that matter: now, the edges of years in Shanghai, as far back as records are taken.</summary>
        private List<SubjectTransfer> RecordsOf(Step step) => [.. step.Says.Select(said =>
        {
            var now = _clock.GetUtcNow();
            var year = Today.Year;
            var moment = said.Moment switch
            {
                0 => now,
                1 => LegalTime.StartOf(year),
                2 => LegalTime.StartOf(year).AddMilliseconds(-1),
                3 => LegalTime.StartOf(year - 1),
                4 => LegalTime.StartOf(year - 1).AddMilliseconds(-1),
                _ => LegalTime.StartOf(year - 3),
            };
            return LedgerScenario.Record(said.Subject) with { RecordId = $"t-{_records++}", OccurredAt = moment, Facts = FactSets[said.Facts] };
        })];

        private Task<LedgerRefusal?> AskAsync(Step step, Func<TransferWorld, Task> ask) => AskAsync(step.Instance, ask);

        /// <summary>Asks until there is an answer; a process that died is started again. Returns why it was refused.</summary>
        private async Task<LedgerRefusal?> AskAsync(int instance, Func<TransferWorld, Task> ask)
        {
            for (var attempt = 0; ; attempt++)
            {
                try
                {
                    await ask(_instances[instance]);
                    return null;
                }
                catch (LedgerRefusalException refusal)
                {
                    return refusal.Reason;
                }
                catch (Exception exception) when (attempt < Attempts && exception is ProcessDiedException or EntityStoreException)
                {
                    if (exception is ProcessDiedException)
                    {
                        await RestartAsync(instance);
                    }
                }
            }
        }
    }
}
