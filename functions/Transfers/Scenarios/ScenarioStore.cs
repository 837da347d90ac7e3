using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Transfers;

/// <summary>How recording something on a scenario ended.</summary>
public enum ScenarioOutcome
{
    /// <summary>It is recorded.</summary>
    Recorded,

    /// <summary>Somebody else changed the register meanwhile.</summary>
    Overtaken,

    /// <summary>Another scenario has the same recipient and purpose: nobody could say to which a record belongs.</summary>
    Taken,

    /// <summary>The register is full (<see cref="ScenarioStore.MostScenarios"/>, <see cref="ScenarioStore.MostVersions"/>).</summary>
    Full,
}

/// <summary>The scenarios of an exporter, as they stood together.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Scenarios">All of them, by id.</param>
public sealed record ScenarioRegister(string Exporter, IReadOnlyList<Scenario> Scenarios)
{
    /// <summary>The version under which it was read; <see langword="null"/> when nothing was ever recorded.</summary>
    internal string? ETag { get; init; }

    /// <summary>The scenario of an id.</summary>
    public Scenario? Find(string id) => Scenarios.FirstOrDefault(scenario => scenario.Id.Equals(id, StringComparison.Ordinal));
}

/// <summary>
/// The register of scenarios. Table <c>TransferScenarios</c>: partition exporter, <c>h</c> the head, <c>v|{scenario}|{revision}</c> what was
/// recorded. Rows of versions are never changed. The head's version is the condition of every change, so what is checked against the whole
/// register holds when it is written; each change leaves an audit entry in its transaction.
/// </summary>
public sealed class ScenarioStore(IEntityStore store, IAuditTrail trail)
{
    /// <summary>Scenarios that one exporter may have, the withdrawn among them.</summary>
    public const int MostScenarios = 200;

    /// <summary>Versions that one exporter may have, over all scenarios.</summary>
    public const int MostVersions = 2_000;

    private const string Table = "TransferScenarios";
    private const string Head = "h";
    private const string VersionPrefix = "v|";
    private const int PageSize = 200;
    private const int Schema = 1;

    /// <summary>The register as it stands.</summary>
    public async Task<ScenarioRegister> ReadAsync(string exporter, CancellationToken cancellationToken)
    {
        // The head first: what is read after it is at least as new, and a change in between makes a later write fail.
        var head = await store.GetAsync(Table, exporter, Head, cancellationToken);
        if (head is null)
        {
            return new(exporter, []);
        }

        List<(string Id, ScenarioVersion Version)> versions = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, exporter, RowKeyRange.StartingWith(VersionPrefix), PageSize, continuation, cancellationToken);
            versions.AddRange(page.Entities.Select(static row => (row.Properties.Require<string>("Scenario"), Read(row))));
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return new(exporter, [.. versions.GroupBy(static version => version.Id, StringComparer.Ordinal).OrderBy(static group => group.Key, StringComparer.Ordinal)
            .Select(group => new Scenario(exporter, group.Key, [.. group.Select(static version => version.Version).OrderBy(static version => version.Revision)]))])
        {
            ETag = head.ETag,
        };
    }

    /// <summary>Records a version of a scenario and says so in the audit trail, both or neither.</summary>
    /// <param name="register">The register as it was read.</param>
    /// <param name="id">The scenario.</param>
    /// <param name="version">What is recorded; its revision follows the last.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<ScenarioOutcome> RecordAsync(ScenarioRegister register, string id, ScenarioVersion version, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(register);
        ArgumentNullException.ThrowIfNull(version);
        var (known, versions) = (register.Find(id), register.Scenarios.Sum(static scenario => scenario.Versions.Count));
        if ((known is null && register.Scenarios.Count >= MostScenarios) || versions >= MostVersions)
        {
            return ScenarioOutcome.Full;
        }

        if (!version.Withdrawn && register.Scenarios.Any(other => other.Id != id && Claims(other, version)))
        {
            return ScenarioOutcome.Taken;
        }

        var row = new Entity(register.Exporter, string.Create(CultureInfo.InvariantCulture, $"{VersionPrefix}{id}|{version.Revision:D6}"));
        var content = JsonSerializer.SerializeToUtf8Bytes(version, ScenarioJson.Default.ScenarioVersion);
        row.Properties["Schema"] = Schema;
        row.Properties["Scenario"] = id;
        row.Properties["Version"] = content;
        var head = new Entity(register.Exporter, Head);
        head.Properties["Schema"] = Schema;
        head.Properties["Versions"] = versions + 1;
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(Table,
            [
                register.ETag is null ? EntityOperation.Insert(head) : EntityOperation.Replace(head, register.ETag),
                EntityOperation.Insert(row),
            ]),
            [ScenarioAudit.Of(register.Exporter, id, known?.Latest, version, PayloadHash.Of(content))], cancellationToken);
        return result.Committed ? ScenarioOutcome.Recorded : ScenarioOutcome.Overtaken;
    }

    /// <summary>The other scenario has the same recipient and purpose on a day on which the version would hold.</summary>
    private static bool Claims(Scenario other, ScenarioVersion version) =>
        other.Periods(version.InForceFrom, DateOnly.MaxValue).Any(period => !period.Version.Withdrawn
            && period.Version.Terms.Recipient.Equals(version.Terms.Recipient, StringComparison.Ordinal)
            && period.Version.Terms.Purpose.Equals(version.Terms.Purpose, StringComparison.Ordinal));

    private static ScenarioVersion Read(Entity row) =>
        JsonSerializer.Deserialize(row.Properties.Require<byte[]>("Version"), ScenarioJson.Default.ScenarioVersion)
        ?? throw new InvalidDataException("A stored version of a scenario is empty.");
}

