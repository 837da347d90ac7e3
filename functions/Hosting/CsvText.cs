namespace DingFlow.Hosting;

/// <summary>Text in files that people open in a spreadsheet.</summary>
public static class CsvText
{
    /// <summary>
    /// The text, with an apostrophe in front where a spreadsheet would take it for a formula, also by the full-width signs of East Asian
    /// keyboards. Quoting is the caller's.
    /// </summary>
    public static string WithoutFormula(string text) =>
        text is ['=' or '+' or '-' or '@' or '\t' or '\r' or '\n' or '＝' or '＋' or '＠' or '－', ..] ? "'" + text : text;
}
