using DingFlow.Hosting;

namespace DingFlow.Scim;

/// <summary><c>GET scim/v2/{source}/Users</c>: users by filter and page.</summary>
internal sealed class ListScimUsers(ScimSources sources, ScimUserQueries queries) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source)
        {
            return;
        }

        var (query, fault) = ScimQuery.Read(context.Request.Query);
        await (fault is not null ? context.WriteScimAsync(fault) : AnswerAsync(context, source, queries, query!));
    }

    internal static async Task AnswerAsync(HttpContext context, ScimSource source, ScimUserQueries queries, ScimQuery query)
    {
        await context.RecordReadAsync(ScimAudit.UserRead);
        var (page, total) = await queries.FindAsync(source, query, context.RequestAborted);
        var location = $"{context.ScimBase()}/Users/";
        await context.WriteScimAsync(StatusCodes.Status200OK, writer =>
        {
            writer.WriteStartObject();
            ScimSchemas.Write(writer, ScimSchemas.ListResponse);
            writer.WriteNumber("totalResults"u8, total);
            writer.WriteNumber("startIndex"u8, query.StartIndex);
            writer.WriteNumber("itemsPerPage"u8, page.Count);
            writer.WriteStartArray("Resources"u8);
            foreach (var user in page)
            {
                ScimUserWriter.Write(writer, user, location + user.Id, query.Selection);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }
}

/// <summary><c>POST scim/v2/{source}/Users/.search</c>: the same with the filter in the body, where no address shows it.</summary>
internal sealed class SearchScimUsers(ScimSources sources, ScimUserQueries queries) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source || await context.ReadScimAsync() is not { } request)
        {
            return;
        }

        using (request.Document)
        {
            var (query, fault) = ScimQuery.Read(request.Document.RootElement);
            await (fault is not null ? context.WriteScimAsync(fault) : ListScimUsers.AnswerAsync(context, source, queries, query!));
        }
    }
}

/// <summary><c>GET scim/v2/{source}/Users/{id}</c>: one user.</summary>
internal sealed class GetScimUser(ScimSources sources, ScimUserStore users) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source)
        {
            return;
        }

        if (await users.FindAsync(source.Name, context.UserId(), context.RequestAborted) is not { } user)
        {
            await context.WriteScimAsync(ScimFault.NotFound);
            return;
        }

        await context.RecordReadAsync(ScimAudit.UserRead, new("scimUser", user.Id));
        if (context.IsUnchanged(user))
        {
            context.Response.Headers.ETag = ScimHttp.VersionOf(user);
            context.Response.StatusCode = StatusCodes.Status304NotModified;
        }
        else
        {
            await context.WriteScimAsync(user, ScimSelection.Of(context.Request.Query));
        }
    }
}

/// <summary><c>POST scim/v2/{source}/Users</c>: somebody is provisioned.</summary>
internal sealed class CreateScimUser(ScimSources sources, ScimProvisioning provisioning) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source || await context.ReadScimAsync() is not { } request)
        {
            return;
        }

        using (request.Document)
        {
            var draft = new ScimDraft();
            ScimOutcome outcome = draft.ApplyObject(ScimOperation.Replace, request.Document.RootElement, "The body") is { } fault
                ? fault : await provisioning.CreateAsync(source, draft, request.Body, context.RequestAborted);
            await context.AnswerAsync(outcome, StatusCodes.Status201Created);
        }
    }
}

/// <summary><c>PUT scim/v2/{source}/Users/{id}</c>: a user is said anew. Without <c>active</c> that one stays as it is.</summary>
internal sealed class ReplaceScimUser(ScimSources sources, ScimProvisioning provisioning) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source || await context.ReadScimAsync() is not { } request)
        {
            return;
        }

        using (request.Document)
        {
            var draft = new ScimDraft();
            ScimOutcome outcome = draft.ApplyObject(ScimOperation.Replace, request.Document.RootElement, "The body") is { } fault
                ? fault
                : await provisioning.ChangeAsync(
                    source, context.UserId(), context.IfMatch(), user => (draft.ToUser(user), null), request.Body, context.RequestAborted);
            await context.AnswerAsync(outcome, StatusCodes.Status200OK);
        }
    }
}

/// <summary><c>PATCH scim/v2/{source}/Users/{id}</c>: attributes of a user change; <c>active</c> is how people leave and come back.</summary>
internal sealed class PatchScimUser(ScimSources sources, ScimProvisioning provisioning) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source || await context.ReadScimAsync() is not { } request)
        {
            return;
        }

        using (request.Document)
        {
            var root = request.Document.RootElement;
            var outcome = await provisioning.ChangeAsync(
                source, context.UserId(), context.IfMatch(),
                user =>
                {
                    var draft = new ScimDraft(user);
                    return ScimPatch.Apply(root, draft) is { } fault ? (null, fault) : (draft.ToUser(user), null);
                },
                request.Body, context.RequestAborted);
            await context.AnswerAsync(outcome, StatusCodes.Status200OK);
        }
    }
}

/// <summary><c>DELETE scim/v2/{source}/Users/{id}</c>: a user is removed; one who was active leaves.</summary>
internal sealed class DeleteScimUser(ScimSources sources, ScimProvisioning provisioning) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.EnterAsync(sources) is not { } source)
        {
            return;
        }

        if (await provisioning.RemoveAsync(source, context.UserId(), context.IfMatch(), context.RequestAborted) is { } fault)
        {
            await context.WriteScimAsync(fault);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}

/// <summary>What the functions of users share.</summary>
file static class UserRequests
{
    public static string UserId(this HttpContext context) => context.Request.RouteValues["id"] as string ?? "";

    public static Task AnswerAsync(this HttpContext context, ScimOutcome outcome, int status) => outcome.Fault is { } fault
        ? context.WriteScimAsync(fault)
        : context.WriteScimAsync(outcome.User!, ScimSelection.Of(context.Request.Query), status);
}
