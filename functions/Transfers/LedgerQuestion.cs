using System.Globalization;

namespace DingFlow.Transfers;

/// <summary>
/// What the ledger is asked about a change whose process ended within it. Questions are stored in the journal: their names and the order of
/// their arguments never change.
/// </summary>
/// <param name="Name">Which question.</param>
/// <param name="Arguments">About what: ids, numbers and pseudonyms.</param>
internal sealed record LedgerQuestion(string Name, IReadOnlyList<string> Arguments)
{
    public const string BatchName = "transfers.batch";
    public const string VoidName = "transfers.void";
    public const string EraseName = "transfers.erase";
    public const string UniteName = "transfers.unite";
    public const string PruneName = "transfers.prune";
    public const string OpeningSetName = "transfers.opening_set";
    public const string OpeningRemovedName = "transfers.opening_removed";

    /// <summary>How many records are there of a batch?</summary>
    public static LedgerQuestion Batch(string batchId, IEnumerable<string> exporters) => new(BatchName, [batchId, .. exporters]);

    /// <summary>Is a batch taken back?</summary>
    public static LedgerQuestion Void(string exporter, string batchId) => new(VoidName, [exporter, batchId]);

    /// <summary>Who still holds anything on a person?</summary>
    /// <param name="places">The exporters, and the person's pseudonym at each.</param>
    public static LedgerQuestion Erase(IEnumerable<(string Exporter, SubjectPseudonym Pseudonym)> places) =>
        new(EraseName, [.. places.Select(static place => $"{place.Exporter} {place.Pseudonym}")]);

    /// <summary>Is each of these persons one?</summary>
    /// <param name="persons">The pseudonyms of each.</param>
    public static LedgerQuestion Unite(IEnumerable<IReadOnlyList<SubjectPseudonym>> persons) =>
        new(UniteName, [.. persons.Select(static names => string.Join(' ', names))]);

    /// <summary>Are the records gone that were accepted before a day (<c>yyyymmdd</c>)?</summary>
    public static LedgerQuestion Prune(string exporter, int day) => new(PruneName, [exporter, day.ToString(CultureInfo.InvariantCulture)]);

    /// <summary>Is this the opening balance?</summary>
    public static LedgerQuestion OpeningSet(string exporter, int year, string counter, long count) => new(
        OpeningSetName, [exporter, year.ToString(CultureInfo.InvariantCulture), counter, count.ToString(CultureInfo.InvariantCulture)]);

    /// <summary>Is this opening balance gone?</summary>
    public static LedgerQuestion OpeningRemoved(string exporter, int year, string counter) =>
        new(OpeningRemovedName, [exporter, year.ToString(CultureInfo.InvariantCulture), counter]);
}
