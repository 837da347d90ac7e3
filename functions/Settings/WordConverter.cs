using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Settings;

/// <summary>The members of an enumeration in JSON as the words of <see cref="Words"/>: <c>needsHuman</c>. Numbers are refused.</summary>
internal sealed class WordConverter<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    where T : struct, Enum;
