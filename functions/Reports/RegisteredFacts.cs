using DingFlow.Alerts;
using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Reports;

/// <summary>What was recorded on a scenario, value by value under its label, in the order in which filings ask; and the same for consent.</summary>
internal static class RegisteredFacts
{
    /// <summary>The values; <see langword="null"/> for one that is not recorded.</summary>
    public static IEnumerable<(string Label, object? Value)> Of(ReportRegistered scenario, AlertLanguage language)
    {
        var (terms, mechanism, assessment) = (scenario.Terms, scenario.Terms.Mechanism, scenario.Terms.Assessment);
        yield return ("revision", scenario.Revision);
        yield return ("inForceFrom", scenario.InForceFrom);
        yield return ("recordedAt", scenario.RecordedAt.ToString("O", System.Globalization.CultureInfo.InvariantCulture));
        if (scenario.WithdrawnFrom is { } withdrawn)
        {
            yield return ("withdrawnFrom", withdrawn);
        }

        yield return ("purpose", terms.Purpose);
        yield return ("recipient", terms.Recipient);
        yield return ("scenario.description", terms.Description);
        yield return ("gap.recipientContact", terms.RecipientContact);
        yield return ("gap.recipientRole", terms.RecipientRole);
        yield return ("gap.recipientSystem", terms.RecipientSystem);
        yield return ("gap.dataCentre", terms.DataCentre);
        yield return ("gap.onwardRecipients", Onward(terms.OnwardRecipients));
        yield return ("onward.insideGreaterBay", scenario.OnwardInsideGreaterBay);
        yield return ("gap.startDate", terms.StartDate);
        yield return ("gap.frequency", terms.Frequency);
        yield return ("gap.retentionAbroad", terms.RetentionAbroad);
        yield return ("gap.deletionProof", terms.DeletionProof);
        yield return ("gap.noticeVersion", terms.NoticeVersion);
        yield return ("gap.mechanism", mechanism?.Kind);
        yield return ("gap.mechanismNumber", mechanism?.Number);
        yield return ("gap.mechanismValidFrom", mechanism?.ValidFrom);
        yield return ("gap.mechanismValidTo", mechanism?.ValidTo);
        yield return ("gap.approvedPersons", mechanism?.ApprovedPersons);
        yield return ("scope.window", mechanism is null ? null : mechanism.ScopeWindow ?? ScopeWindow.CalendarYear);
        yield return ("gap.assessment", assessment?.Id);
        yield return ("gap.assessmentDate", assessment?.Date);
        yield return ("gap.assessmentConclusion", assessment?.Conclusion);
        yield return ("gap.assessmentNextReview", assessment?.NextReview);
        yield return ("gap.assessmentKeepUntil", assessment?.KeepUntil);
        yield return ("gap.expectedPersons", terms.Expected is { Persons: { } expected } plan ? System.FormattableString.Invariant($"{plan.Year}: {expected}") : null);
        if (scenario.ChangedSinceFiling.Count > 0)
        {
            yield return ("changedSinceFiling", string.Join(", ", scenario.ChangedSinceFiling.Select(change => ReportTexts.Default.Label(
                change is ScenarioChange.Purpose or ScenarioChange.Recipient ? Words.Of(change) : $"gap.{Words.Of(change)}", language))));
        }

        yield return ("records", scenario.Records);
        yield return ("recordsOutsideForce", scenario.RecordsOutsideForce);
        yield return ("recipients", string.Join("; ", scenario.Recipients));
    }

    /// <summary>What records say of consent.</summary>
    public static IEnumerable<(string Label, ReportTally Tally)> Of(ReportConsent consent) =>
    [
        ("consent.onConsent", consent.OnConsent), ("consent.withEvidence", consent.WithEvidence), ("consent.separate", consent.Separate),
        ("consent.withoutEvidence", consent.WithoutEvidence), ("consent.notSeparate", consent.NotSeparate), ("consent.afterTransfer", consent.AfterTransfer),
    ];

    /// <summary>The name of a counter for people.</summary>
    public static string LabelOf(string counter, AlertLanguage language)
    {
        if (ReportTexts.Default.Find($"counter.{counter}", language) is { } label)
        {
            return label;
        }

        foreach (var (prefix, family, title) in Families)
        {
            if (counter.StartsWith(prefix, StringComparison.Ordinal))
            {
                var value = counter[prefix.Length..];
                return $"{ReportTexts.Default.Label(title, language)}: {ReportTexts.Default.Find(family + value, language) ?? value}";
            }
        }

        return counter;
    }

    /// <summary>Families of counters, the longer prefix first.</summary>
    private static readonly (string Prefix, string Family, string Title)[] Families =
    [
        ("cn.counted.class.", "class.", "classes"), ("cn.counted.recipient.", "recipient.", "recipient"), ("cn.counted.country.", "country.", "destinations"),
        ("cn.all.exempt.", "exemption.", "exemptions"), ("sensitive.", "class.", "sensitive"), ("recipient.", "recipient.", "recipient"),
        ("country.", "country.", "destinations"), ("lane.", "lane.", "lane"), ("exempt.", "exemption.", "exemptions"),
    ];

    private static string? Onward(IReadOnlyList<OnwardRecipient>? onward) => onward switch
    {
        null => null,
        { Count: 0 } => "0",
        _ => string.Join("; ", onward.Select(static one => one.Place is null ? one.Name : $"{one.Name} ({one.Place})")),
    };
}
