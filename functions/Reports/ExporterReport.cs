using System.Text.Json.Serialization;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Reports;

/// <summary>
/// The numbers on an exporter and calendar year that a security assessment, a standard contract filing and an impact assessment ask for
/// (CAC Order 11 articles 5 and 8, Order 13 article 5). Persons are distinct natural persons; days are those of Asia/Shanghai.
/// </summary>
public sealed record ExporterReport
{
    /// <summary>When it was made.</summary>
    public required DateTimeOffset GeneratedAt { get; init; }

    /// <summary>The calendar year.</summary>
    public required int Year { get; init; }

    /// <summary>The first and the last day that it covers.</summary>
    public required ThresholdWindow Window { get; init; }

    /// <summary>Whose.</summary>
    public required ReportExporter Exporter { get; init; }

    /// <summary>Under which choices and versions it was counted.</summary>
    public required ReportBasis Basis { get; init; }

    /// <summary>How the exporter stood against every rule at the end of the window, the set in force first.</summary>
    public required Thresholds Standing { get; init; }

    /// <summary>Persons by kind of information.</summary>
    public required IReadOnlyList<ReportCount> Persons { get; init; }

    /// <summary>Persons by class of information, counted.</summary>
    public required IReadOnlyList<ReportCount> Classes { get; init; }

    /// <summary>Persons by exemption.</summary>
    public required IReadOnlyList<ReportCount> Exemptions { get; init; }

    /// <summary>Persons by recipient, counted and with exempt transfers.</summary>
    public required IReadOnlyList<ReportRecipient> Recipients { get; init; }

    /// <summary>Persons by country or territory of destination, counted.</summary>
    public required IReadOnlyList<ReportCount> Destinations { get; init; }

    /// <summary>What was transferred to whom and why, from the records that are kept.</summary>
    public required IReadOnlyList<ReportScenario> Scenarios { get; init; }

    /// <summary>The register's scenarios that held in the window or have records in it, with what was recorded on them and the persons counted.</summary>
    public required IReadOnlyList<ReportRegistered> Register { get; init; }

    /// <summary>Scenarios that records name and the register does not know, with the records of each.</summary>
    public required IReadOnlyDictionary<string, long> UnknownScenarios { get; init; }

    /// <summary>What the records say of consent and notice.</summary>
    public required ReportConsent Consent { get; init; }

    /// <summary>What filings ask for and nobody has recorded.</summary>
    public required IReadOnlyList<ReportGap> Missing { get; init; }

    /// <summary>The fields that were transferred.</summary>
    public required IReadOnlyList<ReportField> Fields { get; init; }

    /// <summary>Records of the year.</summary>
    public required long Records { get; init; }

    /// <summary>Records that a person should look at, by what is odd about them.</summary>
    public required IReadOnlyDictionary<string, long> Notices { get; init; }

    /// <summary>Counts from before DingFlow, which are in no number above.</summary>
    public required IReadOnlyList<OpeningBalance> OpeningBalances { get; init; }

    /// <summary>Where DingFlow itself runs, and the transfers that exist since it runs there; <see langword="null"/> while it runs at home.</summary>
    public required ReportInstance? Instance { get; init; }

    /// <summary>Incidents that were discovered in the year, the last reported first.</summary>
    public required IReadOnlyList<Incident> Incidents { get; init; }

    /// <summary>Where the main counters stood at the end of each day, from the first on which there was anything.</summary>
    public required IReadOnlyList<ReportDay> Days { get; init; }

    /// <summary>What each filing asks for, and where it stands in this report.</summary>
    public required IReadOnlyList<ReportFiling> Filings { get; init; }
}

/// <summary>The exporter as its settings say.</summary>
public sealed record ReportExporter(
    string Id, string? Name, string? CreditCode, bool Ciio, bool FreeTradeZone, bool ImportantData, long? ProcessedPersons, long? StoredFaces);

/// <summary>A DingFlow that runs abroad: what arrives in it has been exported, and is declared here and counted.</summary>
/// <param name="Region">Where it runs.</param>
/// <param name="Received">What arrives in it of the exporter.</param>
public sealed record ReportInstance(string Region, IReadOnlyList<ReportReceived> Received);

