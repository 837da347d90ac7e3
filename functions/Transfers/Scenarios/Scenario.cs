namespace DingFlow.Transfers;

/// <summary>
/// A scenario of an exporter: transfers for one purpose to one recipient, which is what filings are about. Everything that was ever
/// recorded on it is kept, so that a filing shows what was in force on its day.
/// </summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Id">The exporter's name for it, lower case: 1 to 64 of letters, digits, <c>. _ -</c>.</param>
/// <param name="Versions">What was recorded, in the order in which it was recorded; at least one.</param>
public sealed record Scenario(string Exporter, string Id, IReadOnlyList<ScenarioVersion> Versions)
{
    /// <summary>What was recorded last.</summary>
    public ScenarioVersion Latest => Versions[^1];

    /// <summary>
    /// The version that holds on a day: of those whose first day has come the one with the latest, and of several with the same first day the
    /// one recorded last, which corrects the others. A withdrawal ends whatever was recorded before it, also for days to come.
    /// <see langword="null"/> before the first day of all.
    /// </summary>
    public ScenarioVersion? On(DateOnly day)
    {
        ScenarioVersion? found = null;
        foreach (var version in Versions)
        {
            if (version.InForceFrom <= day && (found is null || version.Withdrawn || version.InForceFrom >= found.InForceFrom))
            {
                found = version;
            }
        }

        return found;
    }

    /// <summary>
    /// What holds from a day to another, in the order of time: each version with its first and last day among them. Days on which the
    /// scenario is withdrawn are periods of the version that withdrew it.
    /// </summary>
    public IReadOnlyList<ScenarioPeriod> Periods(DateOnly from, DateOnly to)
    {
        List<ScenarioPeriod> periods = [];
        var starts = Versions.Select(static version => version.InForceFrom).Where(day => day > from && day <= to).Append(from).Distinct().Order().ToList();
        for (var i = 0; i < starts.Count; i++)
        {
            var last = i + 1 < starts.Count ? starts[i + 1].AddDays(-1) : to;
            if (On(starts[i]) is not { } version)
            {
                continue;
            }

            if (periods.Count > 0 && ReferenceEquals(periods[^1].Version, version))
            {
                periods[^1] = periods[^1] with { To = last };
            }
            else
            {
                periods.Add(new(version, starts[i], last));
            }
        }

        return periods;
    }

    /// <summary>
    /// What is otherwise on a day than when the mechanism of that day was first in force: what an authority was told, and may have to be told anew
    /// with a new impact assessment (Order 11 article 14, Order 13 article 8; Greater Bay Area guidelines article 8). Whether a change asks for it is
    /// a person's judgement. Empty without a mechanism.
    /// </summary>
    public IReadOnlyList<ScenarioChange> ChangedSinceFiling(DateOnly day)
    {
        if (On(day) is not { Withdrawn: false, Terms: { Mechanism: { } mechanism } now })
        {
            return [];
        }

        var then = Periods(DateOnly.MinValue, day).Select(static period => period.Version.Terms)
            .First(terms => terms.Mechanism is { } filed && filed.Kind == mechanism.Kind && filed.Number == mechanism.Number);
        List<ScenarioChange> changes = [];
        Note(now.Purpose != then.Purpose, ScenarioChange.Purpose);
        Note(now.Recipient != then.Recipient, ScenarioChange.Recipient);
        Note(now.RecipientRole != then.RecipientRole, ScenarioChange.RecipientRole);
        Note(now.DataCentre != then.DataCentre, ScenarioChange.DataCentre);
        Note(!(now.OnwardRecipients ?? []).SequenceEqual(then.OnwardRecipients ?? []), ScenarioChange.OnwardRecipients);
        Note(now.RetentionAbroad != then.RetentionAbroad, ScenarioChange.RetentionAbroad);
        return changes;

        void Note(bool isChange, ScenarioChange change)
        {
            if (isChange)
            {
                changes.Add(change);
            }
        }
    }
}

/// <summary>What of a scenario an authority was told.</summary>
public enum ScenarioChange
{
    /// <summary>The purpose.</summary>
    Purpose,

    /// <summary>The recipient.</summary>
    Recipient,

    /// <summary>What the recipient is in law.</summary>
    RecipientRole,

    /// <summary>Where the data are kept.</summary>
    DataCentre,

    /// <summary>Whom they are passed on to.</summary>
    OnwardRecipients,

    /// <summary>For how long they are kept.</summary>
    RetentionAbroad,
}

/// <summary>What was recorded on a scenario at once. Never changed afterwards: a correction is a version of its own.</summary>
/// <param name="Revision">1 for the first, one more with each.</param>
/// <param name="InForceFrom">The first day on which it holds.</param>
/// <param name="Withdrawn">From that day on the scenario is withdrawn: nothing is transferred under it any more.</param>
/// <param name="Terms">What it says.</param>
/// <param name="Reason">Why it was recorded.</param>
/// <param name="RecordedAt">When.</param>
/// <param name="RecordedBy">The principal.</param>
public sealed record ScenarioVersion(
    int Revision, DateOnly InForceFrom, bool Withdrawn, ScenarioTerms Terms, string Reason, DateTimeOffset RecordedAt, string RecordedBy);

