using System.Collections.Frozen;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>The words by which data files, settings, records and counters call classes and exemptions.</summary>
public static class Vocabulary
{
    private static readonly (ExemptionKind Kind, string Word)[] ExemptionWords =
    [
        (ExemptionKind.None, "none"),
        (ExemptionKind.Contract, "contract"),
        (ExemptionKind.HumanResources, "hr"),
        (ExemptionKind.Emergency, "emergency"),
        (ExemptionKind.Transit, "transit"),
        (ExemptionKind.FreeTradeZone, "ftz"),
        (ExemptionKind.Trade, "trade"),
        (ExemptionKind.StatutoryDuty, "statutory"),
        (ExemptionKind.GreaterBayContract, "gba"),
    ];

    private static readonly FrozenDictionary<string, ExemptionKind> Exemptions =
        ExemptionWords.ToFrozenDictionary(entry => entry.Word, entry => entry.Kind, StringComparer.OrdinalIgnoreCase);

    private static readonly string[] ExemptionNames = [.. ExemptionWords.Select(entry => entry.Word)];

    private static readonly string[] ClassNames = [.. Enum.GetValues<DataClass>().Select(Words.Of)];

    private static readonly FrozenDictionary<string, DataClass> Classes =
        ClassNames.Select((name, number) => (name, (DataClass)number))
            .ToFrozenDictionary(entry => entry.name, entry => entry.Item2, StringComparer.OrdinalIgnoreCase);

    /// <summary>The word for a class, such as <c>medicalHealth</c>.</summary>
    public static string Of(DataClass dataClass) => ClassNames[(int)dataClass];

    /// <summary>The word for an exemption, such as <c>hr</c>.</summary>
    public static string Of(ExemptionKind exemption) => ExemptionNames[(int)exemption];

    /// <summary>The class of a word, in any case.</summary>
    public static bool TryClass(ReadOnlySpan<char> word, out DataClass dataClass) =>
        Classes.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out dataClass);

    /// <summary>The exemption of a word, in any case.</summary>
    public static bool TryExemption(ReadOnlySpan<char> word, out ExemptionKind exemption) =>
        Exemptions.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out exemption);
}
