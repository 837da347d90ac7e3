using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>What a rehearsal showed.</summary>
public sealed record RehearsalReport
{
    /// <summary>Its id.</summary>
    public required string RehearsalId { get; init; }

    /// <summary>When it began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended.</summary>
    public required DateTimeOffset EndedAt { get; init; }

    /// <summary>The policy that was rehearsed: the one in force.</summary>
    public required string Policy { get; init; }

    /// <summary>SHA-256 of the policy.</summary>
    public required string PolicyHash { get; init; }

    /// <summary>Everybody is imaginary and in a directory of their own.</summary>
    public string Directory { get; init; } = "sandbox";

    /// <summary>The leavers.</summary>
    public required IReadOnlyList<RehearsedPerson> People { get; init; }

    /// <summary>The alerts that people would have got, by type.</summary>
    public required IReadOnlyDictionary<string, int> Alerts { get; init; }

    /// <summary>What reading the real tenants showed; empty when there are none.</summary>
    public required IReadOnlyList<LiveFinding> Live { get; init; }

    /// <summary>What the real tenants' licences and editions mean for the steps; empty when there are no real tenants.</summary>
    public required IReadOnlyList<LiveFinding> Licences { get; init; }

    /// <summary>How each step of the policy stands in each real tenant, by the permissions that it needs.</summary>
    public required IReadOnlyList<LiveStep> LiveSteps { get; init; }

    /// <summary>What the real tenants lack for this policy.</summary>
    public required IReadOnlyList<string> Lacks { get; init; }
}

/// <summary>One imaginary leaver.</summary>
public sealed record RehearsedPerson
{
    /// <summary>What is special: enterprise, ordinary, admin, synced, mainAdmin.</summary>
    public required string Kind { get; init; }

    /// <summary>The imaginary employee number.</summary>
    public required string EmployeeId { get; init; }

    /// <summary>How the case ended; <see langword="null"/>: there was none in time.</summary>
    public required CaseState? State { get; init; }

    /// <summary>The plan by which it went.</summary>
    public required string? Plan { get; init; }

    /// <summary>What a person would have had to know or do.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Every permission, before and after, and which step took it.</summary>
    public required IReadOnlyList<RehearsedPermission> Permissions { get; init; }

    /// <summary>The steps as the case has them.</summary>
    public required IReadOnlyList<CaseStep> Steps { get; init; }

    /// <summary>What happened in the directory, call by call, in order.</summary>
    public required IReadOnlyList<RehearsedChange> Changes { get; init; }
}

/// <summary>A permission as the directory had it, whatever the case says.</summary>
/// <param name="Permission">Which, such as <c>entra.group: VPN</c>.</param>
/// <param name="Before">Held before.</param>
/// <param name="After">Held after.</param>
/// <param name="LostBy">The step that took it.</param>
/// <param name="Why">Why it is still held.</param>
public sealed record RehearsedPermission(string Permission, bool Before, bool After, string? LostBy, string? Why);

/// <summary>One change in the directory.</summary>
/// <param name="Step">The step that made it.</param>
/// <param name="Call">The call, by the sandbox's name.</param>
/// <param name="Lost">The permissions that went.</param>
/// <param name="Gained">The permissions that came.</param>
public sealed record RehearsedChange(string? Step, string Call, IReadOnlyList<string> Lost, IReadOnlyList<string> Gained);

/// <summary>How a permission stands in a real tenant.</summary>
public enum LiveVerdict
{
    /// <summary>It is there.</summary>
    Granted,

    /// <summary>It is missing.</summary>
    Missing,

    /// <summary>Only a change would show it, and nothing is changed in a real tenant.</summary>
    NotProvable,

    /// <summary>The tenant could not be asked.</summary>
    Unreachable,
}

/// <summary>What a harmless reading of a real tenant showed.</summary>
/// <param name="System"><c>dingtalk/{tenant}</c> or <c>entra</c>.</param>
/// <param name="Permission">Which permission, or which edition.</param>
/// <param name="Steps">The steps that need it.</param>
/// <param name="Verdict">How it stands.</param>
/// <param name="Detail">What that rests on.</param>
public sealed record LiveFinding(string System, string Permission, IReadOnlyList<string> Steps, LiveVerdict Verdict, string Detail);

/// <summary>How a step stands in a real tenant.</summary>
/// <param name="Step">Which.</param>
/// <param name="System"><c>dingtalk/{tenant}</c> or <c>entra</c>.</param>
/// <param name="Verdict">The worst of what it needs.</param>
public sealed record LiveStep(string Step, string System, LiveVerdict Verdict);

/// <summary>Body of a rehearsal.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record RehearsalRequest
{
    /// <summary>How many leavers, 1 to 25; five when absent.</summary>
    public int? People { get; init; }

    /// <summary>As though this HR source reported them (its name, without <c>hr/</c>), for the choice of the plan.</summary>
    public string? Source { get; init; }

    /// <summary>DingTalk departments that they are in, for the choice of the plan.</summary>
    public IReadOnlyList<long>? Departments { get; init; }
}

/// <summary>JSON of rehearsals.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters =
    [
        typeof(WordConverter<CaseState>), typeof(WordConverter<StepOutcome>), typeof(WordConverter<ReadBack>), typeof(WordConverter<FreezeTarget>),
        typeof(WordConverter<ChangeState>), typeof(WordConverter<LiveVerdict>),
    ])]
[JsonSerializable(typeof(RehearsalReport))]
[JsonSerializable(typeof(RehearsalRequest))]
internal sealed partial class RehearsalJson : JsonSerializerContext;
