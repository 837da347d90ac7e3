using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>
/// The words that a case keeps. A sender that repeats itself every hour must not fill a case until nothing can be written to it any more:
/// of each source the first word, those that decide, and the newest are kept; the others are counted. Pure.
/// </summary>
internal static class CaseWords
{
    /// <summary>So many words of one source are kept as they are.</summary>
    internal const int Most = 30;

    private const int Newest = 20;

    /// <summary>The case with one more word. The word itself is always among those that are kept.</summary>
    public static OffboardingCase Heard(OffboardingCase c, CaseSignal word)
    {
        List<CaseSignal> all = [.. c.Signals, word];
        var ofSource = all.Where(s => s.Source == word.Source).ToList();
        if (ofSource.Count <= Most)
        {
            return c with { Signals = all };
        }

        var kept = new HashSet<CaseSignal>(ofSource.TakeLast(Newest), ReferenceEqualityComparer.Instance) { ofSource[0] };
        kept.UnionWith(Last(ofSource.Where(static s => s.LeavesAt is not null)));
        kept.UnionWith(Last(ofSource.Where(static s => s.Kind is PersonEventKind.Terminated or PersonEventKind.AccountDisabled)));
        return c with
        {
            Signals = [.. all.Where(s => s.Source != word.Source || kept.Contains(s))],
            WordsLeftOut = c.WordsLeftOut + ofSource.Count - kept.Count,
        };
    }

    /// <summary>The word that was said last: of equals the one heard last, as <see cref="CaseDates"/> has it.</summary>
    private static IEnumerable<CaseSignal> Last(IEnumerable<CaseSignal> words)
    {
        CaseSignal? last = null;
        foreach (var word in words)
        {
            last = last is null || word.SaidAt >= last.SaidAt ? word : last;
        }

        return last is null ? [] : [last];
    }
}
