using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>What the audit trail says of transfers.</summary>
internal static class TransferAudit
{
    /// <summary>A batch was recorded.</summary>
    public static AuditKind BatchRecorded { get; } = new("transfers.batch_recorded", AuditRetention.Legal, "A caller reported a batch of transfers.");

    /// <summary>Somebody asked how a batch would count, and so whether its people were counted before.</summary>
    public static AuditKind Previewed { get; } =
        new("transfers.previewed", AuditRetention.Operational, "Somebody asked how a batch would count; nothing was recorded.");

    /// <summary>A change is about to be made.</summary>
    public static AuditKind ChangeBegun { get; } = new(
        "transfers.change_begun", AuditRetention.Legal, "Somebody is about to change the ledger; the entry of the change itself says what came of it.");

    /// <summary>A batch is taken back.</summary>
    public static AuditKind BatchVoided { get; } = new("transfers.batch_voided", AuditRetention.Legal, "A person took a batch of transfers back.");

    /// <summary>An opening balance is entered.</summary>
    public static AuditKind OpeningBalanceSet { get; } =
        new("transfers.opening_balance_set", AuditRetention.Legal, "A person entered how many subjects were counted before DingFlow.");

    /// <summary>An opening balance is taken back.</summary>
    public static AuditKind OpeningBalanceRemoved { get; } =
        new("transfers.opening_balance_removed", AuditRetention.Legal, "A person took a count from before DingFlow back.");

    /// <summary>The ledger was recounted.</summary>
    public static AuditKind Recounted { get; } = new("transfers.recounted", AuditRetention.Legal, "The rows of a ledger were counted anew and compared with its counters.");

    /// <summary>Records went since their retention has passed.</summary>
    public static AuditKind RecordsExpired { get; } =
        new("transfers.records_expired", AuditRetention.Legal, "Records of transfers were removed because their retention had passed.");

    /// <summary>A person is looked up.</summary>
    public static AuditKind SubjectLookedUp { get; } = new("transfers.subject_looked_up", AuditRetention.Legal, "Somebody asked what is held on a data subject.");

    /// <summary>A person is forgotten.</summary>
    public static AuditKind SubjectErased { get; } = new("transfers.subject_erased", AuditRetention.Legal, "Somebody had a data subject erased whose records are past their retention.");

    /// <summary>Identifiers are united.</summary>
    public static AuditKind SubjectsUnited { get; } = new("transfers.subjects_united", AuditRetention.Legal, "Somebody said that identifiers belong to one data subject.");

    /// <summary>The event that an exporter's ledger was recounted, with what was found.</summary>
    public static AuditEvent RecountOf(RecountReport report, AuditEvent recounted) => recounted with
    {
        Exporter = report.Exporter,
        Outcome = report.Agrees ? AuditOutcome.Succeeded : AuditOutcome.Failed,
        Details = new Dictionary<string, string>
        {
            ["subjects"] = report.Subjects.ToString(CultureInfo.InvariantCulture), ["differences"] = report.Differences.Count.ToString(CultureInfo.InvariantCulture),
        },
    };

    /// <summary>
    /// An event of a caller's doing. A look-up is in the trail before it is made, a change both before and after (<see cref="AuditedChange"/>):
    /// what cannot be audited is not done. Bodies that name a person and little else have no payload hash, since a hash of so little can be guessed back.
    /// </summary>
    public static AuditEvent By(HttpContext context, AuditKind kind, AuditTarget on) => new()
    {
        Kind = kind,
        Actor = context.Principal() is { } principal ? AuditActor.Principal(principal) : AuditActor.Unknown,
        Payload = PayloadHash.None,
        On = on,
        RequestId = context.RequestId(),
    };
}
