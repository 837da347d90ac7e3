using System.Text.Json;

namespace DingFlow.Scim;

/// <summary>The names of SCIM's schemas and messages (RFC 7643 section 10, RFC 7644 section 8).</summary>
internal static class ScimSchemas
{
    public const string User = "urn:ietf:params:scim:schemas:core:2.0:User";
    public const string Enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    /// <summary>Ours, for what only DingTalk knows. Microsoft Entra maps to extensions of this form only.</summary>
    public const string DingFlow = "urn:ietf:params:scim:schemas:extension:dingflow:2.0:User";

    public const string Schema = "urn:ietf:params:scim:schemas:core:2.0:Schema";
    public const string ResourceType = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
    public const string ServiceProviderConfig = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
    public const string ListResponse = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
    public const string Error = "urn:ietf:params:scim:api:messages:2.0:Error";

    /// <summary>Writes the property <c>schemas</c>.</summary>
    public static void Write(Utf8JsonWriter writer, params ReadOnlySpan<string> schemas)
    {
        writer.WriteStartArray("schemas"u8);
        foreach (var schema in schemas)
        {
            writer.WriteStringValue(schema);
        }

        writer.WriteEndArray();
    }
}
