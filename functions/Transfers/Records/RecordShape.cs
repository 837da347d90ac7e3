namespace DingFlow.Transfers;

/// <summary>What a value means that differs from one record of a sender to the next.</summary>
internal enum RecordValue
{
    /// <summary>The record's id: <c>id</c>, or that of the CloudEvent around it.</summary>
    Id,

    /// <summary>The record's moment: <c>occurredAt</c>, or <c>time</c> of the CloudEvent around it.</summary>
    OccurredAt,

    /// <summary><c>subject.id</c>.</summary>
    SubjectId,

    /// <summary>Nothing to us: what an unknown property says, or an attribute of the CloudEvent that the record does without.</summary>
    Nothing,
}

/// <summary>
/// What was found out about a record, as far as it holds for every record that differs from it in nothing but the values which differ from
/// record to record.
/// </summary>
internal sealed class RecordShape
{
    private readonly TransferFact[]?[] _facts = new TransferFact[2][];
    private readonly TransferCircumstances?[] _circumstances = new TransferCircumstances[2];

    /// <summary>What the values mean, in the order of the text.</summary>
    public required RecordValue[] Order { get; init; }

    /// <summary>The exporter, in the spelling of the settings.</summary>
    public required string Exporter { get; init; }

    /// <summary>What kind of identifier the subject has.</summary>
    public required SubjectType SubjectType { get; init; }

    /// <summary>What stands before the identifier in its canonical form: kind and scope.</summary>
    public required byte[] CanonicalPrefix { get; init; }

    /// <summary>The record says that the subject is under 14, whatever the identifier tells.</summary>
    public required bool SaidToBeMinor { get; init; }

    /// <summary>The facts on a grown-up or on a child; <see langword="null"/> while none was met.</summary>
    public TransferFact[]? FactsOn(bool minor) => _facts[minor ? 1 : 0];

    /// <summary>The circumstances in this year or before; <see langword="null"/> while none was met.</summary>
    public TransferCircumstances? CircumstancesOf(bool lastYear) => _circumstances[lastYear ? 1 : 0];

    /// <summary>Takes in what a record of this shape was found to say.</summary>
    public void Learn(bool minor, TransferFact[] facts, TransferCircumstances circumstances)
    {
        _facts[minor ? 1 : 0] = facts;
        _circumstances[(circumstances.Notices & TransferNotices.LastYear) != 0 ? 1 : 0] = circumstances;
    }
}
