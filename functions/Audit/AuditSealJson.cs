using System.Text.Json.Serialization;

namespace DingFlow.Audit;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AuditSeal))]
[JsonSerializable(typeof(AuditAnchor))]
internal sealed partial class AuditSealJson : JsonSerializerContext;
