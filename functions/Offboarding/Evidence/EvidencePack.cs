using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Evidence;

/// <summary>What can be shown of one case to somebody who does not trust us: all of it, and a hash that the reader recomputes.</summary>
public sealed record EvidencePack
{
    /// <summary>The version of this form.</summary>
    public string Format { get; init; } = "dingflow-evidence-1";

    /// <summary>When the pack was made.</summary>
    public required DateTimeOffset MadeAt { get; init; }

    /// <summary>Which program made it.</summary>
    public required string MadeBy { get; init; }

    /// <summary>Over what and how the hash is made, and its value.</summary>
    public required EvidenceHash Hash { get; init; }

    /// <summary>The evidence itself.</summary>
    public required EvidenceContent Evidence { get; init; }

    /// <summary>Makes the pack of a case as it is now.</summary>
    public static EvidencePack Of(OffboardingCase @case, TimeSpan target, DateTimeOffset now)
    {
        var content = EvidenceContent.Of(@case, target);
        var element = JsonSerializer.SerializeToElement(content, EvidenceJson.Default.EvidenceContent);
        return new()
        {
            MadeAt = now,
            MadeBy = $"DingFlow {typeof(EvidencePack).Assembly.GetName().Version?.ToString(3)}",
            Hash = new(Convert.ToHexStringLower(SHA256.HashData(CanonicalJson.Bytes(element)))),
            Evidence = content,
        };
    }
}

/// <summary>A hash over the member <c>evidence</c>.</summary>
/// <param name="Value">Lower-case hex.</param>
public sealed record EvidenceHash(string Value)
{
    /// <summary>The algorithm.</summary>
    public string Algorithm { get; init; } = "SHA-256";

    /// <summary>What it is over.</summary>
    public string Over { get; init; } = "the member evidence in the canonical form of RFC 8785 (jq -cSj .evidence | sha256sum)";
}

/// <summary>The evidence of a case. Numbers are whole, so that the canonical form has no doubt.</summary>
public sealed record EvidenceContent
{
    /// <inheritdoc cref="OffboardingCase.CaseId"/>
    public required string CaseId { get; init; }

    /// <inheritdoc cref="OffboardingCase.EmployeeId"/>
    public required string? EmployeeId { get; init; }

    /// <inheritdoc cref="OffboardingCase.State"/>
    public required CaseState State { get; init; }

    /// <inheritdoc cref="OffboardingCase.Mode"/>
    public required CaseMode Mode { get; init; }

    /// <summary>The case that this one became part of.</summary>
    public required string? MergedInto { get; init; }

    /// <summary>Who said so, when, and by which key that was verified.</summary>
    public required IReadOnlyList<EvidenceWord> Told { get; init; }

    /// <summary>The plan by which it went.</summary>
    public required CasePlan? Plan { get; init; }

    /// <summary>The accounts as they were found, before anything was changed.</summary>
    public required IReadOnlyList<CaseAccount> Snapshot { get; init; }

    /// <summary>What was done, with what was taken, the remote's request ids and what reading back showed.</summary>
    public required IReadOnlyList<CaseStep> Steps { get; init; }

    /// <summary>What was given back.</summary>
    public required CaseUndo? Undo { get; init; }

    /// <summary>What operators did, who released the brake included.</summary>
    public required IReadOnlyList<CaseAction> Actions { get; init; }

    /// <summary>The clock.</summary>
    public required EvidenceClock Clock { get; init; }

    /// <summary>What a person must know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>The evidence of a case as it is now.</summary>
    public static EvidenceContent Of(OffboardingCase c, TimeSpan target) => new()
    {
        CaseId = c.CaseId,
        EmployeeId = c.EmployeeId,
        State = c.State,
        Mode = c.Mode,
        MergedInto = c.MergedInto,
        Told = [.. c.Signals.Select(EvidenceWord.Of)],
        Plan = c.Plan,
        Snapshot = c.Accounts,
        Steps = c.Steps,
        Undo = c.Undo,
        Actions = [.. c.Actions.Concat(c.Consents.Select(consent => new CaseAction(consent.At, consent.By, "consent to release", consent.Reason))).OrderBy(a => a.At)],
        Clock = EvidenceClock.Of(c, target),
        Notes = c.Notes,
    };
}

