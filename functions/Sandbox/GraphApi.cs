using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// Users of Microsoft Graph v1.0: paths, fields, OData errors and paging as in learn.microsoft.com/graph. Any bearer, or none, is let in:
/// the sandbox is reached with the credential <c>none</c>.
/// </summary>
internal static class GraphApi
{
    private const int DefaultPage = 100;
    private const int MaximumPage = 999;

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        Operation(SandboxOperations.GraphUsers, "GET", "users", call => List(call, deleted: false)) with { Person = PersonOfFilter },
        About(SandboxOperations.GraphUser, "GET", "users/{}", Get),
        About(SandboxOperations.GraphUpdate, "PATCH", "users/{}", Update),
        About(SandboxOperations.GraphDelete, "DELETE", "users/{}", Delete),
        About(SandboxOperations.GraphRevoke, "POST", "users/{}/revokeSignInSessions", Revoke),
        About(SandboxOperations.GraphRevoke, "POST", "users/{}/microsoft.graph.revokeSignInSessions", Revoke),
        About("users.memberOf", "GET", "users/{}/memberOf", MemberOf),
        About("users.memberOf", "GET", "users/{}/transitiveMemberOf", MemberOf),
        DeletedUsers("directory/deletedItems/microsoft.graph.user"),
        DeletedUsers("directory/deletedItems/graph.user"), // The same cast by its alias, as Microsoft's client library writes it.
        AboutDeleted("deletedItems.get", "GET", "directory/deletedItems/{}", Get),
        AboutDeleted("deletedItems.get", "GET", "directory/deletedItems/{}/microsoft.graph.user", Get),
        AboutDeleted("deletedItems.restore", "POST", "directory/deletedItems/{}/restore", Restore),
        .. SandboxChannels.Graph,
        .. GraphAccessApi.Operations,
    ];

    private static SandboxOperation DeletedUsers(string path) =>
        Operation(SandboxOperations.GraphDeletedUsers, "GET", path, call => List(call, deleted: true)) with { Person = PersonOfFilter };

    /// <summary>An OData error body.</summary>
    public static SandboxAnswer Error(SandboxWorld world, int status, string code, string message) => SandboxAnswer.Json(
        status,
        new()
        {
            ["error"] = new JsonObject
            {
                ["code"] = code,
                ["message"] = message,
                ["innerError"] = new JsonObject
                {
                    ["date"] = world.Now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture),
                    ["request-id"] = world.RequestId.ToString(),
                    ["client-request-id"] = world.ClientRequestId,
                },
            },
        },
        code);

    public static SandboxAnswer NotFound(SandboxWorld world, string id) => Error(
        world, 404, "Request_ResourceNotFound",
        $"Resource '{id}' does not exist or one of its queried reference-property objects are not present.");

    public static SandboxAnswer UnknownSegment(SandboxWorld world, string[] path) => Error(
        world, 400, "BadRequest", $"Resource not found for the segment '{(path.Length == 0 ? "" : path[^1])}'.");

    /// <summary>Refuses a body that Graph would not read.</summary>
    public static SandboxAnswer? Refuse(SandboxCall call) => call.BodyFault switch
    {
        SandboxBodyFault.None => null,
        SandboxBodyFault.NoContentType => Error(
            call.World, 400, "Request_BadRequest",
            "Write requests (excluding DELETE) must contain the Content-Type header declaration."),
        SandboxBodyFault.ContentType => Error(
            call.World, 415, "Request_BadRequest", "The media type of the request is not supported."),
        SandboxBodyFault.TooLarge => Error(call.World, 413, "Request_EntityTooLarge", "The request is too large."),
        _ => Error(call.World, 400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."),
    };

    internal static SandboxOperation Operation(string name, string method, string path, Func<SandboxCall, SandboxAnswer> handle) =>
        new(name, SandboxApi.Graph, method, $"v1.0/{path}", handle) { NeedsToken = false };

    internal static SandboxOperation About(string name, string method, string path, Func<SandboxCall, SandboxPerson, SandboxAnswer> handle) =>
        Operation(name, method, path, call => Present(call) is { } person ? handle(call, person) : NotFound(call.World, call.Segments[0])) with
        {
            Person = Present,
        };

    private static SandboxOperation AboutDeleted(
        string name, string method, string path, Func<SandboxCall, SandboxPerson, SandboxAnswer> handle) =>
        Operation(name, method, path, call => Deleted(call) is { } person ? handle(call, person) : NotFound(call.World, call.Segments[0])) with
        {
            Person = Deleted,
        };

    private static SandboxPerson? Present(SandboxCall call) =>
        call.Directory.FindInEntra(call.Segments[0]) is { Entra.DeletedAt: null } person ? person : null;

    private static SandboxPerson? Deleted(SandboxCall call) =>
        call.Directory.FindInEntra(call.Segments[0]) is { Entra.DeletedAt: not null } person ? person : null;

    // A fault set for one person must meet the searches for that person, too.
    private static SandboxPerson? PersonOfFilter(SandboxCall call)
    {
        if (call.Query["$filter"].ToString() is not { Length: > 0 } text)
        {
            return null;
        }

        try
        {
            var literals = GraphFilter.Parse(text).Literals;
            return call.Directory.People.FirstOrDefault(person => person.Entra is { } account && literals.Any(literal =>
                literal.Equals(account.EmployeeId, StringComparison.OrdinalIgnoreCase)
                || literal.Equals(account.UserPrincipalName, StringComparison.OrdinalIgnoreCase)
                || literal.Equals(account.Mail, StringComparison.OrdinalIgnoreCase)
                || literal.Equals("smtp:" + account.Mail, StringComparison.OrdinalIgnoreCase)));
        }
        catch (GraphFilterException)
        {
            // The operation itself reports it; such a call is about nobody.
            return null;
        }
    }

    private static SandboxAnswer List(SandboxCall call, bool deleted)
    {
        if (Select(call, out var select) is { } refusal)
        {
            return refusal;
        }

        GraphFilter? filter = null;
        if (call.Query["$filter"].ToString() is { Length: > 0 } text)
        {
            try
            {
                filter = GraphFilter.Parse(text);
            }
            catch (GraphFilterException fault)
            {
                return Error(call.World, 400, "Request_UnsupportedQuery", fault.Message);
            }
        }

        var eventual = call.Headers["ConsistencyLevel"].ToString().Equals("eventual", StringComparison.OrdinalIgnoreCase);
        var count = call.Query["$count"].ToString().Equals("true", StringComparison.OrdinalIgnoreCase);
        if (call.Query.ContainsKey("$search") || call.Query.ContainsKey("$orderby") || (filter is { IsAdvanced: true } && !(eventual && count)))
        {
            return Error(call.World, 400, "Request_UnsupportedQuery", "Request not supported without ConsistencyLevel: eventual and $count=true.");
        }

        var top = (long)DefaultPage;
        if (call.Query.ContainsKey("$top") && (call.Number("$top") is not (>= 1 and <= MaximumPage and var asked) || (top = asked) == 0))
        {
            return Error(call.World, 400, "Request_BadRequest", $"Invalid page size specified: '{call.Query["$top"]}'. Must be between 1 and 999 inclusive.");
        }

        if (!SkipToken(call, out var start))
        {
            return Error(call.World, 400, "Request_BadRequest", "The specified skip token is invalid.");
        }

        // A filter sees what is true; only what a read shows may be wrong.
        var matching = call.Directory.People
            .Where(person => person.Entra is { } account && account.DeletedAt.HasValue == deleted && filter?.Matches(person) != false).ToList();
        var page = matching.Skip(start).Take((int)top).ToList();
        var body = new JsonObject { ["@odata.context"] = Context(call, deleted ? "directoryObjects/microsoft.graph.user" : "users", select) };
        if (eventual && count)
        {
            body["@odata.count"] = matching.Count;
        }

        if (start + page.Count < matching.Count)
        {
            body["@odata.nextLink"] = NextLink(call, start + page.Count);
        }

        body["value"] = new JsonArray([.. page.Select(person => GraphUserJson.Write(call.AsRead(person), select))]);
        return SandboxAnswer.Json(200, body);
    }

    private static SandboxAnswer Get(SandboxCall call, SandboxPerson person)
    {
        if (Select(call, out var select) is { } refusal)
        {
            return refusal;
        }

        var body = new JsonObject { ["@odata.context"] = Context(call, "users", select) + "/$entity" };
        foreach (var (name, value) in GraphUserJson.Write(call.AsRead(person), select))
        {
            body[name] = value?.DeepClone();
        }

        return SandboxAnswer.Json(200, body);
    }

    private static SandboxAnswer Update(SandboxCall call, SandboxPerson person)
    {
        if (call.Body is not { Count: > 0 } changes)
        {
            return Error(call.World, 400, "Request_BadRequest", "The request has no properties to update.");
        }

        foreach (var (name, _) in changes)
        {
            if (name == "accountEnabled" || name.StartsWith('@'))
            {
                continue;
            }

            return person.Entra!.OnPremisesSyncEnabled
                ? Error(
                    call.World, 400, "Request_BadRequest",
                    "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.")
                : Error(call.World, 400, "Request_BadRequest", $"Property '{name}' is read-only and cannot be set.");
        }

        var kind = changes["accountEnabled"]?.GetValueKind() ?? JsonValueKind.Null;
        if (kind is not (JsonValueKind.True or JsonValueKind.False))
        {
            return Error(call.World, 400, "Request_BadRequest", "Invalid value specified for property 'accountEnabled' of resource 'User'.");
        }

        var enabled = kind == JsonValueKind.True;
        call.Mutate(person, before => before.WithEntra(account => account with { AccountEnabled = enabled }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer Revoke(SandboxCall call, SandboxPerson person)
    {
        var now = call.World.Now;
        var second = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerSecond));
        call.Mutate(person, before => before.WithEntra(account => account with { SessionsValidFrom = second, Sessions = 0 }));
        return SandboxAnswer.Json(200, new() { ["@odata.context"] = $"{call.BaseAddress}/v1.0/$metadata#Edm.Boolean", ["value"] = true });
    }

    private static SandboxAnswer Delete(SandboxCall call, SandboxPerson person)
    {
        call.Mutate(person, before => before.WithEntra(account => account with { DeletedAt = call.World.Now, Sessions = 0 }));
        return SandboxAnswer.NoContent;
    }

    private static SandboxAnswer Restore(SandboxCall call, SandboxPerson person)
    {
        call.Mutate(person, before => before.WithEntra(account => account with { DeletedAt = null }));
        return Get(call, person with { Entra = person.Entra! with { DeletedAt = null } });
    }

    private static SandboxAnswer MemberOf(SandboxCall call, SandboxPerson person) => SandboxAnswer.Json(200, new()
    {
        ["@odata.context"] = $"{call.BaseAddress}/v1.0/$metadata#directoryObjects",
        ["value"] = new JsonArray(
        [
            .. person.Entra!.Groups.Select(name => Held("#microsoft.graph.group", name)),
            .. person.Entra.DirectoryRoles.Select(name => Held("#microsoft.graph.directoryRole", name)),
        ]),
    });

    private static JsonObject Held(string type, string name) => new()
    {
        ["@odata.type"] = type,
        ["id"] = IdOf(name),
        ["displayName"] = name,
    };

    /// <summary>The id of something that has a name only: always the same. A name that is an id already stays it.</summary>
    internal static string IdOf(string name) =>
        Guid.TryParse(name, out _) ? name : new Guid(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 16)).ToString();

    private static SandboxAnswer? Select(SandboxCall call, out ImmutableArray<string> select)
    {
        select =
        [
            .. call.Query["$select"].ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Distinct(StringComparer.OrdinalIgnoreCase),
        ];
        return GraphUserJson.FirstUnknown(select) is { } unknown
            ? Error(
                call.World, 400, "BadRequest",
                $"Parsing OData Select and Expand failed: Could not find a property named '{unknown}' on type 'microsoft.graph.user'.")
            : null;
    }

    private static string Context(SandboxCall call, string resource, ImmutableArray<string> select) =>
        $"{call.BaseAddress}/v1.0/$metadata#{resource}{(select.IsEmpty ? "" : $"({string.Join(',', select)})")}";

    private static string NextLink(SandboxCall call, int start)
    {
        var token = Convert.ToHexStringLower(Encoding.ASCII.GetBytes(start.ToString(CultureInfo.InvariantCulture)));
        var query = new StringBuilder();
        foreach (var (name, value) in call.Query.Where(pair => pair.Key != "$skiptoken"))
        {
            query.Append(CultureInfo.InvariantCulture, $"{name}={Uri.EscapeDataString(value.ToString())}&");
        }

        return $"{call.BaseAddress}/{call.Operation.Template}?{query}$skiptoken={token}";
    }

    private static bool SkipToken(SandboxCall call, out int start)
    {
        start = 0;
        var token = call.Query["$skiptoken"].ToString();
        if (token.Length == 0)
        {
            return true;
        }

        Span<byte> digits = stackalloc byte[10];
        return token.Length <= 20 && token.Length % 2 == 0
            && Convert.FromHexString(token, digits, out _, out var written) == System.Buffers.OperationStatus.Done
            && int.TryParse(digits[..written], NumberStyles.None, CultureInfo.InvariantCulture, out start);
    }
}
