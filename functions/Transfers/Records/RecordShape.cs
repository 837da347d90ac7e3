namespace DingFlow.Transfers;

/// <summary>The three values that differ from one record of a sender to the next.</summary>
internal enum RecordValue
{
    /// <summary><c>id</c>.</summary>
    Id,

    /// <summary><c>occurredAt</c>.</summary>
    OccurredAt,

    /// <summary><c>subject.id</c>.</summary>
    SubjectId,
}

/// <summary>
/// What was found out about a record, as far as it holds for every record that differs from it in nothing but its id, its moment and its
/// subject's identifier.
/// </summary>
internal sealed class RecordShape
{
    private readonly TransferFact[]?[] _facts = new TransferFact[2][];
    private readonly TransferCircumstances?[] _circumstances = new TransferCircumstances[2];

    /// <summary>Which value comes first, second and third in the text.</summary>
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