/// <summary>One event that the case heard.</summary>
/// <param name="Source">Who said so.</param>
/// <param name="Kind">What.</param>
/// <param name="OccurredAt">When it happened at the sender.</param>
/// <param name="ReceivedAt">When it was accepted.</param>
/// <param name="DeliveryId">The delivery.</param>
/// <param name="Item">Its place in the delivery.</param>
/// <param name="BodySha256">SHA-256 of the delivery's body.</param>
/// <param name="Signature">How the sender was known; <see langword="null"/> when DingFlow itself spoke.</param>
public sealed record EvidenceWord(
    string Source, Messaging.PersonEventKind Kind, DateTimeOffset? OccurredAt, DateTimeOffset ReceivedAt, string DeliveryId, int Item, string? BodySha256,
    EvidenceSignature? Signature)
{
    internal static EvidenceWord Of(CaseSignal signal) => new(
        signal.Source, signal.Kind, signal.OccurredAt, signal.ReceivedAt, signal.DeliveryId, signal.Item, signal.BodyHash,
        signal.Source.Split('/')[0] is "hr" or "dingtalk" or "signals" && signal.BodyHash is not null ? new(true, signal.VerifiedBy) : null);
}

/// <summary>Nothing gets into the inbox unless its signature, or the key of its sender, was verified first.</summary>
/// <param name="Verified">It was.</param>
/// <param name="Key">By which of the source's keys, from 0.</param>
public sealed record EvidenceSignature(bool Verified, int Key);

/// <summary>The clock of a case.</summary>
public sealed record EvidenceClock
{
    /// <summary>When the first word was accepted.</summary>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>The effective date, when it lay ahead.</summary>
    public required DateTimeOffset? EffectiveAt { get; init; }

    /// <summary>When work began.</summary>
    public required DateTimeOffset? StartedAt { get; init; }

    /// <summary>When everything was read back as frozen.</summary>
    public required DateTimeOffset? VerifiedAt { get; init; }

    /// <summary>When it was read back once more.</summary>
    public required DateTimeOffset? RecheckedAt { get; init; }

    /// <summary>When it should have been verified at the latest.</summary>
    public required DateTimeOffset DueAt { get; init; }

    /// <summary>The target of the person's plan, in milliseconds.</summary>
    public required long TargetMilliseconds { get; init; }

    /// <summary>From the receipt (or the effective date) to verified, in milliseconds.</summary>
    public required long? MillisecondsToVerified { get; init; }

    /// <summary>It was verified in time; <see langword="null"/> while it is not verified.</summary>
    public required bool? WithinTarget { get; init; }

    internal static EvidenceClock Of(OffboardingCase c, TimeSpan target) => new()
    {
        ReceivedAt = c.ReceivedAt,
        EffectiveAt = c.ScheduledFor,
        StartedAt = c.StartedAt,
        VerifiedAt = c.VerifiedAt,
        RecheckedAt = c.RecheckedAt,
        DueAt = c.DueAt,
        TargetMilliseconds = (long)target.TotalMilliseconds,
        MillisecondsToVerified = c.SecondsToVerified is { } seconds ? (long)Math.Round(seconds * 1000) : null,
        WithinTarget = c.VerifiedAt is null ? null : !c.IsBreached,
    };
}

/// <summary>JSON of the evidence.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters =
    [
        typeof(WordConverter<CaseState>), typeof(WordConverter<CaseMode>), typeof(WordConverter<StepOutcome>), typeof(WordConverter<ReadBack>),
        typeof(WordConverter<FreezeTarget>), typeof(WordConverter<AccountStatus>), typeof(WordConverter<Messaging.PersonEventKind>),
        typeof(WordConverter<ChangeState>),
    ])]
[JsonSerializable(typeof(EvidencePack))]
[JsonSerializable(typeof(EvidenceContent))]
internal sealed partial class EvidenceJson : JsonSerializerContext;