/// <summary>What arrives in a DingFlow abroad from one source.</summary>
/// <param name="Source"><c>dingtalk/{tenant}</c> or <c>hr/{source}</c>.</param>
/// <param name="Lane">From where to where.</param>
/// <param name="Recipient">Who receives it: DingFlow's operator.</param>
/// <param name="Purpose">What for.</param>
/// <param name="Fields">What is received of a person.</param>
public sealed record ReportReceived(string Source, string Lane, string Recipient, string Purpose, IReadOnlyList<string> Fields);

/// <summary>Under which choices and versions it was counted: what is unsettled in law is a setting, and the report names it.</summary>
/// <param name="Rules">The digest of all rules.</param>
/// <param name="Classification">The digest of the classification.</param>
/// <param name="Predicates">The digest of the counters' definitions.</param>
/// <param name="Profile">The profile of the classification.</param>
/// <param name="Overlap">How a person with both kinds of information counts.</param>
/// <param name="CountExempt">Exempt transfers count, where a setting says so.</param>
/// <param name="CountStatutoryDuty">Transfers under a statutory duty count.</param>
/// <param name="CountGbaContract">Transfers under a Greater Bay Area contract count.</param>
public sealed record ReportBasis(
    string Rules, string Classification, string Predicates, ClassificationProfile Profile, CountingOverlap Overlap, bool? CountExempt,
    bool CountStatutoryDuty, bool CountGbaContract)
{
    /// <summary>The counter of information that is not sensitive which the limits are compared with under these choices.</summary>
    internal string GeneralCounter => $"cn.{Counted}.{(Overlap == CountingOverlap.Exclusive ? "generalOnly" : "general")}";

    /// <summary>The same for sensitive information.</summary>
    internal string SensitiveCounter => $"cn.{Counted}.sensitive";

    private string Counted => CountExempt == true ? "all" : "counted";
}

/// <summary>Distinct persons of one kind.</summary>
/// <param name="Name">The counter's name, or the value that it is by.</param>
/// <param name="Persons">In the year, up to the end of the window.</param>
/// <param name="PreviousYearToDate">In the year before, up to the same day; <see langword="null"/> when that is not known.</param>
/// <param name="PreviousYear">In the whole year before.</param>
/// <param name="ExpectedYear">At the end of the year, if things go on as they do; <see langword="null"/> when that cannot be said.</param>
public sealed record ReportCount(string Name, long Persons, long? PreviousYearToDate, long PreviousYear, long? ExpectedYear);

/// <summary>A recipient.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its legal name; <see langword="null"/> for one that is not in the settings.</param>
/// <param name="Country">Where it is.</param>
/// <param name="City">Where it is registered.</param>
/// <param name="Onward">Where it stores the data or passes them on.</param>
/// <param name="Known">It is in the settings.</param>
/// <param name="Counted">Persons counted.</param>
/// <param name="WithExempt">Persons in all, by any lane.</param>
/// <param name="PreviousYearToDate">Persons counted in the year before, up to the same day; <see langword="null"/> when that is not known.</param>
/// <param name="PreviousYear">Persons counted in the year before.</param>
/// <param name="ExpectedYear">Persons counted at the end of the year, if things go on as they do; <see langword="null"/> when that cannot be said.</param>
public sealed record ReportRecipient(
    string Id, string? Name, string? Country, string? City, IReadOnlyList<string> Onward, bool Known, long Counted, long WithExempt, long? PreviousYearToDate,
    long PreviousYear, long? ExpectedYear);

/// <summary>Transfers for one purpose to one recipient along one lane.</summary>
public sealed record ReportScenario
{
    /// <summary>What for.</summary>
    public required string Purpose { get; init; }

    /// <summary>To whom.</summary>
    public required string Recipient { get; init; }

    /// <summary>From where to where, such as <c>CN-SG</c>.</summary>
    public required string Lane { get; init; }

    /// <summary>Distinct persons; <see langword="null"/> when there are more than are counted per scenario at once.</summary>
    public required long? Persons { get; init; }

    /// <summary>Distinct persons in the year before, up to the same day; <see langword="null"/> when there are too many.</summary>
    public long? PreviousYearToDate { get; init; }

    /// <summary>Distinct persons in the whole year before; <see langword="null"/> when there are too many.</summary>
    public long? PreviousYear { get; init; }

