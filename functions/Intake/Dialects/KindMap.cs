using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// What a sender's words for events mean: <c>Kinds:Terminated</c>, <c>Kinds:TerminationCancelled</c> and <c>Kinds:Rehired</c>, each a
/// list. A word in the list fits in any case; one that begins with a dot fits the end. Other words need no work.
/// </summary>
internal sealed class KindMap
{
    private readonly Dictionary<string, PersonEventKind> _words = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<(string End, PersonEventKind Kind)> _ends = [];

    private KindMap(params ReadOnlySpan<(PersonEventKind Kind, string Word)> words)
    {
        foreach (var (kind, word) in words)
        {
            Add(kind, word);
        }
    }

    /// <summary>The usual words of SuccessFactors.</summary>
    public static KindMap SuccessFactors { get; } = new((PersonEventKind.Terminated, ".Termination"), (PersonEventKind.Rehired, ".ReHire"));

    /// <summary>Words for the business processes of Workday, in the customer's own integration.</summary>
    public static KindMap Workday { get; } = new(
        (PersonEventKind.Terminated, "Terminate Employee"), (PersonEventKind.Terminated, "End Contingent Worker Contract"),
        (PersonEventKind.Terminated, "Termination"), (PersonEventKind.Terminated, "employee.terminated"),
        (PersonEventKind.TerminationCancelled, "Rescind Termination"), (PersonEventKind.TerminationCancelled, "employee.termination_cancelled"),
        (PersonEventKind.Rehired, "Rehire"), (PersonEventKind.Rehired, "employee.rehired"));

    /// <summary>The words of the dialect <c>standard</c>.</summary>
    public static KindMap Standard { get; } = new(
        (PersonEventKind.Terminated, "employee.terminated"), (PersonEventKind.TerminationCancelled, "employee.termination_cancelled"),
        (PersonEventKind.Rehired, "employee.rehired"));

    /// <summary>Reads the settings; without any the usual words count.</summary>
    public static KindMap Read(SettingsReader reader, KindMap usual)
    {
        var map = new KindMap();
        PersonEventKind[] kinds = [PersonEventKind.Terminated, PersonEventKind.TerminationCancelled, PersonEventKind.Rehired];
        foreach (var kind in kinds)
        {
            foreach (var word in reader.List($"Kinds:{kind}"))
            {
                if (map.KindOf(word) is { } other && other != kind)
                {
                    reader.Fault($"Kinds:{kind}", "names a word that another kind has, too");
                }

                map.Add(kind, word);
            }
        }

        return map._words.Count + map._ends.Count == 0 ? usual : map;
    }

    /// <summary>What the word means, or <see langword="null"/> when it needs no work.</summary>
    public PersonEventKind? KindOf(string word)
    {
        if (_words.TryGetValue(word, out var kind))
        {
            return kind;
        }

        foreach (var (end, ofEnd) in _ends)
        {
            if (word.EndsWith(end, StringComparison.OrdinalIgnoreCase))
            {
                return ofEnd;
            }
        }

        return null;
    }

    private void Add(PersonEventKind kind, string word)
    {
        if (word.StartsWith('.'))
        {
            _ends.Add((word, kind));
        }
        else
        {
            _words[word] = kind;
        }
    }
}
