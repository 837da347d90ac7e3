using System.Text.Json;

namespace DingFlow.Scim;

/// <summary>Writes users as SCIM has them (RFC 7643 section 4.1).</summary>
internal static class ScimUserWriter
{
    /// <summary>The schemas of which a user has attributes.</summary>
    public static IReadOnlyList<string> SchemasOf(ScimUser user) =>
    [
        ScimSchemas.User,
        .. user.EmployeeNumber is null ? [] : (ReadOnlySpan<string>)[ScimSchemas.Enterprise],
        .. user.DingTalkUserId is null ? [] : (ReadOnlySpan<string>)[ScimSchemas.DingFlow],
    ];

    public static void Write(Utf8JsonWriter writer, StoredScimUser stored, string location, ScimSelection selection)
    {
        var user = stored.User;
        writer.WriteStartObject();
        ScimSchemas.Write(writer, [.. SchemasOf(user)]);
        writer.WriteString("id"u8, stored.Id);
        Text("externalId", ScimAttributes.ExternalId, user.ExternalId);
        Text("userName", ScimAttributes.UserName, user.UserName);
        if ((user.GivenName ?? user.FamilyName ?? user.FormattedName) is not null && selection.Wants(ScimAttributes.Name))
        {
            writer.WriteStartObject("name"u8);
            Text("formatted", ScimAttributes.FormattedName, user.FormattedName);
            Text("familyName", ScimAttributes.FamilyName, user.FamilyName);
            Text("givenName", ScimAttributes.GivenName, user.GivenName);
            writer.WriteEndObject();
        }

        Text("displayName", ScimAttributes.DisplayName, user.DisplayName);
        if (user.Emails.Count > 0 && selection.Wants(ScimAttributes.Emails))
        {
            WriteEmails(writer, user.Emails, selection);
        }

        if (selection.Wants(ScimAttributes.Active))
        {
            writer.WriteBoolean("active"u8, user.Active);
        }

        Extension(ScimSchemas.Enterprise, "employeeNumber", ScimAttributes.EmployeeNumber, user.EmployeeNumber);
        Extension(ScimSchemas.DingFlow, "dingTalkUserId", ScimAttributes.DingTalkUserId, user.DingTalkUserId);
        if (selection.Wants("meta"))
        {
            writer.WriteStartObject("meta"u8);
            writer.WriteString("resourceType"u8, "User"u8);
            writer.WriteString("created"u8, user.CreatedAt.UtcDateTime);
            writer.WriteString("lastModified"u8, user.ModifiedAt.UtcDateTime);
            writer.WriteString("location"u8, location);
            writer.WriteString("version"u8, ScimHttp.VersionOf(stored));
            writer.WriteEndObject();
        }

        writer.WriteEndObject();

        void Text(string name, string attribute, string? value)
        {
            if (value is not null && selection.Wants(attribute))
            {
                writer.WriteString(name, value);
            }
        }

        void Extension(string schema, string name, string attribute, string? value)
        {
            if (value is not null && selection.Wants(attribute))
            {
                writer.WriteStartObject(schema);
                writer.WriteString(name, value);
                writer.WriteEndObject();
            }
        }
    }

    private static void WriteEmails(Utf8JsonWriter writer, IReadOnlyList<ScimEmail> emails, ScimSelection selection)
    {
        writer.WriteStartArray("emails"u8);
        foreach (var email in emails)
        {
            writer.WriteStartObject();
            if (selection.Wants(ScimAttributes.EmailValue))
            {
                writer.WriteString("value"u8, email.Value);
            }

            if (email.Type is not null && selection.Wants(ScimAttributes.EmailType))
            {
                writer.WriteString("type"u8, email.Type);
            }

            if (email.Primary && selection.Wants(ScimAttributes.EmailPrimary))
            {
                writer.WriteBoolean("primary"u8, true);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