    /// <summary>Distinct persons at the end of the year, if things go on as they do; <see langword="null"/> when that cannot be said.</summary>
    public long? ExpectedYear { get; init; }

    /// <summary>Records.</summary>
    public required long Records { get; init; }

    /// <summary>The grounds that were named.</summary>
    public required IReadOnlyList<string> LegalBases { get; init; }

    /// <summary>The mechanisms that were named.</summary>
    public required IReadOnlyList<string> Mechanisms { get; init; }

    /// <summary>The exemptions that were claimed.</summary>
    public required IReadOnlyList<string> Exemptions { get; init; }

    /// <summary>How: push, sync, remote access …</summary>
    public required IReadOnlyList<string> Methods { get; init; }

    /// <summary>Out of which systems.</summary>
    public required IReadOnlyList<string> Systems { get; init; }

    /// <summary>The scenarios of the register to which its records belong; empty when there is none.</summary>
    public required IReadOnlyList<string> RegisteredAs { get; init; }

    /// <summary>The first transfer of the year.</summary>
    public required DateTimeOffset First { get; init; }

    /// <summary>The last.</summary>
    public required DateTimeOffset Last { get; init; }
}

/// <summary>A scenario of the register, as it held at the end of the window; where it was withdrawn by then, as it held last.</summary>
public sealed record ReportRegistered
{
    /// <summary>Its id.</summary>
    public required string Scenario { get; init; }

    /// <summary>The version that is shown.</summary>
    public required int Revision { get; init; }

    /// <summary>The first day on which that version holds.</summary>
    public required DateOnly InForceFrom { get; init; }

    /// <summary>When it was recorded.</summary>
    public required DateTimeOffset RecordedAt { get; init; }

    /// <summary>Who recorded it.</summary>
    public required string RecordedBy { get; init; }

    /// <summary>Since when it is withdrawn; <see langword="null"/> while it is not.</summary>
    public DateOnly? WithdrawnFrom { get; init; }

    /// <summary>What was recorded; what is <see langword="null"/> in it was not.</summary>
    public required ScenarioTerms Terms { get; init; }

    /// <summary>The versions that held in the window, in the order of time.</summary>
    public required IReadOnlyList<ReportPeriod> Periods { get; init; }

    /// <summary>Distinct persons by kind of information, class, exemption, recipient and country, by the ledger's definitions; <see langword="null"/> when there are too many.</summary>
    public required IReadOnlyList<ReportCount>? Persons { get; init; }

    /// <summary>Records of the year.</summary>
    public required long Records { get; init; }

    /// <summary>Those of them on whose day it was not in force.</summary>
    public required long RecordsOutsideForce { get; init; }

    /// <summary>The recipients that the records name.</summary>
    public required IReadOnlyList<string> Recipients { get; init; }

    /// <summary>What the mechanism covers; <see langword="null"/> when no number is recorded.</summary>
    public required ReportScope? Scope { get; init; }

    /// <summary>Every onward recipient is in a city of the Greater Bay Area, in Hong Kong or in Macau; <see langword="null"/> when that is not recorded of all.</summary>
    public required bool? OnwardInsideGreaterBay { get; init; }

    /// <summary>What is otherwise at the end of the window than when the mechanism was first in force; it may have to be filed anew.</summary>
    public required IReadOnlyList<ScenarioChange> ChangedSinceFiling { get; init; }

    /// <summary>What filings ask for and is not recorded.</summary>
    public required IReadOnlyList<ScenarioGap> Missing { get; init; }
}

/// <summary>A version while it held.</summary>
/// <param name="Revision">Which.</param>
/// <param name="From">The first day within the window.</param>
/// <param name="To">The last.</param>
/// <param name="Withdrawn">The scenario was withdrawn on these days.</param>
public sealed record ReportPeriod(int Revision, DateOnly From, DateOnly To, bool Withdrawn);

/// <summary>Approved persons against counted ones.</summary>
/// <param name="ApprovedPersons">Distinct persons that the mechanism covers at most.</param>
/// <param name="Window">Over what time they count.</param>
/// <param name="From">The first day.</param>
/// <param name="To">The last.</param>
/// <param name="Persons">Distinct persons in transfers under the mechanism; <see langword="null"/> when there are too many.</param>
/// <param name="Complete">Every record of these days is kept; otherwise the number is the least that there can be.</param>
/// <param name="Exceeded">There are more than approved; <see langword="null"/> when that cannot be said.</param>
public sealed record ReportScope(long ApprovedPersons, ScopeWindow Window, DateOnly From, DateOnly To, long? Persons, bool Complete, bool? Exceeded);

