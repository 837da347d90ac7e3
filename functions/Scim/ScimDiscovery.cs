using System.Text.Json;
using DingFlow.Hosting;

namespace DingFlow.Scim;

/// <summary><c>GET scim/v2/{source}/ServiceProviderConfig</c>: what this service can do (RFC 7643 section 5).</summary>
internal sealed class GetScimServiceProviderConfig(ScimSources sources) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is null)
        {
            return;
        }

        var location = $"{context.ScimBase()}/ServiceProviderConfig";
        await context.WriteScimAsync(StatusCodes.Status200OK, writer =>
        {
            writer.WriteStartObject();
            ScimSchemas.Write(writer, ScimSchemas.ServiceProviderConfig);
            Feature(writer, "patch", true);
            Feature(writer, "bulk", false, ("maxOperations", 0), ("maxPayloadSize", 0));
            Feature(writer, "filter", true, ("maxResults", ScimQuery.MaxCount));
            Feature(writer, "changePassword", false);
            Feature(writer, "sort", false);
            Feature(writer, "etag", true);
            writer.WriteStartArray("authenticationSchemes"u8);
            writer.WriteStartObject();
            writer.WriteString("type"u8, "oauthbearertoken"u8);
            writer.WriteString("name"u8, "Bearer token"u8);
            writer.WriteString("description"u8, "A key with the role scim, or an access token of Microsoft Entra with that role."u8);
            writer.WriteString("specUri"u8, "https://www.rfc-editor.org/info/rfc6750"u8);
            writer.WriteBoolean("primary"u8, true);
            writer.WriteEndObject();
            writer.WriteEndArray();
            ScimDiscovery.Meta(writer, "ServiceProviderConfig", location);
            writer.WriteEndObject();
        });
    }

    private static void Feature(Utf8JsonWriter writer, string name, bool supported, params ReadOnlySpan<(string Name, int Value)> limits)
    {
        writer.WriteStartObject(name);
        writer.WriteBoolean("supported"u8, supported);
        foreach (var (limit, value) in limits)
        {
            writer.WriteNumber(limit, value);
        }

        writer.WriteEndObject();
    }
}

/// <summary><c>GET scim/v2/{source}/ResourceTypes</c>, also one by its name: users (RFC 7643 section 6).</summary>
internal sealed class GetScimResourceTypes(ScimSources sources) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not null)
        {
            await ScimDiscovery.AnswerAsync(context, [("User", Write)]);
        }
    }

    private static void Write(Utf8JsonWriter writer, string location)
    {
        writer.WriteStartObject();
        ScimSchemas.Write(writer, ScimSchemas.ResourceType);
        writer.WriteString("id"u8, "User"u8);
        writer.WriteString("name"u8, "User"u8);
        writer.WriteString("endpoint"u8, "/Users"u8);
        writer.WriteString("description"u8, "A person who works here or has left"u8);
        writer.WriteString("schema"u8, ScimSchemas.User);
        writer.WriteStartArray("schemaExtensions"u8);
        foreach (var schema in (ReadOnlySpan<string>)[ScimSchemas.Enterprise, ScimSchemas.DingFlow])
        {
            writer.WriteStartObject();
            writer.WriteString("schema"u8, schema);
            writer.WriteBoolean("required"u8, false);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        ScimDiscovery.Meta(writer, "ResourceType", location);
        writer.WriteEndObject();
    }
}

/// <summary><c>GET scim/v2/{source}/Schemas</c>, also one by its URN: the attributes that are kept (RFC 7643 section 7).</summary>
internal sealed class GetScimSchemas(ScimSources sources) : IHttpFunction
{
    private sealed record Attribute(string Name, string Description)
    {
        public string Type { get; init; } = "string";

        public bool MultiValued { get; init; }

        public bool Required { get; init; }

        public bool CaseExact { get; init; }

        public string Uniqueness { get; init; } = "none";

        public IReadOnlyList<string> CanonicalValues { get; init; } = [];

        public IReadOnlyList<Attribute> Parts { get; init; } = [];
    }

    private static readonly IReadOnlyList<Attribute> User =
    [
        new("userName", "What the identity provider signs the person in by.") { Required = true, Uniqueness = "server" },
        new("externalId", "The identity provider's own id of the person.") { CaseExact = true },
        new("name", "The parts of the name.")
        {
            Type = "complex",
            Parts = [new("formatted", "The whole name."), new("familyName", "The family name."), new("givenName", "The given name.")],
        },
        new("displayName", "The name to show."),
        new("emails", "E-mail addresses; the primary one finds the person.")
        {
            Type = "complex", MultiValued = true,
            Parts =
            [
                new("value", "The address."), new("type", "What it is for.") { CanonicalValues = ["work", "home", "other"] },
                new("primary", "Whether it is the one to use.") { Type = "boolean" },
            ],
        },
        new("active", "Whether the person works here; false freezes the person's accounts.") { Type = "boolean" },
    ];

    private static readonly IReadOnlyList<Attribute> Enterprise =
        [new("employeeNumber", "The HR system's number of the person; it is shown in cases and logs.") { CaseExact = true }];

