using System.Globalization;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Transfers;

namespace DingFlow.Alerts;

/// <summary>Puts a message into words for people, in the language of its channel.</summary>
internal static class AlertWording
{
    /// <summary>Alerts of a burst that are named; the others are counted.</summary>
    private const int NamedInBurst = 20;

    private const int TitleLength = 120;
    private const string Ellipsis = "…";

    /// <summary>One line about the whole message, and its paragraphs.</summary>
    public static AlertText Of(AlertNotice notice, AlertLanguage language)
    {
        var texts = AlertTexts.Default;
        if (notice.Alerts is [var only])
        {
            var text = texts.Render(only.Alert, language);
            return new(Short(text.Title), [.. text.Lines, .. Reminder(only, language), Footer(only, language)]);
        }

        var count = notice.Alerts.Count.ToString(CultureInfo.InvariantCulture);
        var worst = notice.Alerts.Max(static telling => telling.Alert.Severity);
        var lines = notice.Alerts.OrderByDescending(static telling => telling.Alert.Severity).Take(NamedInBurst)
            .Select(telling => Named(telling, texts.Render(telling.Alert, language).Title, language)).ToList();
        if (notice.Alerts.Count > NamedInBurst)
        {
            var more = (notice.Alerts.Count - NamedInBurst).ToString(CultureInfo.InvariantCulture);
            lines.Add(Phrase("digest.more", language).Replace("{count}", more, StringComparison.Ordinal));
        }

        return new($"{SeverityOf(worst, language)}: {Phrase("digest.title", language).Replace("{count}", count, StringComparison.Ordinal)}", lines);
    }

    /// <summary>A line on a document: that it is attached and by which hash to know it, or where it is had and why it is not attached.</summary>
    public static string Enclosure(AlertEnclosure enclosure, AlertLanguage language) => Phrase(
            enclosure.Form switch
            {
                EnclosureForm.Plain => "document.attached",
                EnclosureForm.Gzip => "document.compressed",
                EnclosureForm.TooLarge => "document.tooLarge",
                _ => "document.gone",
            },
            language)
        .Replace("{name}", enclosure.Document.Name, StringComparison.Ordinal)
        .Replace("{bytes}", enclosure.Document.Bytes.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("{sha256}", enclosure.Document.Sha256, StringComparison.Ordinal)
        .Replace("{source}", enclosure.Document.Source, StringComparison.Ordinal);

    /// <summary>As plain text, for mail.</summary>
    public static string Plain(AlertText text) => string.Join("\r\n\r\n", text.Lines.Select(OneLine));

    /// <summary>
    /// As DingTalk's markdown, within so many bytes of UTF-8. Values come from outside: what could make links, images or headings of
    /// them is replaced by its full-width twin.
    /// </summary>
    public static string Markdown(AlertText text, int maximumBytes)
    {
        var markdown = new StringBuilder("### ").Append(Harmless(text.Title));
        foreach (var line in text.Lines)
        {
            markdown.Append("\n\n").Append(Harmless(line));
        }

        return Cut(markdown.ToString(), maximumBytes);
    }

    /// <summary>A title without line breaks and markup.</summary>
    public static string Title(AlertText text) => Harmless(text.Title);

    /// <summary>At most so many bytes of UTF-8, never half a character.</summary>
    public static string Cut(string text, int maximumBytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= maximumBytes)
        {
            return text;
        }

        var (bytes, length) = (Encoding.UTF8.GetByteCount(Ellipsis), 0);
        foreach (var rune in text.EnumerateRunes())
        {
            if (bytes + rune.Utf8SequenceLength > maximumBytes)
            {
                break;
            }

            bytes += rune.Utf8SequenceLength;
            length += rune.Utf16SequenceLength;
        }

        return text[..length] + Ellipsis;
    }

    /// <summary>A line of a burst; what it is about is added where the title does not say it.</summary>
    private static string Named(TellingOfAlert telling, string title, AlertLanguage language) =>
        $"{SeverityOf(telling.Alert.Severity, language)}: {title}"
        + (telling.Alert.About is { } about && !title.Contains(about, StringComparison.Ordinal) ? $" ({about})" : "");

    private static IEnumerable<string> Reminder(TellingOfAlert telling, AlertLanguage language) => telling.Occurrence == 1
        ? []
        : [Phrase("label.again", language).Replace("{count}", telling.Occurrence.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)];

    private static string Footer(TellingOfAlert telling, AlertLanguage language) =>
        $"{SeverityOf(telling.Alert.Severity, language)} · {Phrase("label.raised", language)}: "
        + LegalTime.Of(telling.Alert.OccurredAt).ToString("yyyy-MM-dd HH:mm 'UTC+8'", CultureInfo.InvariantCulture)
        + $" · {Phrase("label.id", language)}: {telling.Key}";

    private static string SeverityOf(AlertSeverity severity, AlertLanguage language) =>
        Phrase($"severity.{severity.ToString().ToLowerInvariant()}", language);

    private static string Phrase(string name, AlertLanguage language) =>
        AlertTexts.Default.Word(name, language) ?? throw new InvalidDataException($"Alerts/words.json lacks {name}.");

    private static string Short(string title) => title.Length <= TitleLength ? title : title[..TitleLength] + Ellipsis;

    private static string OneLine(string text) => string.Concat(text.Select(static c => char.IsControl(c) ? ' ' : c));

    private static string Harmless(string text) => string.Concat(OneLine(text).Select(static c => c switch
    {
        '[' => '［', ']' => '］', '<' => '＜', '>' => '＞', '#' => '＃', '*' => '＊', '`' => '｀', '|' => '｜', '!' => '！', '\\' => '＼', '@' => '＠',
        _ => c,
    }));
}