/// <summary>Records, and the distinct persons in them.</summary>
/// <param name="Records">Records.</param>
/// <param name="Persons">Distinct persons; <see langword="null"/> when there are too many.</param>
public sealed record ReportTally(long Records, long? Persons);

/// <summary>What the records of the year say of consent and notice. A person counts wherever at least one record says so.</summary>
/// <param name="OnConsent">Records whose legal basis is consent.</param>
/// <param name="WithEvidence">Records that name evidence of consent, whatever their legal basis.</param>
/// <param name="Separate">Records that say that consent was given separately.</param>
/// <param name="WithoutEvidence">Records whose legal basis is consent and that name no evidence.</param>
/// <param name="PersonsWithoutAny">Distinct persons in records whose legal basis is consent, none of whose records names evidence; <see langword="null"/> when there are too many.</param>
/// <param name="NotSeparate">Records whose legal basis is consent and that do not say that it was given separately.</param>
/// <param name="AfterTransfer">Records whose consent was given after the transfer.</param>
/// <param name="Notices">By the version of the notice.</param>
public sealed record ReportConsent(
    ReportTally OnConsent, ReportTally WithEvidence, ReportTally Separate, ReportTally WithoutEvidence, long? PersonsWithoutAny, ReportTally NotSeparate,
    ReportTally AfterTransfer, IReadOnlyList<ReportNotice> Notices);

/// <summary>What was transferred under a version of the notice.</summary>
/// <param name="Version">The version.</param>
/// <param name="Records">Records.</param>
/// <param name="Persons">Distinct persons; <see langword="null"/> when there are too many.</param>
public sealed record ReportNotice(string Version, long Records, long? Persons);

/// <summary>What filings ask for on one thing and nobody has recorded.</summary>
/// <param name="On"><c>exporter</c>, <c>recipient</c>, <c>scenario</c>, or <c>transfers</c> for transfers that belong to no scenario of the register.</param>
/// <param name="Name">Which one.</param>
/// <param name="Lacks">What is not recorded.</param>
public sealed record ReportGap(string On, string Name, IReadOnlyList<string> Lacks);

/// <summary>A field that was transferred.</summary>
/// <param name="Name">Its name, as sent.</param>
/// <param name="Class">Its class under the profile; <see langword="null"/> when it is not personal.</param>
/// <param name="Sensitive">It is sensitive under the profile.</param>
/// <param name="Records">Records that held it.</param>
public sealed record ReportField(string Name, string? Class, bool Sensitive, long Records);

/// <summary>Where the main counters stood at the end of a day.</summary>
/// <param name="Day">The day.</param>
/// <param name="General">Persons with information that is not sensitive, as the settings count them.</param>
/// <param name="Sensitive">Persons with sensitive information, as the settings count them.</param>
public sealed record ReportDay(DateOnly Day, long General, long Sensitive);

/// <summary>What a filing asks for.</summary>
/// <param name="Filing"><c>securityAssessment</c>, <c>standardContract</c> or <c>impactAssessment</c>.</param>
/// <param name="Items">Its items, in the order of the law.</param>
public sealed record ReportFiling(string Filing, IReadOnlyList<ReportFilingItem> Items);

/// <summary>An item of a filing.</summary>
/// <param name="Item">What is asked for.</param>
/// <param name="Source">Law and article.</param>
/// <param name="Answer">The part of this report that answers it; <see langword="null"/> when a person has to write it.</param>
public sealed record ReportFilingItem(string Item, string Source, string? Answer);

/// <summary>JSON of the reports.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    Converters =
    [
        typeof(WordConverter<ClassificationProfile>), typeof(WordConverter<CountingOverlap>), typeof(WordConverter<RecipientRole>),
        typeof(WordConverter<MechanismKind>), typeof(WordConverter<ScopeWindow>), typeof(WordConverter<ScenarioGap>),
        typeof(WordConverter<ScenarioChange>),
    ])]
[JsonSerializable(typeof(ExporterReport))]
internal sealed partial class ReportJson : JsonSerializerContext;
