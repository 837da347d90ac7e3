using CsCheck;
using DingFlow.Tests.Scim;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using static DingFlow.Tests.Transfers.LedgerScenario;

namespace DingFlow.Tests.Transfers;

/// <summary>What records say of consent, notice and scenario is kept with them, beside chunks of before.</summary>
public sealed class PaperworkTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static readonly Gen<ConsentEvidence?> Consent = Gen.OneOf(
        Gen.Const((ConsentEvidence?)null), Gen.Const((ConsentEvidence?)null),
        Gen.Select(Pick.One<string?>(null, "c-1", "c-12", "同意-😀", new string('x', 128)), Pick.One<int?>(null, 0, -5_000, 12_345), (id, seconds) =>
            id is null && seconds is null ? null : new ConsentEvidence(id, seconds is { } s ? new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).AddSeconds(s) : null)));

    private static readonly Gen<TransferPaperwork?> Paperwork = Gen.OneOf(
        Gen.Const((TransferPaperwork?)null),
        Gen.Select(
            Pick.One<string?>(null, "payroll", "travel"), Pick.One<string?>(null, "n1", "n2"), Pick.One<string?>(null, "v1"), Pick.One<bool?>(null, true, false),
            (scenario, notice, version, separate) => (TransferPaperwork?)new TransferPaperwork(scenario, notice, version, separate)));

    private static readonly Gen<SubjectTransfer> Record = Gen.Select(Gen.Int[0, 9], Consent, Paperwork, (subject, consent, paperwork) =>
        LedgerScenario.Record(subject) with { Consent = consent, Circumstances = TransferCircumstances.Unknown with { Paperwork = paperwork } });

    [Fact]
    public void Whatever_records_say_comes_back_from_the_chunk() => Record.List[1, 30].Sample(
        records =>
        {
            var bytes = Bytes(ChunkCodec.Encode(records).Pieces);
            var kept = ChunkCodec.DecodeRecords(bytes, "b");

            Assert.Equal(records.Select(static record => (record.RecordId, record.Consent, record.Circumstances.Paperwork)), kept.Select(static record => (record.RecordId, record.Consent, record.Circumstances.Paperwork)));
            Assert.Equal(records.Select(static record => SubjectKey.Of(record.Subject)), kept.Select(static record => record.Subject));

            // What merging reads of it is that of a chunk without.
            Assert.Equal(records.Count, ChunkCodec.Decode(bytes).Count);

            // Forgetting somebody keeps what the others say.
            var left = kept.Skip(1).ToList();
            Assert.Equal(left.Select(static record => (record.RecordId, record.Consent, record.Circumstances.Paperwork)), ChunkCodec.DecodeRecords(Bytes(ChunkCodec.Encode(left, [])), "b").Select(static record => (record.RecordId, record.Consent, record.Circumstances.Paperwork)));
        },
        iter: 300);

    [Fact]
    public void A_chunk_that_says_nothing_of_it_ends_where_it_always_did()
    {
        var writer = new PackedWriter();
        PaperworkCodec.Write(writer, [TransferCircumstances.Unknown], [LedgerScenario.Record(1), LedgerScenario.Record(2)]);
        Assert.Equal(0, writer.Length);

        var reader = new PackedReader([]);
        List<TransferCircumstances> circumstances = [TransferCircumstances.Unknown];
        Assert.Null(PaperworkCodec.Read(ref reader, circumstances, 2));
        Assert.Null(circumstances[0].Paperwork);
    }

    [Fact]
    public void Damaged_bytes_are_said_to_be_damaged()
    {
        var writer = new PackedWriter();
        PaperworkCodec.Write(
            writer, [TransferCircumstances.Unknown with { Paperwork = new("s", "n", "v", true) }],
            [LedgerScenario.Record(1) with { Consent = new("c-1", DateTimeOffset.UnixEpoch) }, LedgerScenario.Record(2) with { Consent = new("c-2", null) }]);
        var whole = writer.ToArray();
        for (var length = 1; length < whole.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => Read(whole[..length]));
        }

        Assert.Throws<InvalidDataException>(() => Read([99, .. whole[1..]]));
        Assert.Equal("c-2", Read(whole)![1]!.Id);

        static ConsentEvidence?[]? Read(byte[] bytes)
        {
            var reader = new PackedReader(bytes);
            return PaperworkCodec.Read(ref reader, [TransferCircumstances.Unknown], 2);
        }
    }

    [Fact]
    public async Task A_restart_an_erasure_and_a_void_keep_what_the_other_records_say()
    {
        var store = new LedgerMemoryStore();
        var clock = Clock();
        var said = TransferCircumstances.Unknown with { Paperwork = new("payroll", "n1", "v1", true) };
        await using (var ledger = Ledger(store, time: clock))
        {
            await ledger.AppendAsync(Batch("b", [.. Enumerable.Range(0, 6).Select(i => LedgerScenario.Record(i) with { Circumstances = said, Consent = new($"c-{i}", clock.GetUtcNow().AddDays(-i)) })]), Token);
            await ledger.AppendAsync(Batch("wrong", LedgerScenario.Record(4) with { Consent = new("c-wrong", null) }), Token);
            await ledger.VoidBatchAsync(LedgerScenario.Exporter, "wrong", Token);
            clock.Advance(TimeSpan.FromDays(3 * 366));
            await ledger.EraseSubjectAsync(LedgerScenario.Exporter, Subject(2), Token);
        }

        await using var fresh = Ledger(store, time: clock);
        List<LedgerRecord> kept = [];
        await foreach (var record in fresh.ReadRecordsAsync(LedgerScenario.Exporter, null, Token))
        {
            kept.Add(record);
        }

        Assert.Equal(["c-0", "c-1", "c-3", "c-4", "c-5"], kept.Select(static record => record.Consent!.Id));
        Assert.All(kept, record => Assert.Equal(said.Paperwork, record.Circumstances.Paperwork));
    }

    private static byte[] Bytes(IReadOnlyList<byte[]> pieces) => [.. pieces.SelectMany(static piece => piece)];
}
