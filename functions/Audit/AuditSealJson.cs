using System.Text.Json.Serialization;

namespace DingFlow.Audit;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AuditSeal))]
[JsonSerializable(typeof(AuditAnchor))]
[JsonSerializable(typeof(AuditHeads))]
internal sealed partial class AuditSealJson : JsonSerializerContext;
