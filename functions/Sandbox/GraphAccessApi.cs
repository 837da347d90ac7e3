using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// The calls of Microsoft Graph v1.0 that concern what a user may do: groups, directory roles, roles in applications, licences, devices,
/// owned objects. Paths, fields and refusals as in learn.microsoft.com/graph.
/// </summary>
internal static class GraphAccessApi
{
    private static readonly ImmutableArray<string> OwnedTypes = ["group", "application", "servicePrincipal"];

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        GraphApi.About("users.groups", "GET", "users/{}/memberOf/microsoft.graph.group", Groups),
        GraphApi.Operation(SandboxOperations.GraphRemoveMember, "DELETE", "groups/{}/members/{}/$ref", call => ChangeMember(call, Second(call), add: false)) with { Person = Second },
        GraphApi.Operation(SandboxOperations.GraphAddMember, "POST", "groups/{}/members/$ref", call => ChangeMember(call, Referred(call), add: true)) with { Person = Referred },
        GraphApi.Operation("roleAssignments.list", "GET", "roleManagement/directory/roleAssignments", ListRoles) with { Person = PrincipalOfFilter },
        GraphApi.Operation("directoryAudits.list", "GET", "auditLogs/directoryAudits", ListRoleChanges),
        GraphApi.Operation("roleAssignments.create", "POST", "roleManagement/directory/roleAssignments", CreateRole) with { Person = Principal },
        GraphApi.Operation("roleAssignments.delete", "DELETE", "roleManagement/directory/roleAssignments/{}", DeleteRole) with { Person = HolderOfRole },
        GraphApi.About("appRoleAssignments.list", "GET", "users/{}/appRoleAssignments", ListAppRoles),
        GraphApi.About("appRoleAssignments.create", "POST", "users/{}/appRoleAssignments", CreateAppRole),
        GraphApi.About("appRoleAssignments.delete", "DELETE", "users/{}/appRoleAssignments/{}", DeleteAppRole),
        GraphApi.About("users.licenses", "GET", "users/{}/licenseDetails", ListLicenses),
        GraphApi.About(SandboxOperations.GraphAssignLicense, "POST", "users/{}/assignLicense", AssignLicense),
        GraphApi.About("users.registeredDevices", "GET", "users/{}/registeredDevices/microsoft.graph.device", ListDevices),
        GraphApi.Operation("devices.update", "PATCH", "devices/{}", UpdateDevice) with { Person = HolderOfDevice },
        GraphApi.About("users.ownedObjects", "GET", "users/{}/ownedObjects", ListOwned),
        GraphApi.About("users.manager", "GET", "users/{}/manager", Manager),
        .. OwnedTypes.Select(type => GraphApi.Operation("owners.list", "GET", $"{type}s/{{}}/owners", call => ListOwners(call, type))),
        .. OwnedTypes.Select(type => GraphApi.Operation("owners.add", "POST", $"{type}s/{{}}/owners/$ref", call => ChangeOwner(call, type, Referred(call), add: true)) with { Person = Referred }),
        .. OwnedTypes.Select(type => GraphApi.Operation("owners.remove", "DELETE", $"{type}s/{{}}/owners/{{}}/$ref", call => ChangeOwner(call, type, Second(call), add: false)) with { Person = Second }),
        GraphApi.Operation("groups.list", "GET", "groups", call => Collection(call, [])),
        GraphApi.Operation("devices.list", "GET", "devices", call => Collection(call, [])),
        GraphApi.Operation("applications.list", "GET", "applications", call => Collection(call, [])),
        GraphApi.Operation("servicePrincipals.list", "GET", "servicePrincipals", call => Collection(call, [])),
        GraphApi.Operation("subscribedSkus.list", "GET", "subscribedSkus", call => Collection(call, [Subscription("AAD_PREMIUM", "AAD_PREMIUM"), Subscription("ENTERPRISEPACK", "EXCHANGE_S_ENTERPRISE")])),
    ];

    private static SandboxAnswer Groups(SandboxCall call, SandboxPerson person) => Collection(call, person.Entra!.Groups.Select(name =>
    {
        var kind = SandboxSeed.KindOfGroup(name);
        return new JsonObject
        {
            ["id"] = GraphApi.IdOf(name),
            ["displayName"] = name,
            ["groupTypes"] = kind == SandboxGroupKind.Dynamic ? new JsonArray("DynamicMembership") : new JsonArray(),
            ["membershipRule"] = kind == SandboxGroupKind.Dynamic ? "user.accountEnabled -eq true" : null,
            ["onPremisesSyncEnabled"] = kind == SandboxGroupKind.OnPremises ? true : null,
            ["mailEnabled"] = kind == SandboxGroupKind.Distribution,
            ["securityEnabled"] = kind != SandboxGroupKind.Distribution,
            ["isAssignableToRole"] = kind == SandboxGroupKind.RoleAssignable,
        };
    }));

    private static SandboxAnswer ChangeMember(SandboxCall call, SandboxPerson? person, bool add)
    {
        var name = NameOf(call, call.Segments[0]);
        if (person is null || (!add && !person.Entra!.Groups.Contains(name)))
        {
            return GraphApi.NotFound(call.World, call.Segments[^1]);
        }

        if (SandboxSeed.KindOfGroup(name) is SandboxGroupKind.Dynamic or SandboxGroupKind.OnPremises or SandboxGroupKind.Distribution)
        {
            return Bad(call, "Cannot Update a mail-enabled security groups and or distribution list, a dynamic group or one mastered on-premises.");
        }

        if (add && person.Entra!.Groups.Contains(name))
        {
            return Bad(call, "One or more added object references already exist for the following modified properties: 'members'.");
        }

        call.Mutate(person, before => Remembering(before, name).WithEntra(account => account with
        {
            Groups = add ? account.Groups.Add(name) : account.Groups.Remove(name),
        }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer ListRoles(SandboxCall call) => PrincipalOfFilter(call) is { } person
        ? Collection(call, person.Entra!.DirectoryRoles.Select(role => RoleAssignment(person, role)))
        : call.Text("$filter") is { Length: > 0 } ? Collection(call, [])
        : Collection(call, call.Directory.People.Where(static one => one.Entra is not null).SelectMany(static one => one.Entra!.DirectoryRoles.Select(role => RoleAssignment(one, role))));

    private static SandboxAnswer ListRoleChanges(SandboxCall call) => Collection(call, call.Directory.RoleChanges
        .Where(change => call.Text("$filter") is not { } filter || filter.Split(" ge ") is not [_, var since]
            || !DateTimeOffset.TryParse(since, System.Globalization.CultureInfo.InvariantCulture, out var from) || change.At >= from)
        .Select(static change => new JsonObject
        {
            ["id"] = change.Id,
            ["category"] = "RoleManagement",
            ["activityDisplayName"] = change.Added ? "Add member to role" : "Remove member from role",
            ["activityDateTime"] = change.At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", System.Globalization.CultureInfo.InvariantCulture),
            ["initiatedBy"] = new JsonObject { ["user"] = null, ["app"] = new JsonObject { ["displayName"] = "sandbox app", ["servicePrincipalId"] = change.By } },
            ["targetResources"] = new JsonArray(new JsonObject
            {
                ["id"] = change.ObjectId,
                ["type"] = "User",
                ["modifiedProperties"] = new JsonArray(new JsonObject { ["displayName"] = "Role.DisplayName", ["newValue"] = $"\"{change.Role}\"" }),
            }),
        }));

    private static JsonObject RoleAssignment(SandboxPerson person, string role) => new()
    {
        ["id"] = AssignmentId(person, role),
        ["principalId"] = person.Entra!.ObjectId,
        ["roleDefinitionId"] = GraphApi.IdOf(role),
        ["directoryScopeId"] = "/",
        ["roleDefinition"] = new JsonObject { ["id"] = GraphApi.IdOf(role), ["displayName"] = role },
    };

    private static SandboxAnswer CreateRole(SandboxCall call)
    {
        if (Principal(call) is not { } person || Body(call, "roleDefinitionId") is not { } definition)
        {
            return Bad(call, "Invalid principal or role definition.");
        }

        var role = NameOf(call, definition);
        if (person.Entra!.DirectoryRoles.Contains(role))
        {
            return Bad(call, "A conflicting object with one or more of the specified property values is present in the directory.");
        }

        call.Mutate(person, before => before.WithEntra(account => account with { DirectoryRoles = account.DirectoryRoles.Add(role) }));
        call.Directory.Note(new(call.World.RequestId.ToString(), call.World.Now, person.Entra!.ObjectId, role, Added: true, GraphApi.IdOf("sandbox app")));
        return SandboxAnswer.Json(201, RoleAssignment(person, role));
    }

    private static SandboxAnswer DeleteRole(SandboxCall call)
    {
        if (HolderOfRole(call) is not { } person)
        {
            return GraphApi.NotFound(call.World, call.Segments[0]);
        }

        var role = person.Entra!.DirectoryRoles.First(held => AssignmentId(person, held) == call.Segments[0]);
        call.Mutate(person, before => Remembering(before, role).WithEntra(account => account with { DirectoryRoles = account.DirectoryRoles.Remove(role) }));
        call.Directory.Note(new(call.World.RequestId.ToString(), call.World.Now, person.Entra!.ObjectId, role, Added: false, GraphApi.IdOf("sandbox app")));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer ListAppRoles(SandboxCall call, SandboxPerson person) =>
        Collection(call, person.Entra!.AppRoles.Select(role => AppRoleAssignment(person, role)));

    private static JsonObject AppRoleAssignment(SandboxPerson person, SandboxAppRole role) => new()
    {
        ["id"] = AppRoleId(person, role),
        ["appRoleId"] = GraphApi.IdOf(role.Role),
        ["principalId"] = role.Group is null ? person.Entra!.ObjectId : GraphApi.IdOf(role.Group),
        ["principalType"] = role.Group is null ? "User" : "Group",
        ["principalDisplayName"] = role.Group ?? person.Name,
        ["resourceId"] = GraphApi.IdOf(role.Application),
        ["resourceDisplayName"] = role.Application,
    };

    private static SandboxAnswer CreateAppRole(SandboxCall call, SandboxPerson person)
    {
        var known = new SandboxAppRole(NameOf(call, Body(call, "resourceId") ?? ""), NameOf(call, Body(call, "appRoleId") ?? ""));
        if (person.Entra!.AppRoles.Contains(known))
        {
            return Bad(call, "Permission being assigned already exists on the object");
        }

        call.Mutate(person, before => before.WithEntra(account => account with { AppRoles = account.AppRoles.Add(known) }));
        return SandboxAnswer.Json(201, AppRoleAssignment(person, known));
    }

    private static SandboxAnswer DeleteAppRole(SandboxCall call, SandboxPerson person)
    {
        if (person.Entra!.AppRoles.FirstOrDefault(role => AppRoleId(person, role) == call.Segments[1]) is not { } held)
        {
            return GraphApi.NotFound(call.World, call.Segments[1]);
        }

        if (held.Group is not null)
        {
            return Bad(call, "The assignment belongs to a group.");
        }

        call.Mutate(person, before => Remembering(before, held.Application, held.Role).WithEntra(account => account with { AppRoles = account.AppRoles.Remove(held) }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer ListLicenses(SandboxCall call, SandboxPerson person) =>
        Collection(call, person.Entra!.Licenses.Select(license => new JsonObject { ["skuId"] = GraphApi.IdOf(license.Sku), ["skuPartNumber"] = license.Sku }));

    private static JsonObject Subscription(string sku, string plan) => new()
    {
        ["skuId"] = GraphApi.IdOf(sku), ["skuPartNumber"] = sku, ["capabilityStatus"] = "Enabled", ["consumedUnits"] = 20,
        ["prepaidUnits"] = new JsonObject { ["enabled"] = 25, ["suspended"] = 0, ["warning"] = 0 },
        ["servicePlans"] = new JsonArray(new JsonObject { ["servicePlanName"] = plan, ["provisioningStatus"] = "Success", ["appliesTo"] = "User" }),
    };

    /// <summary>What <c>licenseAssignmentStates</c> of a user shows.</summary>
    public static JsonArray LicenseStates(SandboxEntraAccount account) => new([.. account.Licenses.Select(license => new JsonObject
    {
        ["skuId"] = GraphApi.IdOf(license.Sku),
        ["assignedByGroup"] = license.Group is null ? null : GraphApi.IdOf(license.Group),
        ["disabledPlans"] = new JsonArray([.. license.DisabledPlans.Select(plan => JsonValue.Create(GraphApi.IdOf(plan)))]),
        ["state"] = "Active",
    })]);

    private static SandboxAnswer AssignLicense(SandboxCall call, SandboxPerson person)
    {
        if (call.Body?["addLicenses"] is not JsonArray added || call.Body["removeLicenses"] is not JsonArray removed)
        {
            return Bad(call, "Both addLicenses and removeLicenses must be given.");
        }

        var licenses = person.Entra!.Licenses;
        var gone = new List<string>();
        foreach (var sku in removed.Select(item => (string?)item))
        {
            if (licenses.FirstOrDefault(license => license.Group is null && GraphApi.IdOf(license.Sku) == sku) is not { } held)
            {
                return Bad(call, "User does not have a corresponding license.");
            }

            gone.AddRange([held.Sku, .. held.DisabledPlans]);
            licenses = licenses.Remove(held);
        }

        foreach (var item in added)
        {
            var license = new SandboxLicense(NameOf(call, (string?)item?["skuId"] ?? ""))
            {
                DisabledPlans = item?["disabledPlans"] is JsonArray plans ? [.. plans.Select(plan => NameOf(call, (string?)plan ?? ""))] : [],
            };
            licenses = licenses.RemoveAll(held => held.Group is null && held.Sku == license.Sku).Add(license);
        }

        call.Mutate(person, before => Remembering(before, [.. gone]).WithEntra(account => account with { Licenses = licenses }));
        return SandboxAnswer.Json(200, new() { ["id"] = person.Entra.ObjectId });
    }

    private static SandboxAnswer ListDevices(SandboxCall call, SandboxPerson person) => Collection(call, person.Entra!.Devices.Select(device => new JsonObject
    {
        ["id"] = GraphApi.IdOf(device.Name),
        ["displayName"] = device.Name,
        ["accountEnabled"] = device.Enabled,
        ["onPremisesSyncEnabled"] = device.OnPremises ? true : null,
    }));

    private static SandboxAnswer UpdateDevice(SandboxCall call)
    {
        if (HolderOfDevice(call) is not { } person || call.Body?["accountEnabled"]?.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
        {
            return GraphApi.NotFound(call.World, call.Segments[0]);
        }

        var enabled = (bool)call.Body["accountEnabled"]!;
        call.Mutate(person, before => before.WithEntra(account => account with
        {
            Devices = [.. account.Devices.Select(device => GraphApi.IdOf(device.Name) == call.Segments[0] ? device with { Enabled = enabled } : device)],
        }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer ListOwned(SandboxCall call, SandboxPerson person) => Collection(call, person.Entra!.Owns.Select(owned => new JsonObject
    {
        ["@odata.type"] = $"#microsoft.graph.{owned.Split('/')[0]}", ["id"] = GraphApi.IdOf(owned), ["displayName"] = owned.Split('/', 2)[1],
    }));

    private static SandboxAnswer ListOwners(SandboxCall call, string type) => Collection(call, call.Directory.People
        .Where(person => person.Entra is { DeletedAt: null } account && account.Owns.Any(owned => Is(owned, type, call.Segments[0])))
        .Select(person => new JsonObject { ["@odata.type"] = "#microsoft.graph.user", ["id"] = person.Entra!.ObjectId }));

    private static SandboxAnswer ChangeOwner(SandboxCall call, string type, SandboxPerson? person, bool add)
    {
        var owned = call.Directory.People.SelectMany(other => other.Entra?.Owns ?? []).FirstOrDefault(owned => Is(owned, type, call.Segments[0]));
        if (person is null || owned is null || (!add && !person.Entra!.Owns.Contains(owned)))
        {
            return GraphApi.NotFound(call.World, call.Segments[^1]);
        }

        if (add && person.Entra!.Owns.Contains(owned))
        {
            return Bad(call, "One or more added object references already exist for the following modified properties: 'owners'.");
        }

        if (!add && type == "group" && call.Directory.People.Count(other => other.Entra?.Owns.Contains(owned) == true) == 1)
        {
            return Bad(call, "The group must have at least one owner, hence this owner cannot be removed.");
        }

        call.Mutate(person, before => before.WithEntra(account => account with { Owns = add ? account.Owns.Add(owned) : account.Owns.Remove(owned) }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer Manager(SandboxCall call, SandboxPerson person) =>
        person.Entra!.ManagerId is { } id && call.Directory.FindInEntra(id) is { Entra.DeletedAt: null }
            ? SandboxAnswer.Json(200, new() { ["@odata.type"] = "#microsoft.graph.user", ["id"] = id })
            : GraphApi.NotFound(call.World, "manager");

    /// <summary>The name of something by its id; what nobody ever held is named by its id.</summary>
    private static string NameOf(SandboxCall call, string id) =>
        call.Directory.People.SelectMany(Names).FirstOrDefault(name => GraphApi.IdOf(name) == id) ?? id;

    private static IEnumerable<string> Names(SandboxPerson person) => person.Entra is not { } account ? person.Once :
    [
        .. account.Groups, .. account.DirectoryRoles, .. account.AppRoles.SelectMany(role => (string[])[role.Application, role.Role]),
        .. account.Licenses.SelectMany(license => (string[])[license.Sku, .. license.DisabledPlans]), .. account.Owns, .. person.Once,
    ];

    private static SandboxPerson Remembering(SandboxPerson person, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            person = person.Once.Contains(name) ? person : person with { Once = person.Once.Add(name) };
        }

        return person;
    }

    private static bool Is(string owned, string type, string id) => owned.StartsWith(type + "/", StringComparison.Ordinal) && GraphApi.IdOf(owned) == id;

    private static SandboxPerson? Second(SandboxCall call) => Live(call, call.Segments[1]);

    private static SandboxPerson? Referred(SandboxCall call) => Body(call, "@odata.id") is { } address ? Live(call, address.Split('/')[^1]) : null;

    private static SandboxPerson? Principal(SandboxCall call) => Body(call, "principalId") is { } id ? Live(call, id) : null;

    private static SandboxPerson? PrincipalOfFilter(SandboxCall call) =>
        call.Query["$filter"].ToString().Split('\'') is ["principalId eq ", var id, ""] ? Live(call, id) : null;

    private static SandboxPerson? HolderOfRole(SandboxCall call) => call.Directory.People.FirstOrDefault(person =>
        person.Entra?.DirectoryRoles.Any(role => AssignmentId(person, role) == call.Segments[0]) == true);

    private static SandboxPerson? HolderOfDevice(SandboxCall call) => call.Directory.People.FirstOrDefault(person =>
        person.Entra?.Devices.Any(device => GraphApi.IdOf(device.Name) == call.Segments[0]) == true);

    private static SandboxPerson? Live(SandboxCall call, string id) => call.Directory.FindInEntra(id) is { Entra.DeletedAt: null } person ? person : null;

    private static string AssignmentId(SandboxPerson person, string role) => GraphApi.IdOf($"assignment/{person.EmployeeId}/{role}");

    private static string AppRoleId(SandboxPerson person, SandboxAppRole role) =>
        GraphApi.IdOf($"appRole/{person.EmployeeId}/{role.Application}/{role.Role}/{role.Group}");

    private static SandboxAnswer Bad(SandboxCall call, string message) => GraphApi.Error(call.World, 400, "Request_BadRequest", message);

    private static SandboxAnswer Collection(SandboxCall call, IEnumerable<JsonObject> items) => SandboxAnswer.Json(200, new()
    {
        ["@odata.context"] = $"{call.BaseAddress}/v1.0/$metadata#collection", ["value"] = new JsonArray([.. items]),
    });

    private static string? Body(SandboxCall call, string name) =>
        call.Body?[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
}
