using System.Security.Cryptography;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Transfers;

/// <summary>What tests of the ledger share: small worlds of subjects and facts, ledgers over a store.</summary>
internal static class LedgerScenario
{
    public const string Exporter = "acme-zhuhai";

    /// <summary>Finance and medical data are sensitive.</summary>
    public static PredicateSet Predicates { get; } =
        PredicateSet.Load(new((1UL << (int)DataClass.Finance) | (1UL << (int)DataClass.MedicalHealth) | (1UL << (int)DataClass.Minor)));

    /// <summary>Small enough that a few records reach every path: tails, segments, levels, states that are forgotten.</summary>
    public static LedgerOptions SmallOptions { get; } = new("key-1")
    {
        Shards = 4, TailEntries = 2, LevelSegments = 2, ChunkRecords = 5, MergeRecords = 8, CheckpointEntries = 3, States = 6,
    };

    public static FakeTimeProvider Clock() => new(new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)));

    public static SubjectLedger Ledger(IEntityStore store, LedgerOptions? options = null, PredicateSet? predicates = null, TimeProvider? time = null) =>
        new(store, options ?? SmallOptions, predicates ?? Predicates, time ?? Clock(), NullLogger<SubjectLedger>.Instance);

    public static SubjectPseudonym Subject(int number) => new(SHA256.HashData(BitConverter.GetBytes(number)));

    public static TransferFact Fact(
        string lane = "CN-SG", string recipient = "acme-sg", DataClass dataClass = DataClass.General,
        ExemptionKind exemption = ExemptionKind.None, bool minor = false) =>
        new(Lane.Parse(lane), exemption, dataClass, minor, recipient);

    public static SubjectTransfer Record(int subject, string at = "2026-05-01T12:00:00+08:00", params IReadOnlyList<TransferFact> facts) => new(
        $"t-{subject}", Exporter, Subject(subject), DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture),
        facts.Count == 0 ? [Fact()] : facts, TransferCircumstances.Unknown);

    public static TransferBatch Batch(string id, params IReadOnlyList<SubjectTransfer> records) => new(id, 0, records);
}