    private static readonly IReadOnlyList<Attribute> DingFlow =
        [new("dingTalkUserId", "The person's user id in DingTalk, where it is known.") { CaseExact = true }];

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not null)
        {
            await ScimDiscovery.AnswerAsync(context,
            [
                (ScimSchemas.User, (writer, location) => Write(writer, location, ScimSchemas.User, "User", User)),
                (ScimSchemas.Enterprise, (writer, location) => Write(writer, location, ScimSchemas.Enterprise, "EnterpriseUser", Enterprise)),
                (ScimSchemas.DingFlow, (writer, location) => Write(writer, location, ScimSchemas.DingFlow, "DingFlowUser", DingFlow)),
            ]);
        }
    }

    private static void Write(Utf8JsonWriter writer, string location, string id, string name, IReadOnlyList<Attribute> attributes)
    {
        writer.WriteStartObject();
        ScimSchemas.Write(writer, ScimSchemas.Schema);
        writer.WriteString("id"u8, id);
        writer.WriteString("name"u8, name);
        writer.WriteString("description"u8, name);
        Write(writer, "attributes", attributes);
        ScimDiscovery.Meta(writer, "Schema", location);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, string property, IReadOnlyList<Attribute> attributes)
    {
        writer.WriteStartArray(property);
        foreach (var attribute in attributes)
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, attribute.Name);
            writer.WriteString("type"u8, attribute.Type);
            writer.WriteBoolean("multiValued"u8, attribute.MultiValued);
            writer.WriteString("description"u8, attribute.Description);
            writer.WriteBoolean("required"u8, attribute.Required);
            if (attribute.CanonicalValues.Count > 0)
            {
                writer.WriteStartArray("canonicalValues"u8);
                foreach (var value in attribute.CanonicalValues)
                {
                    writer.WriteStringValue(value);
                }

                writer.WriteEndArray();
            }

            writer.WriteBoolean("caseExact"u8, attribute.CaseExact);
            writer.WriteString("mutability"u8, "readWrite"u8);
            writer.WriteString("returned"u8, "default"u8);
            writer.WriteString("uniqueness"u8, attribute.Uniqueness);
            if (attribute.Parts.Count > 0)
            {
                Write(writer, "subAttributes", attribute.Parts);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}

/// <summary><c>GET scim/v2/{source}/Groups</c>: there are none, which is what providers that ask for them need to hear.</summary>
internal sealed class ListScimGroups(ScimSources sources) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is null)
        {
            return;
        }

        var (query, fault) = ScimQuery.Read(new QueryCollection(context.Request.Query.Where(static pair =>
            !pair.Key.Equals("filter", StringComparison.OrdinalIgnoreCase)).ToDictionary()));
        await (fault is not null ? context.WriteScimAsync(fault) : ScimDiscovery.ListAsync(context, [], query!.StartIndex));
    }
}

/// <summary><c>POST scim/v2/{source}/Groups</c>: groups are not kept.</summary>
internal sealed class CreateScimGroup(ScimSources sources) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not null)
        {
            await context.WriteScimAsync(new ScimFault(StatusCodes.Status501NotImplemented, ScimType.None, "Groups are not provisioned here."));
        }
    }
}

/// <summary>What the descriptions of the service share.</summary>
internal static class ScimDiscovery
{
    /// <summary>Answers with all resources, or with the one that the address names.</summary>
    public static Task AnswerAsync(HttpContext context, IReadOnlyList<(string Id, Action<Utf8JsonWriter, string> Write)> resources)
    {
        if (context.Request.Query.ContainsKey("filter"))
        {
            // RFC 7644 section 4: a filter here is forbidden.
            return context.WriteScimAsync(new ScimFault(StatusCodes.Status403Forbidden, ScimType.None, "This list cannot be filtered."));
        }

        if (context.Request.RouteValues["id"] is not string { Length: > 0 } id)
        {
            return ListAsync(context, resources, startIndex: 1);
        }

        foreach (var (known, write) in resources)
        {
            if (known.Equals(id, StringComparison.OrdinalIgnoreCase))
            {
                return context.WriteScimAsync(StatusCodes.Status200OK, writer => write(writer, LocationOf(context, known)));
            }
        }

        return context.WriteScimAsync(ScimFault.NotFound);
    }

    /// <summary>Answers with a list.</summary>
    public static Task ListAsync(HttpContext context, IReadOnlyList<(string Id, Action<Utf8JsonWriter, string> Write)> resources, int startIndex) =>
        context.WriteScimAsync(StatusCodes.Status200OK, writer =>
        {
            writer.WriteStartObject();
            ScimSchemas.Write(writer, ScimSchemas.ListResponse);
            writer.WriteNumber("totalResults"u8, resources.Count);
            writer.WriteNumber("startIndex"u8, startIndex);
            writer.WriteNumber("itemsPerPage"u8, resources.Count);
            writer.WriteStartArray("Resources"u8);
            foreach (var (id, write) in resources)
            {
                write(writer, LocationOf(context, id));
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });

    /// <summary>Writes the property <c>meta</c>.</summary>
    public static void Meta(Utf8JsonWriter writer, string resourceType, string location)
    {
        writer.WriteStartObject("meta"u8);
        writer.WriteString("resourceType"u8, resourceType);
        writer.WriteString("location"u8, location);
        writer.WriteEndObject();
    }

    private static string LocationOf(HttpContext context, string id) =>
        $"{context.ScimBase()}/{(id.StartsWith("urn:", StringComparison.Ordinal) ? "Schemas" : "ResourceTypes")}/{id}";
}
