namespace DingFlow.Transfers;

/// <summary>
/// A transfer as a sender reports it, before any judgement: the JSON of <c>POST /api/transfers</c>, for parts of the program that
/// report transfers themselves. Holds personal data: never logged.
/// </summary>
public sealed record TransferRecord
{
    /// <summary>The sender's id, unique per exporter; 1 to 128 characters.</summary>
    public required string Id { get; init; }

    /// <summary>When it happened; for standing access, when access was found to exist.</summary>
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>The legal entity that decides on the transfer.</summary>
    public required string Exporter { get; init; }

    /// <summary>Whose data.</summary>
    public required TransferSubject Subject { get; init; }

    /// <summary>The fields that went out.</summary>
    public IReadOnlyList<string> Fields { get; init; } = [];

    /// <summary>The classes that went out, instead of fields or for fields whose content decides.</summary>
    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>ISO 3166 code of the place where the data were collected and generated.</summary>
    public required string Origin { get; init; }

    /// <summary>ISO 3166 code of the place where they arrive or can be reached.</summary>
    public required string Destination { get; init; }

    /// <summary>Who receives them.</summary>
    public required string Recipient { get; init; }

    /// <summary>What for.</summary>
    public required string Purpose { get; init; }

    /// <summary>On what ground.</summary>
    public required string LegalBasis { get; init; }

    /// <summary>Which exemption is claimed, as word or code.</summary>
    public string? Exemption { get; init; }

    /// <summary>Assessment, contract or certificate and its number, such as <c>sc:2026-0012</c>; <c>gba:</c> and a filing number claim the Greater Bay Area contract.</summary>
    public string? Mechanism { get; init; }

    /// <summary>How: <c>api</c>, <c>sync</c>, <c>file</c>, <c>remoteAccess</c> …</summary>
    public required string Method { get; init; }

    /// <summary>Out of which system.</summary>
    public required string System { get; init; }

    /// <summary>The scenario of the register that it belongs to.</summary>
    public string? Scenario { get; init; }

    /// <summary>Which version of the notice the subject was given.</summary>
    public string? NoticeVersion { get; init; }

    /// <summary>The subject's consent, where the transfer rests on one.</summary>
    public TransferConsent? Consent { get; init; }

    /// <summary>The id only: the record is personal data.</summary>
    public override string ToString() => $"transfer {Id}";
}

/// <summary>A data subject's consent to a transfer. Its id may point to a person: never logged.</summary>
/// <param name="Id">The id of the evidence in the sender's own system.</param>
/// <param name="At">When it was given.</param>
/// <param name="Version">Which version of the text.</param>
/// <param name="Separate">It was given separately.</param>
public sealed record TransferConsent(string? Id = null, DateTimeOffset? At = null, string? Version = null, bool? Separate = null)
{
    /// <summary>Says nothing: the id may point to a person.</summary>
    public override string ToString() => nameof(TransferConsent);
}

/// <summary>The data subject of a record. Personal data: never logged.</summary>
/// <param name="Type">A word of <see cref="SubjectType"/>.</param>
/// <param name="Id">The identifier.</param>
/// <param name="Scope">What it is unique within (a corp id, an issuing country), where that is not the exporter.</param>
/// <param name="Minor">Under 14.</param>
public sealed record TransferSubject(string Type, string Id, string? Scope = null, bool Minor = false)
{
    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(TransferSubject);
}
