using System.Text.Json.Serialization;

namespace DingFlow.Transfers;

/// <summary>What the recipient is in law.</summary>
public enum RecipientRole
{
    /// <summary>It decides on purpose and means itself (PIPL articles 23 and 73(1)).</summary>
    Processor,

    /// <summary>It handles the information on the exporter's behalf (PIPL article 21).</summary>
    Entrusted,
}

/// <summary>On what an export rests (PIPL article 38; Greater Bay Area contracts; exemptions of Order 16).</summary>
public enum MechanismKind
{
    /// <summary>A security assessment of the CAC: three years from issue (Order 16 article 9).</summary>
    SecurityAssessment,

    /// <summary>A standard contract that is filed: for as long as it runs (Order 13 article 8).</summary>
    StandardContract,

    /// <summary>A certificate: three years.</summary>
    Certification,

    /// <summary>A Greater Bay Area contract that is filed.</summary>
    GbaContract,

    /// <summary>An exemption of Order 16 articles 3 to 6; its number is the code.</summary>
    Exemption,
}

/// <summary>Over what time the approved number of persons counts. The law names none; the filing says.</summary>
public enum ScopeWindow
{
    /// <summary>In each calendar year (Asia/Shanghai).</summary>
    CalendarYear,

    /// <summary>From the first day of the mechanism to its last.</summary>
    Term,
}

/// <summary>
/// What filings ask on a scenario and no record can say: who receives, under which mechanism, where it is kept and for how long. Whatever is
/// <see langword="null"/> is not recorded. Days are those of Asia/Shanghai.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScenarioTerms
{
    /// <summary>The recipient's id, in lower case, as records name it.</summary>
    public string Recipient { get; init; } = "";

    /// <summary>The purpose, as records name it.</summary>
    public string Purpose { get; init; } = "";

    /// <summary>For people: what is done.</summary>
    public string? Description { get; init; }

    /// <summary>How the recipient is reached (PIPL article 39): an office or a mailbox rather than a person.</summary>
    public string? RecipientContact { get; init; }

    /// <summary>What the recipient is in law.</summary>
    public RecipientRole? RecipientRole { get; init; }

    /// <summary>The recipient's system that holds the data.</summary>
    public string? RecipientSystem { get; init; }

    /// <summary>Where that system stands.</summary>
    public string? DataCentre { get; init; }

    /// <summary>Whom the recipient passes the data on to; empty says to nobody.</summary>
    public IReadOnlyList<OnwardRecipient>? OnwardRecipients { get; init; }

    /// <summary>Since when.</summary>
    public DateOnly? StartDate { get; init; }

    /// <summary>How often: <c>daily</c>, <c>on request</c> …</summary>
    public string? Frequency { get; init; }

    /// <summary>For how long the recipient keeps the data.</summary>
    public string? RetentionAbroad { get; init; }

    /// <summary>The document that proves the deletion abroad.</summary>
    public string? DeletionProof { get; init; }

    /// <summary>The version of the notice that is in use.</summary>
    public string? NoticeVersion { get; init; }

    /// <summary>On what the export rests.</summary>
    public ScenarioMechanism? Mechanism { get; init; }

    /// <summary>The impact assessment (PIPL articles 55 and 56).</summary>
    public ScenarioAssessment? Assessment { get; init; }

    /// <summary>How many persons are expected in a year, as the exporter expects it.</summary>
    public ScenarioExpectation? Expected { get; init; }

    /// <summary>The same is recorded.</summary>
    public bool SaysTheSameAs(ScenarioTerms other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return (this with { OnwardRecipients = null }) == (other with { OnwardRecipients = null })
            && (OnwardRecipients is null ? other.OnwardRecipients is null : other.OnwardRecipients is not null && OnwardRecipients.SequenceEqual(other.OnwardRecipients));
    }
}

/// <summary>Somebody to whom the recipient passes data on.</summary>
/// <param name="Name">Its legal name.</param>
/// <param name="Place">An ISO 3166 code, or a city of the Greater Bay Area; <see langword="null"/> when it is not known.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record OnwardRecipient(string Name, string? Place);

/// <summary>The mechanism on which an export rests.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScenarioMechanism
{
    /// <summary>Which.</summary>
    public MechanismKind? Kind { get; init; }

    /// <summary>The number of the assessment, filing or certificate; the code of the exemption.</summary>
    public string? Number { get; init; }

    /// <summary>The first day on which it holds.</summary>
    public DateOnly? ValidFrom { get; init; }

    /// <summary>The last day on which it holds.</summary>
    public DateOnly? ValidTo { get; init; }

    /// <summary>Distinct persons that it covers at most.</summary>
    public long? ApprovedPersons { get; init; }

    /// <summary>Over what time they count; the calendar year where nothing is said.</summary>
    public ScopeWindow? ScopeWindow { get; init; }

    /// <summary>
    /// Transfers of this fact are under the mechanism: those under the contract for the Greater Bay Area contract, those under an exemption
    /// for an exemption, those under none for all others.
    /// </summary>
    public bool Covers(in TransferFact fact) => Kind switch
    {
        MechanismKind.GbaContract => fact.Exemption == ExemptionKind.GreaterBayContract,
        MechanismKind.Exemption => fact.Exemption != ExemptionKind.None,
        _ => fact.Exemption == ExemptionKind.None,
    };
}

/// <summary>An impact assessment.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScenarioAssessment
{
    /// <summary>The document.</summary>
    public string? Id { get; init; }

    /// <summary>When it was concluded.</summary>
    public DateOnly? Date { get; init; }

    /// <summary>What it concludes.</summary>
    public string? Conclusion { get; init; }

    /// <summary>By when it is to be looked at again.</summary>
    public DateOnly? NextReview { get; init; }

    /// <summary>Until when it is kept: three years at least (PIPL article 56).</summary>
    public DateOnly? KeepUntil { get; init; }
}

/// <summary>How many persons an exporter expects.</summary>
/// <param name="Year">In which calendar year.</param>
/// <param name="Persons">Distinct persons.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScenarioExpectation(int? Year, long? Persons);