/// <summary>What the audit trail says of scenarios: what was recorded, and what it takes the place of.</summary>
internal static class ScenarioAudit
{
    private const string NotRecorded = "–";

    public static AuditKind Recorded { get; } =
        new("transfers.scenario_recorded", AuditRetention.Legal, "A person recorded what filings ask on a scenario, or corrected it.");

    public static AuditKind Withdrawn { get; } =
        new("transfers.scenario_withdrawn", AuditRetention.Legal, "A person withdrew a scenario: nothing is transferred under it any more.");

    public static AuditEvent Of(string exporter, string scenario, ScenarioVersion? before, ScenarioVersion after, PayloadHash payload) => new()
    {
        Kind = after.Withdrawn ? Withdrawn : Recorded,
        Actor = AuditActor.Principal(after.RecordedBy),
        Payload = payload,
        On = new("scenario", $"{exporter}/{scenario}"),
        Exporter = exporter,
        Reason = after.Reason,
        Details = Changes(before, after),
    };

    /// <summary>Each value that is another, as <c>before → after</c>. How somebody is reached may name a person: that it changed is enough.</summary>
    private static Dictionary<string, string> Changes(ScenarioVersion? before, ScenarioVersion after)
    {
        var details = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["revision"] = Text(after.Revision), ["inForceFrom"] = Text(after.InForceFrom),
        };
        var was = before is null ? [] : Values(before).ToDictionary(static value => value.Name, static value => value.Value, StringComparer.Ordinal);
        foreach (var (name, value) in Values(after))
        {
            var old = was.GetValueOrDefault(name, NotRecorded);
            if (!old.Equals(value, StringComparison.Ordinal))
            {
                details[name] = $"{old} → {value}";
            }
        }

        if (before?.Terms.RecipientContact != after.Terms.RecipientContact)
        {
            details["recipientContact"] = "changed";
        }

        return details;
    }

    private static IEnumerable<(string Name, string Value)> Values(ScenarioVersion version)
    {
        var terms = version.Terms;
        yield return ("recipient", terms.Recipient);
        yield return ("purpose", terms.Purpose);
        yield return ("description", terms.Description ?? NotRecorded);
        yield return ("recipientRole", Text(terms.RecipientRole));
        yield return ("recipientSystem", terms.RecipientSystem ?? NotRecorded);
        yield return ("dataCentre", terms.DataCentre ?? NotRecorded);
        yield return ("onwardRecipients", terms.OnwardRecipients is { } onward ? string.Join("; ", onward.Select(static one => $"{one.Name} ({one.Place ?? NotRecorded})")) : NotRecorded);
        yield return ("startDate", Text(terms.StartDate));
        yield return ("frequency", terms.Frequency ?? NotRecorded);
        yield return ("retentionAbroad", terms.RetentionAbroad ?? NotRecorded);
        yield return ("deletionProof", terms.DeletionProof ?? NotRecorded);
        yield return ("noticeVersion", terms.NoticeVersion ?? NotRecorded);
        yield return ("mechanism", $"{Text(terms.Mechanism?.Kind)} {terms.Mechanism?.Number ?? NotRecorded}");
        yield return ("mechanismValidFrom", Text(terms.Mechanism?.ValidFrom));
        yield return ("mechanismValidTo", Text(terms.Mechanism?.ValidTo));
        yield return ("approvedPersons", $"{Text(terms.Mechanism?.ApprovedPersons)} {Text(terms.Mechanism?.ScopeWindow)}");
        yield return ("assessment", $"{terms.Assessment?.Id ?? NotRecorded} {Text(terms.Assessment?.Date)}");
        yield return ("assessmentConclusion", terms.Assessment?.Conclusion ?? NotRecorded);
        yield return ("assessmentNextReview", Text(terms.Assessment?.NextReview));
        yield return ("assessmentKeepUntil", Text(terms.Assessment?.KeepUntil));
        yield return ("expectedPersons", $"{Text(terms.Expected?.Year)}: {Text(terms.Expected?.Persons)}");
    }

    private static string Text(object? value) => value switch
    {
        null => NotRecorded,
        DateOnly day => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        Enum word => JsonNamingPolicy.CamelCase.ConvertName(word.ToString()),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? NotRecorded,
    };
}

/// <summary>JSON of scenarios, stored and shown.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    Converters =
    [
        typeof(WordConverter<RecipientRole>), typeof(WordConverter<MechanismKind>), typeof(WordConverter<ScopeWindow>), typeof(WordConverter<ScenarioGap>),
        typeof(WordConverter<ScenarioChange>),
        typeof(WordConverter<ScenarioState>),
    ])]
[JsonSerializable(typeof(ScenarioVersion))]
[JsonSerializable(typeof(ScenarioRequest))]
[JsonSerializable(typeof(WithdrawScenarioRequest))]
[JsonSerializable(typeof(ScenarioView))]
[JsonSerializable(typeof(ScenarioList))]
internal sealed partial class ScenarioJson : JsonSerializerContext;
