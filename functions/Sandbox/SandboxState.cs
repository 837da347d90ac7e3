using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Sandbox;

/// <summary>All that the directory remembers.</summary>
internal sealed record SandboxState
{
    public const int CurrentVersion = 1;

    public required int Version { get; init; }

    public required ImmutableArray<SandboxPerson> People { get; init; }

    public required ImmutableArray<SandboxLeaveRecord> LeaveRecords { get; init; }

    public required ImmutableArray<SandboxFailedPush> FailedPushes { get; init; }
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    NumberHandling = JsonNumberHandling.Strict,
    PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(SandboxState))]
[JsonSerializable(typeof(SandboxPerson))]
[JsonSerializable(typeof(ImmutableArray<SandboxPerson>))]
[JsonSerializable(typeof(SandboxFault))]
[JsonSerializable(typeof(ImmutableArray<SandboxFault>))]
[JsonSerializable(typeof(ImmutableArray<SandboxJournalEntry>))]
[JsonSerializable(typeof(ImmutableArray<SandboxMessage>))]
[JsonSerializable(typeof(SandboxFailedPush))]
[JsonSerializable(typeof(SandboxThrottling))]
internal sealed partial class SandboxJson : JsonSerializerContext;
