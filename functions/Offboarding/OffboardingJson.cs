using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Offboarding.Guards;
using DingFlow.Settings;

namespace DingFlow.Offboarding;

/// <summary>JSON of the cases, as stored and as the API shows them.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters =
    [
        typeof(WordConverter<CaseState>), typeof(WordConverter<CaseMode>), typeof(WordConverter<StepOutcome>), typeof(WordConverter<ReadBack>),
        typeof(WordConverter<FreezeTarget>), typeof(WordConverter<AccountStatus>), typeof(WordConverter<PersonEventKind>),
        typeof(WordConverter<QuarantineReason>),
        typeof(WordConverter<ChangeState>), typeof(WordConverter<PersonKind>),
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
