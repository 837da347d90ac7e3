namespace DingFlow.Transfers;

/// <summary>One record of a transfer, validated, classified and pseudonymised: what the ledger takes in.</summary>
/// <param name="RecordId">The sender's id, unique per exporter.</param>
/// <param name="Exporter">The registered exporter, in the spelling of the settings.</param>
/// <param name="Subject">Whose data went out.</param>
/// <param name="OccurredAt">When; its year is that of Asia/Shanghai (<see cref="LegalTime"/>).</param>
/// <param name="Facts">
/// What it says about the subject, without duplicates; empty when nothing personal was in it. Lists are immutable and shared: equal
/// ones of one batch are mostly the same instance.
/// </param>
/// <param name="Circumstances">What filings ask for beyond the facts; shared like the facts.</param>
public sealed record SubjectTransfer(
    string RecordId,
    string Exporter,
    SubjectPseudonym Subject,
    DateTimeOffset OccurredAt,
    IReadOnlyList<TransferFact> Facts,
    TransferCircumstances Circumstances)
{
    /// <summary>Where the subject's consent is kept; <see langword="null"/> when the record does not say, as most do not.</summary>
    public ConsentEvidence? Consent { get; init; }
}

/// <summary>Where a subject's consent is kept by whoever collected it. Its id may point to a person, so it is never logged.</summary>
/// <param name="Id">The id of the evidence in the sender's own system, 1 to 128 characters; <see langword="null"/> when only the time is known.</param>
/// <param name="At">When consent was given, UTC, to the millisecond; <see langword="null"/> when only the id is known.</param>
public sealed record ConsentEvidence(string? Id, DateTimeOffset? At)
{
    /// <summary>Says nothing: the id may point to a person.</summary>
    public override string ToString() => nameof(ConsentEvidence);
}

/// <summary>
/// What a record says of the paperwork behind it, beyond what every record says. Few values are distinct, so they are shared; what differs
/// from person to person is <see cref="ConsentEvidence"/>.
/// </summary>
/// <param name="Scenario">The scenario of the register that it belongs to, in lower case; <see langword="null"/> when the record names none.</param>
/// <param name="NoticeVersion">Which version of the notice the subject was given (PIPL article 39).</param>
/// <param name="ConsentVersion">Which version of the consent text the subject agreed to.</param>
/// <param name="SeparateConsent">Whether consent was given separately (PIPL articles 29 and 39); <see langword="null"/> when the record does not say.</param>
public sealed record TransferPaperwork(string? Scenario, string? NoticeVersion, string? ConsentVersion, bool? SeparateConsent);

/// <summary>The circumstances of a transfer, kept with the record so that a filing can be rebuilt. Nothing here names the subject.</summary>
/// <param name="Fields">The names of the fields as sent (with <c>categories</c>: their names).</param>
/// <param name="Purpose">What for.</param>
/// <param name="LegalBasis">On what ground.</param>
/// <param name="Mechanism">Under which mechanism (assessment, contract, certificate) and its number; may be absent.</param>
/// <param name="Method">How: <c>api</c>, <c>sync</c>, <c>file</c>, <c>remoteAccess</c> …</param>
/// <param name="System">Out of which system.</param>
/// <param name="Evidence">The document that the exemption relies on; may be absent.</param>
/// <param name="Notices">What a person should look at, such as an unknown field.</param>
public sealed record TransferCircumstances(
    IReadOnlyList<string> Fields,
    string Purpose,
    string LegalBasis,
    string? Mechanism,
    string Method,
    string System,
    string? Evidence,
    TransferNotices Notices)
{
    /// <summary>What the record says of scenario, notice and consent; <see langword="null"/> when it says nothing of them.</summary>
    public TransferPaperwork? Paperwork { get; init; }

    /// <summary>Circumstances of which nothing is known.</summary>
    public static TransferCircumstances Unknown { get; } = new([], "", "", null, "", "", null, TransferNotices.None);
}

/// <summary>What a person should look at in an accepted record.</summary>
[Flags]
public enum TransferNotices
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A field is in no map; it counts as <see cref="DataClass.Undetermined"/>.</summary>
    UnknownField = 1,

    /// <summary>A field's content decides and the record does not say what it holds.</summary>
    ContextField = 2,

    /// <summary>The recipient is not in the settings.</summary>
    UnknownRecipient = 4,

    /// <summary>The record belongs to last year: it corrects counts that may have been reported.</summary>
    LastYear = 8,

    /// <summary>The exemption is claimed with weaker evidence than it should have.</summary>
    WeakEvidence = 16,

    /// <summary>No field is personal: the record is kept and counts nothing.</summary>
    NothingPersonal = 32,

    /// <summary>The destination is not where the settings say that the recipient is.</summary>
    RecipientElsewhere = 64,
}