/// <summary>A version while it holds.</summary>
/// <param name="Version">Which.</param>
/// <param name="From">The first day.</param>
/// <param name="To">The last.</param>
public readonly record struct ScenarioPeriod(ScenarioVersion Version, DateOnly From, DateOnly To);

/// <summary>Something that a filing asks for and nobody has recorded. The name in an answer is in camel case.</summary>
public enum ScenarioGap
{
    /// <summary>How the recipient is reached.</summary>
    RecipientContact,

    /// <summary>What it is in law.</summary>
    RecipientRole,

    /// <summary>Its system.</summary>
    RecipientSystem,

    /// <summary>Where that stands.</summary>
    DataCentre,

    /// <summary>Whom it passes data on to, or that it does not.</summary>
    OnwardRecipients,

    /// <summary>Where somebody is to whom it passes them on.</summary>
    OnwardPlace,

    /// <summary>Since when.</summary>
    StartDate,

    /// <summary>How often.</summary>
    Frequency,

    /// <summary>For how long it keeps the data.</summary>
    RetentionAbroad,

    /// <summary>The proof of deletion, once the scenario is withdrawn.</summary>
    DeletionProof,

    /// <summary>The version of the notice.</summary>
    NoticeVersion,

    /// <summary>On what the export rests.</summary>
    Mechanism,

    /// <summary>Its number.</summary>
    MechanismNumber,

    /// <summary>Until when it holds.</summary>
    MechanismValidTo,

    /// <summary>Since when it holds, where its persons count over its term.</summary>
    MechanismValidFrom,

    /// <summary>How many persons it covers.</summary>
    ApprovedPersons,

    /// <summary>The impact assessment.</summary>
    Assessment,

    /// <summary>When it was concluded.</summary>
    AssessmentDate,

    /// <summary>What it concludes.</summary>
    AssessmentConclusion,

    /// <summary>When it is to be looked at again.</summary>
    AssessmentNextReview,

    /// <summary>Until when it is kept.</summary>
    AssessmentKeepUntil,

    /// <summary>How many persons are expected.</summary>
    ExpectedPersons,
}

/// <summary>Finds what a filing lacks.</summary>
public static class ScenarioGaps
{
    /// <summary>What is not recorded of what filings ask (CAC Order 11 articles 5, 6, 9; Order 13 articles 5 to 8; PIPL articles 39 and 56).</summary>
    /// <param name="version">What is recorded.</param>
    /// <param name="year">The calendar year that is filed for.</param>
    public static IReadOnlyList<ScenarioGap> Of(ScenarioVersion version, int year)
    {
        ArgumentNullException.ThrowIfNull(version);
        var terms = version.Terms;
        List<ScenarioGap> gaps = [];
        Lacks(terms.RecipientContact is null, ScenarioGap.RecipientContact);
        Lacks(terms.RecipientRole is null, ScenarioGap.RecipientRole);
        Lacks(terms.RecipientSystem is null, ScenarioGap.RecipientSystem);
        Lacks(terms.DataCentre is null, ScenarioGap.DataCentre);
        Lacks(terms.OnwardRecipients is null, ScenarioGap.OnwardRecipients);
        Lacks(terms.OnwardRecipients?.Any(static onward => onward.Place is null) == true, ScenarioGap.OnwardPlace);
        Lacks(terms.StartDate is null, ScenarioGap.StartDate);
        Lacks(terms.Frequency is null, ScenarioGap.Frequency);
        Lacks(terms.RetentionAbroad is null, ScenarioGap.RetentionAbroad);
        Lacks(version.Withdrawn && terms.DeletionProof is null, ScenarioGap.DeletionProof);
        Lacks(terms.NoticeVersion is null, ScenarioGap.NoticeVersion);
        Mechanism(terms.Mechanism);
        Assessment(terms.Assessment);
        Lacks(!version.Withdrawn && (terms.Expected is not { Persons: not null } || terms.Expected.Year != year), ScenarioGap.ExpectedPersons);
        return gaps;

        void Mechanism(ScenarioMechanism? mechanism)
        {
            if (mechanism?.Kind is not { } kind)
            {
                gaps.Add(ScenarioGap.Mechanism);
                return;
            }

            Lacks(mechanism.Number is null, ScenarioGap.MechanismNumber);
            Lacks(mechanism.ValidFrom is null && mechanism.ScopeWindow == ScopeWindow.Term, ScenarioGap.MechanismValidFrom);

            // An exemption has neither an end nor an approved number.
            Lacks(mechanism.ValidTo is null && kind != MechanismKind.Exemption, ScenarioGap.MechanismValidTo);
            Lacks(mechanism.ApprovedPersons is null && kind != MechanismKind.Exemption, ScenarioGap.ApprovedPersons);
        }

        void Assessment(ScenarioAssessment? assessment)
        {
            if (assessment?.Id is null)
            {
                gaps.Add(ScenarioGap.Assessment);
            }

            Lacks(assessment?.Date is null, ScenarioGap.AssessmentDate);
            Lacks(assessment?.Conclusion is null, ScenarioGap.AssessmentConclusion);
            Lacks(assessment?.NextReview is null, ScenarioGap.AssessmentNextReview);
            Lacks(assessment?.KeepUntil is null, ScenarioGap.AssessmentKeepUntil);
        }

        void Lacks(bool lacks, ScenarioGap gap)
        {
            if (lacks)
            {
                gaps.Add(gap);
            }
        }
    }
}
