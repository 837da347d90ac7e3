namespace DingFlow.Transfers;

/// <summary>Looks at what a person records on a scenario: what cannot be is refused, and texts are made fit to be kept.</summary>
internal static class ScenarioCheck
{
    private const int LongestText = 300;
    private const int LongestPurpose = 200;
    private const int LongestConclusion = 2000;
    private const int MostOnward = 50;

    /// <summary>The mainland's population, and then some: a number beyond it is a slip of the finger.</summary>
    private const long MostPersons = 10_000_000_000;

    /// <summary>PIPL article 56.</summary>
    private const int AssessmentYears = 3;

    private static readonly DateOnly FirstDay = new(2000, 1, 1);
    private static readonly DateOnly LastDay = new(2199, 12, 31);

    /// <summary>A text without blanks around it; <see langword="null"/> for one that says nothing.</summary>
    public static string? Text(string? text) => text?.Trim() is { Length: > 0 } said ? said : null;

    /// <summary>What is wrong with a text that may be missing.</summary>
    public static string? FaultOf(string name, string? text, int longest = LongestText) =>
        Text(text) is { } said && (said.Length > longest || said.Any(char.IsControl)) ? $"{name} must have at most {longest} characters, none of them a control character." : null;

    /// <summary>What is wrong with the day and the reason of a version.</summary>
    public static string? FaultOf(DateOnly from, string? reason, DateOnly today, TransfersOptions options) =>
        from < new DateOnly(today.Year - options.RetentionYears, 1, 1) ? "The first day lies before the retention period."
        : from > today.AddYears(1) ? "The first day lies more than a year ahead."
        : TransferRoutes.ReasonIn(reason) is null ? TransferRoutes.ReasonWanted
        : null;

    /// <summary>The terms as they are kept, or what is wrong with them.</summary>
    public static (ScenarioTerms? Terms, string? Fault) Terms(ScenarioTerms? said, DateOnly today)
    {
        if (said is null)
        {
            return (null, "terms is missing.");
        }

        var terms = said with
        {
            // JSON may say null in place of a text.
            Recipient = Text(said.Recipient)?.ToLowerInvariant() ?? "",
            Purpose = Text(said.Purpose) ?? "",
            Description = Text(said.Description),
            RecipientContact = Text(said.RecipientContact),
            RecipientSystem = Text(said.RecipientSystem),
            DataCentre = Text(said.DataCentre),
            OnwardRecipients = said.OnwardRecipients is { } onward ? [.. onward.Select(static one => new OnwardRecipient(Text(one?.Name) ?? "", Text(one?.Place)))] : null,
            Frequency = Text(said.Frequency),
            RetentionAbroad = Text(said.RetentionAbroad),
            DeletionProof = Text(said.DeletionProof),
            NoticeVersion = Text(said.NoticeVersion),
            Mechanism = said.Mechanism is { } mechanism ? mechanism with { Number = Text(mechanism.Number) } : null,
            Assessment = said.Assessment is { } assessment ? assessment with { Id = Text(assessment.Id), Conclusion = Text(assessment.Conclusion) } : null,
        };
        var fault = FaultOf(terms) ?? FaultOf(terms.Mechanism) ?? FaultOf(terms.Assessment, today) ?? FaultOf(terms.Expected);
        return fault is null ? (terms, null) : (null, fault);
    }

    private static string? FaultOf(ScenarioTerms terms) =>
        !TransfersOptions.IsId(terms.Recipient) ? "terms.recipient must be a recipient's id, as records name it: 1 to 64 letters, digits, '.', '_' or '-'."
        : terms.Purpose.Length is 0 or > LongestPurpose || terms.Purpose.Any(char.IsControl) ? "terms.purpose must be the purpose that records name, 1 to 200 characters."
        : FaultOf("terms.description", terms.Description)
            ?? FaultOf("terms.recipientContact", terms.RecipientContact)
            ?? FaultOf("terms.recipientSystem", terms.RecipientSystem)
            ?? FaultOf("terms.dataCentre", terms.DataCentre)
            ?? FaultOf(terms.OnwardRecipients)
            ?? FaultOf("terms.startDate", terms.StartDate)
            ?? FaultOf("terms.frequency", terms.Frequency)
            ?? FaultOf("terms.retentionAbroad", terms.RetentionAbroad)
            ?? FaultOf("terms.deletionProof", terms.DeletionProof)
            ?? FaultOf("terms.noticeVersion", terms.NoticeVersion);

    private static string? FaultOf(IReadOnlyList<OnwardRecipient>? onward) => onward switch
    {
        null => null,
        { Count: > MostOnward } => $"terms.onwardRecipients may be {MostOnward} at most.",
        _ when onward.Any(static one => one.Name.Length is 0 or > LongestText || one.Name.Any(char.IsControl)) =>
            $"Each of terms.onwardRecipients must have a name of at most {LongestText} characters.",
        _ when onward.Any(static one => one.Place is { } place && !Country.TryParse(place, out _) && !ExemptionPolicy.Default.IsGreaterBayCity(place)) =>
            "The place of an onward recipient must be an ISO 3166 code, or a city of the Greater Bay Area.",
        _ => null,
    };

    private static string? FaultOf(ScenarioMechanism? mechanism) => mechanism switch
    {
        null => null,
        { Kind: null } => "terms.mechanism.kind must say which mechanism it is.",
        { ApprovedPersons: not null and not (>= 1 and <= MostPersons) } => "terms.mechanism.approvedPersons must be a whole number of persons.",
        { Kind: MechanismKind.Exemption, ApprovedPersons: not null } => "An exemption approves no number of persons.",
        { ValidFrom: { } from, ValidTo: { } to } when to < from => "terms.mechanism.validTo lies before validFrom.",
        _ => FaultOf("terms.mechanism.number", mechanism.Number)
            ?? FaultOf("terms.mechanism.validFrom", mechanism.ValidFrom) ?? FaultOf("terms.mechanism.validTo", mechanism.ValidTo),
    };

    private static string? FaultOf(ScenarioAssessment? assessment, DateOnly today) => assessment switch
    {
        null => null,
        { Date: { } date } when date > today => "terms.assessment.date lies in the future.",
        { Date: { } date, NextReview: { } review } when review < date => "terms.assessment.nextReview lies before its date.",
        { Date: { } date, KeepUntil: { } until } when until < date.AddYears(AssessmentYears) => "terms.assessment.keepUntil must lie three years after its date at least (PIPL article 56).",
        _ => FaultOf("terms.assessment.id", assessment.Id) ?? FaultOf("terms.assessment.conclusion", assessment.Conclusion, LongestConclusion)
            ?? FaultOf("terms.assessment.date", assessment.Date) ?? FaultOf("terms.assessment.nextReview", assessment.NextReview)
            ?? FaultOf("terms.assessment.keepUntil", assessment.KeepUntil),
    };

    private static string? FaultOf(ScenarioExpectation? expected) => expected switch
    {
        null => null,
        { Year: not (>= 2000 and <= 2199) } => "terms.expected.year must be a calendar year of four digits.",
        { Persons: not (>= 0 and <= MostPersons) } => "terms.expected.persons must be a whole number of persons.",
        _ => null,
    };

    private static string? FaultOf(string name, DateOnly? day) =>
        day is { } said && (said < FirstDay || said > LastDay) ? $"{name} is no day between 2000 and 2199." : null;
}
