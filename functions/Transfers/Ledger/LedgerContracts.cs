namespace DingFlow.Transfers.Ledger;

/// <summary>
/// A part of a batch of records. A batch is one request of a sender; parts let a request of a million lines be taken in while it is read.
/// </summary>
/// <param name="Id">The batch's id: the <c>Idempotency-Key</c>, or the hash of the body.</param>
/// <param name="Part">Which part, from 0; sent again after a fault it must hold the same records.</param>
/// <param name="Records">The records, of one or more exporters; a part of 10 000 is written most cheaply.</param>
public sealed record TransferBatch(string Id, int Part, IReadOnlyList<SubjectTransfer> Records)
{
    /// <summary>
    /// How many pieces of the batch the sender has seen (<see cref="BatchInfo.Pieces"/>). Records are then accepted only while there are no
    /// others: what another request of the same batch has added meanwhile must be looked at first, or a record would be kept twice.
    /// <see langword="null"/> accepts whatever its part's number has not been accepted for; such records are of one exporter.
    /// </summary>
    public int? Seen { get; init; }
}

/// <summary>How the ledger took a part of a batch. It is durable; counting follows, and reading counters waits for it.</summary>
/// <param name="Accepted">Records that were made durable now.</param>
/// <param name="AlreadyAccepted">Records of parts that were accepted before under the same batch id.</param>
/// <param name="Refused">Records that were not accepted, and why.</param>
public sealed record AppendResult(int Accepted, int AlreadyAccepted, IReadOnlyList<RefusedRecord> Refused)
{
    /// <summary>How many pieces of the batch were written.</summary>
    public int Pieces { get; init; }

    /// <summary>So many records, the last of the part, were left alone since another request of the batch was faster (<see cref="TransferBatch.Seen"/>).</summary>
    public int Overtaken { get; init; }
}

/// <summary>A record that the ledger did not accept.</summary>
/// <param name="Index">Its place in the part.</param>
/// <param name="Reason">Why.</param>
public sealed record RefusedRecord(int Index, LedgerRefusal Reason);

/// <summary>Why the ledger refuses something. Trying again does not help.</summary>
public enum LedgerRefusal
{
    /// <summary>The exporter has as many recipients as the ledger numbers (<see cref="LedgerOptions.RecipientLimit"/>).</summary>
    TooManyRecipients,

    /// <summary>The exporter has as many lanes as the ledger numbers (<see cref="LedgerOptions.LaneLimit"/>).</summary>
    TooManyLanes,

    /// <summary>The exporter has as many distinct facts as the ledger remembers (<see cref="LedgerOptions.FactLimit"/>).</summary>
    TooManyFacts,

    /// <summary>The batch was voided; send the corrected records under another id.</summary>
    BatchVoided,

    /// <summary>There is no such batch, or its records are past their retention.</summary>
    UnknownBatch,

    /// <summary>Some of the subject's records are still within their retention.</summary>
    WithinRetention,

    /// <summary>A subject cannot be united with itself.</summary>
    SameSubject,

    /// <summary>More identifiers were united than the ledger remembers.</summary>
    TooManyUnions,

    /// <summary>More batches were voided than the ledger remembers.</summary>
    TooManyVoids,
}

/// <summary>The ledger refuses the whole request.</summary>
public sealed class LedgerRefusalException(LedgerRefusal reason) : Exception($"The ledger refuses: {reason}.")
{
    /// <summary>Why.</summary>
    public LedgerRefusal Reason { get; } = reason;
}

/// <summary>
/// The stored ledger was written with another number of shards or another key. Going on would count persons twice, so nothing is
/// written or counted until the settings are put back.
/// </summary>
public sealed class LedgerMismatchException(string setting, string stored, string configured)
    : Exception($"{setting} is {configured}, but the ledger was begun with {stored}: every person would be counted anew. Put the setting back.")
{
    /// <summary>The setting that does not fit.</summary>
    public string Setting { get; } = setting;
}

