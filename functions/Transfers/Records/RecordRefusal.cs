using System.Text;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Why a record was refused. The code in an answer is the name in kebab-case (<c>unknown-exporter</c>); codes are part of the contract
/// and never change meaning.
/// </summary>
public enum RefusalReason
{
    /// <summary>Not refused.</summary>
    None,

    /// <summary>The record is no JSON: half a line, a stray byte, text that is not UTF-8.</summary>
    MalformedJson,

    /// <summary>The record is JSON, but no object (or, in a CloudEvents batch, no CloudEvent 1.0 with an object as data).</summary>
    MalformedRecord,

    /// <summary>The record is longer than <c>Transfers:MaxRecordBytes</c>.</summary>
    RecordTooLarge,

    /// <summary>The record is nested deeper than any record needs.</summary>
    TooDeep,

    /// <summary>A property stands twice.</summary>
    DuplicateProperty,

    /// <summary>A property that every record needs is missing.</summary>
    MissingProperty,

    /// <summary>A property has the wrong type, is too long or holds characters that it may not.</summary>
    InvalidProperty,

    /// <summary>The exporter is not registered in the settings.</summary>
    UnknownExporter,

    /// <summary>The caller may not report for this exporter.</summary>
    ExporterNotAllowed,

    /// <summary>The subject's type is none of the known.</summary>
    UnknownSubjectType,

    /// <summary>The subject's identifier is malformed for its type, or what it is unique within is missing.</summary>
    InvalidSubject,

    /// <summary>Origin or destination is no ISO 3166 code.</summary>
    InvalidCountry,

    /// <summary>Origin and destination are the same place: nothing crossed a border.</summary>
    NotATransfer,

    /// <summary>The time is no RFC 3339 time with offset.</summary>
    InvalidTime,

    /// <summary>The time lies in the future.</summary>
    InTheFuture,

    /// <summary>The time lies before the retention period.</summary>
    TooOld,

    /// <summary>There is neither a field nor a category.</summary>
    NoFields,

    /// <summary>There are more than 200 fields and categories.</summary>
    TooManyFields,

    /// <summary>A category is none of the known classes.</summary>
    UnknownCategory,

    /// <summary>The exemption is none of the known.</summary>
    UnknownExemption,

    /// <summary>Exemption by volume is what the count shows; no record can claim it.</summary>
    ExemptionByVolume,

    /// <summary>The exemption does not cover this lane, or this kind of information.</summary>
    ExemptionNotApplicable,

    /// <summary>The exemption is not open to this exporter.</summary>
    ExemptionNotOpenToExporter,

    /// <summary>Neither the record nor the exporter's settings name the evidence that the exemption asks for.</summary>
    ExemptionEvidenceMissing,

    /// <summary>A party of the Greater Bay Area contract is not registered in its area.</summary>
    GbaParties,

    /// <summary>The recipient passes data under a Greater Bay Area contract on to a place outside the area.</summary>
    GbaOnward,
}

/// <summary>A record that was refused. Neither message nor code repeats anything personal.</summary>
/// <param name="Index">Which record of the batch, from 0; blank lines do not count.</param>
/// <param name="Reason">Why.</param>
/// <param name="Message">The same for people, naming the property.</param>
public sealed record RecordRefusal(long Index, RefusalReason Reason, string Message)
{
    private static readonly string[] Codes = [.. Enum.GetNames<RefusalReason>().Select(Kebab)];

    /// <summary>The code in an answer, such as <c>unknown-exporter</c>.</summary>
    public string Code => CodeOf(Reason);

    /// <summary>The code of a reason.</summary>
    public static string CodeOf(RefusalReason reason) => Codes[(int)reason];

    /// <summary>The code of a record that the ledger did not take.</summary>
    public static string CodeOf(LedgerRefusal reason) => Kebab(reason.ToString());

    /// <summary>The same for people.</summary>
    public static string MessageOf(LedgerRefusal reason) => reason switch
    {
        LedgerRefusal.TooManyRecipients => "The exporter has as many recipients as can be counted apart (Transfers:RecipientLimit).",
        LedgerRefusal.TooManyLanes => "The exporter has as many lanes as can be counted apart (Transfers:LaneLimit).",
        LedgerRefusal.TooManyFacts => "The exporter has as many combinations of lane, recipient, exemption and class as can be counted apart (Transfers:FactLimit).",
        _ => "The ledger does not take the record.",
    };

    /// <summary>A name of ours as a code: <c>UnknownExporter</c> becomes <c>unknown-exporter</c>.</summary>
    internal static string Kebab(string name)
    {
        var text = new StringBuilder(name.Length + 8);
        foreach (var character in name)
        {
            if (char.IsAsciiLetterUpper(character) && text.Length > 0)
            {
                text.Append('-');
            }

            text.Append(char.ToLowerInvariant(character));
        }

        return text.ToString();
    }
}
