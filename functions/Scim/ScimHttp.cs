using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Hosting;
using DingFlow.Intake;

namespace DingFlow.Scim;

/// <summary>What every SCIM request goes through, and how it is answered.</summary>
internal static class ScimHttp
{
    public const string MediaType = "application/scim+json";

    /// <summary>Bytes of a body.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    private static readonly JsonDocumentOptions JsonOptions = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    /// <summary>
    /// The source that the request names, when the caller may use it and has not used it too much; otherwise <see langword="null"/>, and
    /// the refusal has been answered.
    /// </summary>
    public static async Task<ScimSource?> EnterAsync(this HttpContext context, ScimSources sources)
    {
        var name = context.Request.RouteValues["source"] as string ?? "";
        if (!context.MayUseSource(name))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The key is confined to other sources.");
            return null;
        }

        if (sources.Find(name) is not { } source)
        {
            await context.ProblemAsync(ProblemCode.UnknownSource, "There is no such source.");
            return null;
        }

        if (source.Take() is var wait && wait > TimeSpan.Zero)
        {
            await context.ProblemAsync(ProblemCode.TooManyRequests, "This source has asked more than it may in a minute.", wait);
            return null;
        }

        return source.CalledBy(context.AuditActor());
    }

    /// <summary>Reads a JSON object as body. <see langword="null"/>: there is none, which has been answered. To be disposed of.</summary>
    public static async Task<(JsonDocument Document, ReadOnlyMemory<byte> Body)?> ReadScimAsync(this HttpContext context)
    {
        if (!HttpBodies.IsJson(context.Request.ContentType) || !RequestChecks.IsPlain(context.Request))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, "The body must be application/scim+json or application/json, in UTF-8 and without a content coding.");
            return null;
        }

        if (await context.ReadBodyAsync(MaxBodyBytes) is not { } body)
        {
            return null;
        }

        try
        {
            // A name or a text that is no Unicode would fail much later.
            var document = System.Text.Unicode.Utf8.IsValid(body.Span) ? JsonDocument.Parse(body, JsonOptions) : null;
            if (document?.RootElement.ValueKind == JsonValueKind.Object)
            {
                return (document, body);
            }

            document?.Dispose();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Answered below; the text of the exception could quote the body.
        }

        await context.ProblemAsync(ProblemCode.Malformed, "The body must be a JSON object: well-formed, at most 16 levels deep, no property twice.");
        return null;
    }

    /// <summary>Writes an answer.</summary>
    public static async Task WriteScimAsync(this HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        await using (var writer = new Utf8JsonWriter(buffer))
        {
            write(writer);
        }

        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = MediaType;
        response.ContentLength = buffer.WrittenCount;
        await response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
    }

    /// <summary>Writes a refusal.</summary>
    public static Task WriteScimAsync(this HttpContext context, ScimFault fault) => ScimProblemWriter.WriteAsync(context, fault);

    /// <summary>Writes a user with its version and its address.</summary>
    public static Task WriteScimAsync(this HttpContext context, StoredScimUser stored, ScimSelection selection, int status = StatusCodes.Status200OK)
    {
        var location = $"{context.ScimBase()}/Users/{stored.Id}";
        context.Response.Headers.ETag = VersionOf(stored);
        context.Response.Headers.ContentLocation = location;
        if (status == StatusCodes.Status201Created)
        {
            context.Response.Headers.Location = location;
        }

        return context.WriteScimAsync(status, writer => ScimUserWriter.Write(writer, stored, location, selection));
    }

    /// <summary>The address of the source's service, as the caller sees it.</summary>
    public static string ScimBase(this HttpContext context)
    {
        var request = context.Request;
        var path = request.Path.Value ?? "";
        var source = context.Request.RouteValues["source"] as string ?? "";
        var end = path.IndexOf("/scim/v2/", StringComparison.OrdinalIgnoreCase);
        var start = end < 0 ? "" : path[..end];
        // Behind the front end of a host the scheme is only in this header. It decides nothing but what the caller is told.
        var scheme = request.Headers["X-Forwarded-Proto"].ToString().Equals("https", StringComparison.OrdinalIgnoreCase) ? "https" : request.Scheme;
        return request.Host.HasValue ? $"{scheme}://{request.Host.ToUriComponent()}{start}/scim/v2/{source}" : $"{start}/scim/v2/{source}";
    }

    /// <summary>The version of a user as an entity tag.</summary>
    public static string VersionOf(StoredScimUser stored) =>
        $"W/\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(stored.ETag)).AsSpan(0, 8))}\"";

    /// <summary>What <c>If-Match</c> accepts; <see langword="null"/> without one.</summary>
    public static Func<StoredScimUser, bool>? IfMatch(this HttpContext context)
    {
        var header = context.Request.Headers.IfMatch.ToString();
        return header.Length == 0 ? null : stored => Names(header, VersionOf(stored));
    }

    /// <summary>Whether <c>If-None-Match</c> names the present version.</summary>
    public static bool IsUnchanged(this HttpContext context, StoredScimUser stored)
    {
        var header = context.Request.Headers.IfNoneMatch.ToString();
        return header.Length > 0 && Names(header, VersionOf(stored));
    }

    /// <summary>Versions are compared weakly; some clients leave out the W or the quotation marks.</summary>
    private static bool Names(string header, string version) => header.Split(',', StringSplitOptions.TrimEntries)
        .Any(named => named == "*" || Bare(named) == Bare(version));

    private static string Bare(string version) => (version.StartsWith("W/", StringComparison.OrdinalIgnoreCase) ? version[2..] : version).Trim('"');
}
