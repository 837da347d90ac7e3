using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Transfers.Ledger;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>One instance of the program's middle, without HTTP: intake, identities and ledger over a store that others may share.</summary>
internal sealed class TransferWorld : IAsyncDisposable
{
    private readonly BulkScheduler _bulk = new(new(TimeProvider.System));

    public TransferWorld(IEntityStore store, LedgerOptions? options = null, TimeProvider? time = null, string exporters = LedgerScenario.Exporter)
    {
        time ??= LedgerScenario.Clock();
        var ofExporters = exporters == LedgerScenario.Exporter ? Options : Of(exporters.Split(' '));
        Ledger = LedgerScenario.Ledger(store, options, time: time);
        Identities = new(store, Key);
        (Journal, var trail) = TestJournal.Aside(time);
        Intake = new(ofExporters, new(() => FieldClassifier.Load(ClassificationProfile.Conservative, Options.FieldMap, (_, _) => { })), Key, Identities, Ledger, _bulk, Journal, trail, time);
        Links = new(ofExporters, Identities, Ledger);
    }

    public static PseudonymKey Key { get; } = new(new byte[32]);

    public static TransfersOptions Options { get; } = Of([LedgerScenario.Exporter]);

    /// <summary>How the tests' batches stand in the trail.</summary>
    public static AuditEvent Reported { get; } = new()
    {
        Kind = TransferAudit.BatchRecorded, Actor = AuditActor.System("Tests"), Payload = PayloadHash.None,
    };

    public ChangeJournal Journal { get; }

    public SubjectLedger Ledger { get; }

    public SubjectIdentities Identities { get; }

    public TransferIntake Intake { get; }

    public SubjectLinks Links { get; }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Ledger.DisposeAsync();
        }
        catch (ProcessDiedException)
        {
            // It died while it merged.
        }

        Identities.Dispose();
        _bulk.Dispose();
    }

    private static TransfersOptions Of(string[] exporters) => new()
    {
        Exporters = exporters.ToDictionary(static id => id, static id => new Exporter { Id = id }, StringComparer.OrdinalIgnoreCase),
    };
}
