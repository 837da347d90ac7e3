using System.Text;
using CsCheck;
using DingFlow.Settings;
using DingFlow.Tests.Audit;
using DingFlow.Messaging;
using DingFlow.Rules;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.AspNetCore.Http;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>A preview answers what recording answers, field by field, whatever is in the batch and in the ledger.</summary>
public sealed class PreviewPropertyTests
{
    private static readonly PseudonymKey Key = new(new byte[32]);
    private static readonly string[] Exporters = ["one", "two"];

    private static readonly TransfersOptions Options = new()
    {
        Exporters = Exporters.ToDictionary(id => id, id => new Exporter { Id = id }, StringComparer.OrdinalIgnoreCase),
        Recipients = new Dictionary<string, Recipient>(StringComparer.OrdinalIgnoreCase) { ["r0"] = new() { Id = "r0", Country = Country.Parse("SG") } },
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Gen<JObject> Records { get; } =
        from id in Gen.Int[0, 30]
        from exporter in Gen.Int[0, 2]
        from subject in Gen.Int[0, 12]
        from recipient in Gen.Int[0, 6]
        from destination in Gen.Int[0, 5]
        from fields in Gen.Int[0, 4]
        from moment in Gen.Int[0, 3]
        from exemption in Gen.Int[0, 3]
        select TransferSender.Record($"t-{id}", $"E{subject}", exporter < 2 ? Exporters[exporter] : "nobody", record =>
        {
            record["recipient"] = $"r{recipient}";
            record["destination"] = new[] { "SG", "HK", "MO", "DE", "US", "??" }[destination];
            record["fields"] = new JArray(new[] { "name", "bankCardNumber", "medicalHistory", "shoeSize", "roomNumber" }[fields]);
            record["occurredAt"] = new[] { "2026-05-01T00:00:00+08:00", "2025-12-31T23:59:59+08:00", "2026-01-01T00:00:00+08:00", "2029-01-01T00:00:00+08:00" }[moment];
            record["exemption"] = exemption == 0 ? JObject.Parse("""{"code":"contract","evidence":{"contract":"C-1"}}""") : null;
        });

    [Fact]
    public Task A_preview_is_what_recording_answers_field_by_field() =>
        Gen.Select(Records.List[0, 25], Records.List[0, 12], Gen.Int[0, 12].List[2, 3].List[0, 4], Records.List[1, 40], Gen.Int[1, 7], Gen.Int[1, 6]).SampleAsync(
            async (before, wrong, persons, batch, recipients, lanes) =>
            {
                // Some identifiers are one person's, known before their records or found out after; a batch was taken back.
                await using var world = new World(recipients, lanes);
                await world.UniteAsync(persons.Take(1));
                await world.RecordAsync("before", before);
                await world.RecordAsync("wrong", wrong);
                await world.UniteAsync(persons.Skip(1));
                await world.VoidAsync("wrong");
                var untouched = await world.StandAsync();

                var preview = await world.PreviewAsync("batch", batch);
                Assert.Equal(untouched, await world.StandAsync());
                var recorded = await world.RecordAsync("batch", batch);

                Assert.Equal(JsonOf(recorded), JsonOf(preview.Receipt));
                var stand = await world.StandAsync();
                foreach (var (exporter, counters) in preview.Counters)
                {
                    Assert.Equal(stand[exporter], counters);
                }

                // Exporters without a record that would be accepted stand as they stood.
                Assert.All(Exporters.Except(preview.Counters.Keys), exporter => Assert.Equal(untouched[exporter], stand[exporter]));
            },
            iter: 120);

    [Fact]
    public async Task Recipients_and_lanes_beyond_the_limits_are_foreseen_record_by_record()
    {
        await using var world = new World(recipients: 2, lanes: 2);
        JObject[] batch =
        [
            TransferSender.Record("t-1", "E1", "one", r => r["recipient"] = "a"), TransferSender.Record("t-2", "E2", "one", r => r["recipient"] = "b"),
            TransferSender.Record("t-3", "E3", "one", r => r["recipient"] = "c"), TransferSender.Record("t-4", "E4", "one", r => (r["recipient"], r["destination"]) = ("a", "HK")),
            TransferSender.Record("t-5", "E5", "one", r => (r["recipient"], r["destination"]) = ("a", "MO")),
        ];

        var (receipt, counters) = await world.PreviewAsync("batch", batch);

        Assert.Equal([(2L, "too-many-recipients"), (4L, "too-many-lanes")], receipt.Rejected.Select(rejected => (rejected.Index, rejected.Code)));
        Assert.Equal(3, receipt.Accepted);
        Assert.Contains("\"Subjects\":3", counters["one"], StringComparison.Ordinal);
        Assert.Equal(JsonOf(receipt), JsonOf(await world.RecordAsync("batch", batch)));
    }

    [Fact]
    public async Task Facts_beyond_the_limit_are_foreseen_record_by_record()
    {
        await using var world = new World(recipients: 10, lanes: 10, facts: 3);
        JObject[] batch =
        [
            TransferSender.Record("t-1", "E1", "one", r => r["fields"] = new JArray("name")), TransferSender.Record("t-2", "E2", "one", r => (r["fields"], r["destination"]) = (new JArray("name"), "HK")),
            TransferSender.Record("t-3", "E3", "one", r => r["fields"] = new JArray("name", "bankCardNumber")), TransferSender.Record("t-4", "E4", "one", r => (r["fields"], r["recipient"]) = (new JArray("name"), "b")),
            TransferSender.Record("t-5", "E1", "one", r => r["fields"] = new JArray("name")),
        ];

        var (receipt, counters) = await world.PreviewAsync("batch", batch);

        Assert.Equal([(3L, "too-many-facts")], receipt.Rejected.Select(rejected => (rejected.Index, rejected.Code)));
        Assert.Equal(4, receipt.Accepted);
        Assert.Contains("\"Subjects\":3", counters["one"], StringComparison.Ordinal);
        Assert.Equal(JsonOf(receipt), JsonOf(await world.RecordAsync("batch", batch)));

        // What is known goes on being counted; nothing new gets in, and a preview knows it before the first record.
        JObject[] more = [TransferSender.Record("t-6", "E6", "one", r => r["fields"] = new JArray("bankCardNumber")), TransferSender.Record("t-7", "E7", "one", r => r["fields"] = new JArray("idCardPhoto"))];
        var (next, _) = await world.PreviewAsync("more", more);
        Assert.Equal([(1L, "too-many-facts")], next.Rejected.Select(rejected => (rejected.Index, rejected.Code)));
        Assert.Equal(JsonOf(next), JsonOf(await world.RecordAsync("more", more)));
    }

    private static string JsonOf(TransferReceipt receipt) => System.Text.Json.JsonSerializer.Serialize(receipt, TransfersJson.Default.TransferReceipt);

    private sealed class World : IAsyncDisposable
    {
        private static readonly AuditEvent Reported = new() { Kind = TransferAudit.BatchRecorded, Actor = AuditActor.System("Tests"), Payload = PayloadHash.None };

        private readonly LedgerMemoryStore _store = new();
        private readonly BulkScheduler _bulk = new(new(TimeProvider.System));
        private readonly SubjectIdentities _identities;
        private readonly SubjectLedger _ledger;
        private readonly TransferIntake _intake;
        private readonly ThresholdReader _thresholds;

        public World(int recipients, int lanes, int facts = 1_000)
        {
            var time = LedgerScenario.Clock();
            _ledger = LedgerScenario.Ledger(_store, LedgerScenario.SmallOptions with { RecipientLimit = recipients, LaneLimit = lanes, FactLimit = facts }, time: time);
            _identities = new(_store, Key);
            var (journal, trail) = TestJournal.Aside(time);
            _intake = new(
                Options, new(() => FieldClassifier.Load(ClassificationProfile.Conservative, Options.FieldMap, (_, _) => { })), Key, _identities, _ledger, _bulk, journal, trail, time);
            _thresholds = new(RuleEngine.Create(Options, new SettingsFaults()), _ledger, new CounterHistory(_store, time), new IncidentStore(_store, new TestTrail(_store)), time);
        }

        public async Task<TransferReceipt> RecordAsync(string key, IEnumerable<JObject> records)
        {
            await using var body = await OpenAsync(key, records);
            return await _intake.RecordAsync(body.BatchId, body, Reported, static _ => true, Token);
        }

        /// <summary>Employee numbers of an exporter are found to be one person's.</summary>
        public async Task UniteAsync(IEnumerable<List<int>> persons)
        {
            using var pseudonymizer = Key.CreatePseudonymizer();
            foreach (var exporter in Exporters)
            {
                await new SubjectLinks(Options, _identities, _ledger).LinkAsync([.. persons.Select(person => person.ConvertAll(number =>
                    pseudonymizer.TryPseudonymize(SubjectType.EmployeeId, $"E{number}", exporter, out var name) ? name : throw new InvalidOperationException()))], Token);
            }
        }

        public async Task VoidAsync(string key)
        {
            await using var body = await OpenAsync(key, []);
            foreach (var exporter in Exporters)
            {
                if (await _ledger.FindBatchAsync(exporter, body.BatchId, Token) is not null)
                {
                    await _ledger.VoidBatchAsync(exporter, body.BatchId, Token);
                }
            }
        }

        public async Task<(TransferReceipt Receipt, Dictionary<string, string> Counters)> PreviewAsync(string key, IEnumerable<JObject> records)
        {
            await using var body = await OpenAsync(key, records);
            var (receipt, proposed) = await _intake.PreviewAsync(body, 2026, static _ => true, Token);
            Dictionary<string, string> counters = [];
            foreach (var facts in proposed)
            {
                var preview = await _ledger.PreviewAsync(facts, Token);
                counters.Add(facts.Exporter, StandOf(
                    preview.Counters, await _thresholds.PreviewAsync(Options.Exporters[facts.Exporter], preview.Counters, LedgerScenario.Clock().GetUtcNow(), Token)));
            }

            return (receipt, counters);
        }

        /// <summary>Counters and thresholds of every exporter, as text.</summary>
        public async Task<Dictionary<string, string>> StandAsync()
        {
            Dictionary<string, string> stand = [];
            foreach (var exporter in Exporters)
            {
                stand.Add(exporter, StandOf(await _ledger.ReadCountersAsync(exporter, 2026, Token), await _thresholds.ReadAsync(Options.Exporters[exporter], Token)));
            }

            return stand;
        }

        public async ValueTask DisposeAsync()
        {
            await _ledger.DisposeAsync();
            _identities.Dispose();
            _bulk.Dispose();
        }

        private static string StandOf(LedgerCounters counters, Thresholds thresholds) => Newtonsoft.Json.JsonConvert.SerializeObject(new
        {
            counters.Subjects,
            Counters = new SortedDictionary<string, long>(counters.Counters.Where(counter => counter.Value != 0).ToDictionary(), StringComparer.Ordinal),
            Thresholds = JObject.Parse(System.Text.Json.JsonSerializer.Serialize(thresholds, RulesJson.Default.Thresholds)),
        });

        private static async Task<BatchBody> OpenAsync(string key, IEnumerable<JObject> records)
        {
            var bytes = Encoding.UTF8.GetBytes(new JArray(records).ToString());
            var context = new DefaultHttpContext();
            (context.Request.Method, context.Request.ContentType, context.Request.ContentLength, context.Request.Body) = ("POST", "application/json", bytes.Length, new MemoryStream(bytes));
            context.Request.Headers["Idempotency-Key"] = key;
            return (await BatchBody.OpenAsync(context, Options, Key, LedgerScenario.Clock()))!;
        }
    }
}
