using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>The user resource of Microsoft Graph v1.0: which properties there are and how they are written.</summary>
internal static class GraphUserJson
{
    /// <summary>What Graph returns when nothing is selected; <c>accountEnabled</c> is not among it.</summary>
    private static readonly ImmutableArray<string> Default =
    [
        "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname",
        "userPrincipalName", "id",
    ];

    private static readonly FrozenDictionary<string, Func<SandboxPerson, SandboxEntraAccount, JsonNode?>> Known =
        new Dictionary<string, Func<SandboxPerson, SandboxEntraAccount, JsonNode?>>
        {
            ["id"] = static (_, account) => account.ObjectId,
            ["userPrincipalName"] = static (_, account) => Name(account),
            ["mail"] = static (_, account) => account.Mail,
            ["mailNickname"] = static (_, account) => account.UserPrincipalName.Split('@')[0],
            ["displayName"] = static (person, _) => person.Name,
            ["employeeId"] = static (_, account) => account.EmployeeId,
            ["accountEnabled"] = static (_, account) => account.AccountEnabled,
            ["userType"] = static (_, _) => "Member",
            ["createdDateTime"] = static (_, account) => Instant(account.CreatedAt),
            ["deletedDateTime"] = static (_, account) => account.DeletedAt is { } deleted ? Instant(deleted) : null,
            ["signInSessionsValidFromDateTime"] = static (_, account) => Instant(account.SessionsValidFrom),
            ["refreshTokensValidFromDateTime"] = static (_, account) => Instant(account.SessionsValidFrom),
            // Graph says null, not false, for an account that was never synchronised.
            ["onPremisesSyncEnabled"] = static (_, account) => account.OnPremisesSyncEnabled ? true : null,
            ["onPremisesImmutableId"] = static (_, account) =>
                account.OnPremisesSyncEnabled ? Convert.ToBase64String(Guid.Parse(account.ObjectId).ToByteArray()) : null,
            ["proxyAddresses"] = static (_, account) => new JsonArray([.. ProxyAddresses(account).Select(address => JsonValue.Create(address))]),
            ["businessPhones"] = static (_, _) => new JsonArray(),
            ["otherMails"] = static (_, _) => new JsonArray(),
            ["assignedLicenses"] = static (_, _) => new JsonArray(),
            ["licenseAssignmentStates"] = static (_, account) => GraphAccessApi.LicenseStates(account),
            ["mobilePhone"] = static (person, _) => person.Mobile,
        }
        .Concat(new[]
        {
            "ageGroup", "city", "companyName", "country", "department", "employeeHireDate", "employeeLeaveDateTime", "employeeType",
            "externalUserState", "givenName", "jobTitle", "lastPasswordChangeDateTime", "officeLocation", "onPremisesDistinguishedName",
            "onPremisesDomainName", "onPremisesLastSyncDateTime", "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
            "onPremisesUserPrincipalName", "passwordPolicies", "postalCode", "preferredLanguage", "state", "streetAddress", "surname",
            "usageLocation",
        }.Select(name => KeyValuePair.Create(name, (Func<SandboxPerson, SandboxEntraAccount, JsonNode?>)(static (_, _) => null))))
        .ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>The first name that is no property of a user, or <see langword="null"/>.</summary>
    public static string? FirstUnknown(IEnumerable<string> names) => names.FirstOrDefault(name => !Known.ContainsKey(name));

    /// <summary>Writes a user with the properties selected, or the default ones; <c>id</c> is always there.</summary>
    public static JsonObject Write(SandboxPerson person, ImmutableArray<string> select)
    {
        var account = person.Entra!;
        var user = new JsonObject();
        var names = select.IsDefaultOrEmpty ? Default : select;
        if (!select.IsDefaultOrEmpty && !select.Contains("id", StringComparer.OrdinalIgnoreCase))
        {
            user["id"] = account.ObjectId;
        }

        foreach (var name in names)
        {
            user[name] = Known[name](person, account);
        }

        if (account.DeletedAt is { } deleted)
        {
            user["deletedDateTime"] = Instant(deleted);
        }

        return user;
    }

    /// <summary>The text of a property that can be filtered; a list's elements each.</summary>
    public static IEnumerable<string> FilterValues(SandboxPerson person, string property)
    {
        var account = person.Entra!;
        return property.ToUpperInvariant() switch
        {
            "ID" => [account.ObjectId],
            "USERPRINCIPALNAME" => [Name(account)],
            "MAIL" => account.Mail is null ? [] : [account.Mail],
            "MAILNICKNAME" => [account.UserPrincipalName.Split('@')[0]],
            "DISPLAYNAME" => [person.Name],
            "EMPLOYEEID" => account.EmployeeId is null ? [] : [account.EmployeeId],
            "USERTYPE" => ["Member"],
            "ACCOUNTENABLED" => [account.AccountEnabled ? "true" : "false"],
            "ONPREMISESSYNCENABLED" => account.OnPremisesSyncEnabled ? ["true"] : [],
            "PROXYADDRESSES" => ProxyAddresses(account),
            "OTHERMAILS" => [],
            _ => throw new GraphFilterException($"Unsupported or invalid query filter clause specified for property '{property}' of resource 'User'."),
        };
    }

    public static string Instant(DateTimeOffset instant) =>
        instant.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    // A deleted user's name is freed by putting the object id before it.
    private static string Name(SandboxEntraAccount account) => account.DeletedAt is null
        ? account.UserPrincipalName
        : account.ObjectId.Replace("-", "", StringComparison.Ordinal) + account.UserPrincipalName;

    private static IEnumerable<string> ProxyAddresses(SandboxEntraAccount account) =>
        (account.Mail is null ? [] : (string[])["SMTP:" + account.Mail]).Concat(account.Aliases.Select(static alias => "smtp:" + alias));
}
