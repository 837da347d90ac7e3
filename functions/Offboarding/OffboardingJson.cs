using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Offboarding.Guards;

namespace DingFlow.Offboarding;

/// <summary>JSON of the cases, as stored and as the API shows them.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters =
    [
        typeof(CamelCaseEnum<CaseState>), typeof(CamelCaseEnum<CaseMode>), typeof(CamelCaseEnum<StepOutcome>), typeof(CamelCaseEnum<ReadBack>),
        typeof(CamelCaseEnum<FreezeTarget>), typeof(CamelCaseEnum<AccountStatus>), typeof(CamelCaseEnum<PersonEventKind>),
        typeof(CamelCaseEnum<QuarantineReason>),
        typeof(CamelCaseEnum<ChangeState>), typeof(CamelCaseEnum<PersonKind>),
    ])]
[JsonSerializable(typeof(OffboardingCase))]
[JsonSerializable(typeof(CaseView))]
[JsonSerializable(typeof(CaseListView))]
[JsonSerializable(typeof(CaseStateView))]
[JsonSerializable(typeof(CaseSearch))]
[JsonSerializable(typeof(CaseActionRequest))]
[JsonSerializable(typeof(QuarantineReleaseRequest))]
[JsonSerializable(typeof(QuarantineReleaseView))]
[JsonSerializable(typeof(ReleaseView))]
[JsonSerializable(typeof(StatisticsView))]
[JsonSerializable(typeof(PlanPolicyView))]
[JsonSerializable(typeof(DryRunView))]
[JsonSerializable(typeof(DryRunRequest))]
internal sealed partial class OffboardingJson : JsonSerializerContext;

/// <summary>Enums as camelCase text.</summary>
internal sealed class CamelCaseEnum<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    where T : struct, Enum;