/// <summary>The counters of one exporter and calendar year (Asia/Shanghai), exact for everything accepted before they were asked for.</summary>
/// <param name="Exporter">The exporter.</param>
/// <param name="Year">The year.</param>
/// <param name="Subjects">Distinct data subjects of the year.</param>
/// <param name="Counters">Every counter by name; those that belong to no value (a recipient, a lane …) are there even when zero.</param>
/// <param name="Position">They include the exporter's log at least up to this entry; 0 when there is none.</param>
public sealed record LedgerCounters(
    string Exporter, int Year, long Subjects, IReadOnlyDictionary<string, long> Counters, long Position);

/// <summary>What the ledger holds on one subject.</summary>
/// <param name="Subject">The subject's key; that of the survivor when identifiers were united.</param>
/// <param name="Years">Facts by calendar year (Asia/Shanghai); empty when nothing is held.</param>
public sealed record SubjectState(SubjectKey Subject, IReadOnlyDictionary<int, IReadOnlyList<TransferFact>> Years);

/// <summary>A record as it is kept.</summary>
/// <param name="RecordId">The sender's id.</param>
/// <param name="Subject">Whose data went out, as sent (before any union).</param>
/// <param name="OccurredAt">When, UTC, to the millisecond.</param>
/// <param name="Facts">What it says about the subject.</param>
/// <param name="Circumstances">What filings ask for beyond the facts.</param>
/// <param name="BatchId">The batch it came in.</param>
public sealed record LedgerRecord(
    string RecordId,
    SubjectKey Subject,
    DateTimeOffset OccurredAt,
    IReadOnlyList<TransferFact> Facts,
    TransferCircumstances Circumstances,
    string BatchId)
{
    /// <summary>The person: the survivor where identifiers were united.</summary>
    public SubjectKey Person { get; init; } = Subject;

    /// <summary>Where the subject's consent is kept; <see langword="null"/> when the record does not say.</summary>
    public ConsentEvidence? Consent { get; init; }
}

/// <summary>Where a batch stands.</summary>
public enum BatchState
{
    /// <summary>Its records are durable and count.</summary>
    Accepted,

    /// <summary>It was taken back.</summary>
    Voided,
}

/// <summary>A batch as the registry knows it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="State">Where it stands.</param>
/// <param name="AcceptedAt">When its first part was accepted.</param>
/// <param name="Parts">Parts accepted.</param>
/// <param name="Records">Records accepted.</param>
/// <param name="NextPart">The number of the first part that was never accepted.</param>
/// <param name="Pieces">How many pieces it is kept in, in the order of acceptance.</param>
public sealed record BatchInfo(string Id, BatchState State, DateTimeOffset AcceptedAt, int Parts, int Records, int NextPart, int Pieces);

/// <summary>The proof that the counters are what the rows say.</summary>
/// <param name="Exporter">The exporter.</param>
/// <param name="Subjects">Subjects found in the rows.</param>
/// <param name="Differences">Counters that differ; empty when all is well.</param>
public sealed record RecountReport(string Exporter, long Subjects, IReadOnlyList<RecountDifference> Differences)
{
    /// <summary>The counters are what the rows say.</summary>
    public bool Agrees => Differences.Count == 0;
}

/// <summary>A counter that differs from the rows.</summary>
/// <param name="Shard">Where.</param>
/// <param name="Year">Of which year.</param>
/// <param name="Counter">Which one.</param>
/// <param name="Stored">What the counter row says.</param>
/// <param name="Counted">What the rows say.</param>
public sealed record RecountDifference(int Shard, int Year, string Counter, long Stored, long Counted);

/// <summary>A count from before DingFlow, reported beside the counters and never added to them.</summary>
/// <param name="Year">The calendar year.</param>
/// <param name="Counter">Which counter, by name.</param>
/// <param name="Count">How many persons.</param>
/// <param name="Source">Who says so: a document, a system.</param>
/// <param name="RecordedAt">When it was entered.</param>
public sealed record OpeningBalance(int Year, string Counter, long Count, string Source, DateTimeOffset RecordedAt);

/// <summary>How the counters of one exporter and year would stand if records were accepted that were not.</summary>
/// <param name="Counters">As they would be.</param>
/// <param name="Changes">By how much each would change; those that would not are left out.</param>
public sealed record LedgerPreview(LedgerCounters Counters, IReadOnlyDictionary<string, long> Changes);
