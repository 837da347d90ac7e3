using System.Buffers.Text;
using System.Text.Json;
using Azure.Core;
using DingFlow.Remote;
using Microsoft.Graph.Models;
using Microsoft.Graph.Models.ODataErrors;
using Microsoft.Graph.Users.Item.AssignLicense;
using Microsoft.Kiota.Abstractions;
using Microsoft.Kiota.Abstractions.Serialization;

namespace DingFlow.Entra;

/// <summary>
/// The calls about what a user holds. They are built from the addresses that Graph documents and Microsoft's models: the library's own
/// builders cast with aliases, and loading them all would cost more than they give.
/// </summary>
internal sealed partial class GraphCalls
{
    private const string GroupRead = "GroupMember.Read.All";
    private static readonly Dictionary<string, ParsableFactory<IParsable>> Errors = new() { ["XXX"] = ODataError.CreateFromDiscriminatorValue };

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListGroupsAsync(string id, CancellationToken cancellationToken) => ListAsync(
        "users.groups", [GroupRead],
        $"users/{Uri.EscapeDataString(id)}/memberOf/microsoft.graph.group?$top=500&$select=id,displayName,groupTypes,membershipRule,onPremisesSyncEnabled,mailEnabled,securityEnabled,isAssignableToRole",
        static group => Text(group, "id") is { } groupId ? new(groupId, Text(group, "displayName"))
        {
            NotOurs = Texts(group, "groupTypes").Contains("DynamicMembership") || Text(group, "membershipRule") is not null ? "the members follow a rule of the directory"
                : Flag(group, "onPremisesSyncEnabled") ? "the group is mastered on-premises"
                : Flag(group, "mailEnabled") && !Texts(group, "groupTypes").Contains("Unified") ? "the list is managed in Exchange"
                : null,
        } : null,
        cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListDirectoryRolesAsync(string id, CancellationToken cancellationToken) => ListAsync(
        "roleAssignments.list", ["RoleManagement.Read.Directory"],
        $"roleManagement/directory/roleAssignments?$filter={Uri.EscapeDataString($"principalId eq '{id}'")}&$expand=roleDefinition($select=id,displayName)",
        static role => Text(role, "id") is { } assignmentId && Text(role, "roleDefinitionId") is { } definition
            ? new(assignmentId, role.TryGetProperty("roleDefinition", out var named) ? Text(named, "displayName") : null)
            {
                Data = new Dictionary<string, string> { ["definition"] = definition, ["scope"] = Text(role, "directoryScopeId") ?? "/" },
            }
            : null,
        cancellationToken);

    public Task<RemoteResult> AddDirectoryRoleAsync(string id, string roleDefinitionId, string scope, CancellationToken cancellationToken) => ChangeAsync(
        "roleAssignments.create", ["RoleManagement.ReadWrite.Directory"], Method.POST, "roleManagement/directory/roleAssignments",
        () => new UnifiedRoleAssignment { PrincipalId = id, RoleDefinitionId = roleDefinitionId, DirectoryScopeId = scope }, cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListAppRolesAsync(string id, CancellationToken cancellationToken) => ListAsync(
        "appRoleAssignments.list", ["Directory.Read.All"], $"users/{Uri.EscapeDataString(id)}/appRoleAssignments?$top=500",
        static role => Text(role, "id") is { } assignmentId && Text(role, "resourceId") is { } resource && Text(role, "appRoleId") is { } appRole
            ? new(assignmentId, Text(role, "resourceDisplayName"))
            {
                NotOurs = Text(role, "principalType") is "Group" ? "it comes through a group" : null,
                Data = new Dictionary<string, string> { ["resource"] = resource, ["role"] = appRole },
            }
            : null,
        cancellationToken);

    public Task<RemoteResult> AddAppRoleAsync(string id, string resourceId, string appRoleId, CancellationToken cancellationToken) => ChangeAsync(
        "appRoleAssignments.create", ["AppRoleAssignment.ReadWrite.All"], Method.POST, $"users/{Uri.EscapeDataString(id)}/appRoleAssignments",
        () => new AppRoleAssignment { PrincipalId = Guid.Parse(id), ResourceId = Guid.Parse(resourceId), AppRoleId = Guid.Parse(appRoleId) }, cancellationToken);

    public async Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListLicensesAsync(string id, CancellationToken cancellationToken)
    {
        var user = await OneAsync(
            "users.licenses", [ReadPermission], $"users/{Uri.EscapeDataString(id)}?$select=id,licenseAssignmentStates", cancellationToken);
        return user.IsOk
            ? new(RemoteStatus.Ok, [.. Items(user.Value!.Root, "licenseAssignmentStates").Select(static state => Text(state, "skuId") is { } sku
                ? new EntraHolding(sku, null)
                {
                    NotOurs = Text(state, "assignedByGroup") is not null ? "it comes through a group" : null,
                    Data = new Dictionary<string, string> { ["disabledPlans"] = string.Join(',', Texts(state, "disabledPlans")) },
                }
                : null).OfType<EntraHolding>()]) { RequestId = user.RequestId }
            : RemoteResult<IReadOnlyList<EntraHolding>>.From(user);
    }

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListSubscriptionsAsync(CancellationToken cancellationToken) => ListAsync(
        "subscribedSkus.list", ["LicenseAssignment.Read.All"], "subscribedSkus?$select=skuId,skuPartNumber,capabilityStatus,prepaidUnits,consumedUnits,servicePlans",
        static sku => Text(sku, "skuId") is { } id ? new(id, Text(sku, "skuPartNumber"))
        {
            Data = new Dictionary<string, string>
            {
                ["status"] = Text(sku, "capabilityStatus") ?? "",
                ["enabled"] = sku.TryGetProperty("prepaidUnits", out var units) ? Count(units, "enabled") : "0",
                ["consumed"] = Count(sku, "consumedUnits"),
                ["plans"] = string.Join(',', Items(sku, "servicePlans").Select(static plan => Text(plan, "servicePlanName")).OfType<string>()),
            },
        } : null,
        cancellationToken);

    private static string Count(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.TryGetInt32(out var count)
            ? count.ToString(System.Globalization.CultureInfo.InvariantCulture)
            : "0";

    public Task<RemoteResult> AssignLicenseAsync(
        string id, string? add, string? remove, IReadOnlyList<string> disabledPlans, CancellationToken cancellationToken) => ChangeAsync(
        "users.assignLicense", ["LicenseAssignment.ReadWrite.All"], Method.POST, $"users/{Uri.EscapeDataString(id)}/assignLicense",
        () => new AssignLicensePostRequestBody
        {
            AddLicenses = add is null ? [] : [new AssignedLicense { SkuId = Guid.Parse(add), DisabledPlans = [.. disabledPlans.Select(plan => (Guid?)Guid.Parse(plan))] }],
            RemoveLicenses = remove is null ? [] : [Guid.Parse(remove)],
        },
        cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListDevicesAsync(string id, CancellationToken cancellationToken) => ListAsync(
        "users.registeredDevices", ["Device.Read.All"], $"users/{Uri.EscapeDataString(id)}/registeredDevices/microsoft.graph.device?$select=id,accountEnabled,onPremisesSyncEnabled",

        // Silence is not proof of being disabled. A device's name is often its user's: it is not taken along.
        static device => Text(device, "id") is { } deviceId && !(device.TryGetProperty("accountEnabled", out var enabled) && enabled.ValueKind == JsonValueKind.False)
            ? new(deviceId, null) { NotOurs = Flag(device, "onPremisesSyncEnabled") ? "the device is mastered on-premises" : null }
            : null,
        cancellationToken);

    public Task<RemoteResult> SetDeviceEnabledAsync(string deviceId, bool enabled, CancellationToken cancellationToken) => ChangeAsync(
        "devices.update", ["Device.ReadWrite.All"], Method.PATCH, $"devices/{Uri.EscapeDataString(deviceId)}", () => new Device { AccountEnabled = enabled }, cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListOwnedAsync(string id, CancellationToken cancellationToken) => ListAsync(
        "users.ownedObjects", ["Directory.Read.All"], $"users/{Uri.EscapeDataString(id)}/ownedObjects?$select=id,displayName",
        static owned => Text(owned, "id") is { } ownedId && Text(owned, "@odata.type") is { } type && type.Replace("#microsoft.graph.", "", StringComparison.Ordinal) is var kind
            ? new(ownedId, Text(owned, "displayName"))
            {
                NotOurs = kind is "group" or "application" or "servicePrincipal" ? null : "an object of this kind has no owners that can be changed here",
                Data = new Dictionary<string, string> { ["type"] = kind },
            }
            : null,
        cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListOwnersAsync(
        string collection, string objectId, IReadOnlyList<string> permissions, CancellationToken cancellationToken) => ListAsync(
        "owners.list", permissions, $"{collection}/{objectId}/owners?$select=id",
        static owner => Text(owner, "id") is { } ownerId ? new(ownerId, null) : null, cancellationToken);

    public async Task<RemoteResult<string?>> FindManagerAsync(string id, CancellationToken cancellationToken)
    {
        var manager = await OneAsync(
            "users.manager", [ReadPermission], $"users/{Uri.EscapeDataString(id)}/manager?$select=id", cancellationToken);
        return manager.IsOk ? new(RemoteStatus.Ok, Text(manager.Value!.Root, "id")) { RequestId = manager.RequestId }
            : manager.Status == RemoteStatus.NotFound ? new(RemoteStatus.Ok, null) { RequestId = manager.RequestId }
            : RemoteResult<string?>.From(manager);
    }

    public Task<RemoteResult> DeleteAsync(string operation, IReadOnlyList<string> permissions, string path, CancellationToken cancellationToken) =>
        ChangeAsync(operation, permissions, Method.DELETE, path, null, cancellationToken);

    /// <summary>Adds a reference to a directory object.</summary>
    public Task<RemoteResult> ReferAsync(string operation, IReadOnlyList<string> permissions, string path, string objectId, CancellationToken cancellationToken) => ChangeAsync(
        operation, permissions, Method.POST, path, () => new ReferenceCreate { OdataId = Address($"directoryObjects/{Uri.EscapeDataString(objectId)}") }, cancellationToken);

    public async Task<RemoteResult> ProbeAsync(string path, string permission, CancellationToken cancellationToken) => Plain(await OneAsync(
        "probe", [permission], path, cancellationToken));

    public async Task<RemoteResult<IReadOnlyList<string>?>> GrantedPermissionsAsync(CancellationToken cancellationToken)
    {
        if (_credential is not { } source)
        {
            return new(RemoteStatus.Ok, null);
        }

        var result = await _pipeline.ExecuteAsync("token", CallKind.Repeatable, async token =>
        {
            try
            {
                var access = await source.GetTokenAsync(new TokenRequestContext([_scope]), token);
                return new(new RemoteResult<IReadOnlyList<string>?>(RemoteStatus.Ok, RolesOf(access.Token)), true);
            }
            catch (Exception exception) when (GraphErrors.TryRead(exception, new GraphExchange(), [], out var failed))
            {
                return failed;
            }
        }, cancellationToken);
        return result as RemoteResult<IReadOnlyList<string>?> ?? RemoteResult<IReadOnlyList<string>?>.From(result);
    }

    /// <summary>The claim <c>roles</c> of a token that was issued to us; it is read, not trusted: nothing is decided by it.</summary>
    private static List<string>? RolesOf(string token)
    {
        if (token.Split('.') is not [_, var payload, _] || !Base64Url.IsValid(payload))
        {
            return null;
        }

        try
        {
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(payload));
            return claims.RootElement.ValueKind == JsonValueKind.Object ? Texts(claims.RootElement, "roles") : null;
        }
        catch (JsonException)
        {
            return null; // Not a token of a kind that can be read.
        }
    }

    private string Address(string path) => $"{_baseUrl.AbsoluteUri.TrimEnd('/')}/{path}";

    private static RequestInformation Request(Method method, string address, GraphExchange exchange)
    {
        var request = new RequestInformation { HttpMethod = method, URI = new Uri(address) };
        request.Headers.Add("Accept", "application/json");
        request.AddRequestOptions([exchange]);
        return request;
    }

    private async Task<RemoteResult> ChangeAsync(
        string operation, IReadOnlyList<string> permissions, Method method, string path, Func<IParsable>? body, CancellationToken cancellationToken) => Plain(
        await CallAsync(operation, permissions, async (exchange, token) =>
        {
            var request = Request(method, Address(path), exchange);
            if (body is not null)
            {
                // A model is written once: the library's backing store then takes it for unchanged, and a repetition would send nothing.
                request.SetContentFromParsable(_graph.RequestAdapter, "application/json", body());
            }

            await _graph.RequestAdapter.SendNoContentAsync(request, Errors, token);
            return Done.Value;
        }, cancellationToken));

    /// <summary>Reads one object as JSON: what the models do not know is not lost.</summary>
    private Task<RemoteResult<Answer>> OneAsync(
        string operation, IReadOnlyList<string> permissions, string path, CancellationToken cancellationToken) => CallAsync(operation, permissions, (exchange, token) => JsonAsync(Request(Method.GET, Address(path), exchange), token), cancellationToken);

    private Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListAsync(
        string operation, IReadOnlyList<string> permissions, string path, Func<JsonElement, EntraHolding?> read, CancellationToken cancellationToken) => CallAsync<IReadOnlyList<EntraHolding>>(operation, permissions, async (exchange, token) =>
        {
            var holdings = new List<EntraHolding>();
            var address = Address(path);
            for (var pages = 0; pages < MaxPages; pages++)
            {
                if (await JsonAsync(Request(Method.GET, address, exchange), token) is not { } page || page.Root.ValueKind != JsonValueKind.Object
                    || !page.Root.TryGetProperty("value", out var value) || value.ValueKind != JsonValueKind.Array)
                {
                    return null;
                }

                holdings.AddRange(value.EnumerateArray().Select(read).OfType<EntraHolding>());
                if (Text(page.Root, "@odata.nextLink") is not { } link)
                {
                    return holdings;
                }

                // The address of the next page comes from the answer: nowhere but to Graph itself.
                if (!Uri.TryCreate(link, UriKind.Absolute, out var next)
                    || Uri.Compare(next, _baseUrl, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) != 0)
                {
                    return null;
                }

                address = link;
            }

            return null;
        }, cancellationToken);

    private async Task<Answer?> JsonAsync(RequestInformation request, CancellationToken cancellationToken)
    {
        await using var stream = await _graph.RequestAdapter.SendPrimitiveAsync<Stream>(request, Errors, cancellationToken);
        if (stream is null)
        {
            return null;
        }

        try
        {
            using var document = await JsonDocument.ParseAsync(stream, cancellationToken: cancellationToken);
            return new(document.RootElement.Clone());
        }
        catch (JsonException)
        {
            return null; // An answer without sense is none.
        }
    }

    private static string? Text(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static bool Flag(JsonElement parent, string name) => parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    private static JsonElement.ArrayEnumerator Items(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : default;

    private static List<string> Texts(JsonElement parent, string name) =>
        [.. Items(parent, name).Where(static item => item.ValueKind == JsonValueKind.String).Select(static item => item.GetString()!)];

    private sealed record Answer(JsonElement Root);
}
