using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;

namespace DingFlow.Sandbox;

/// <summary>The fault switches and the inspection, over the Unix socket. Described in this folder's README.</summary>
internal sealed partial class SandboxControl(
    SandboxDirectory directory, SandboxFaults faults, SandboxJournal journal, SandboxTokens tokens, SandboxOutbox outbox, ILogger logger) : IHttpApplication<HttpContext>
{
    private const int MaximumBody = 512 * 1024;

    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        try
        {
            var body = await ReadBodyAsync(context);
            var path = (context.Request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
            await AnswerAsync(context, path, body);
        }
        catch (Exception fault) when (fault is JsonException or ArgumentException or KeyNotFoundException or BadHttpRequestException)
        {
            await ProblemAsync(context, fault is KeyNotFoundException ? 404 : 400, fault.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller went away; nothing is left to answer.
            context.Abort();
        }
        catch (Exception fault)
        {
            Log.ControlFailed(logger, fault);
            await ProblemAsync(context, 500, "The sandbox failed; its log says why.");
        }
    }

    private Task AnswerAsync(HttpContext context, string[] path, JsonNode? body) => (context.Request.Method, path) switch
    {
        ("GET", ["people"]) => JsonAsync(context, directory.People, SandboxJson.Default.ImmutableArraySandboxPerson),
        ("GET", ["people", var id]) => JsonAsync(context, directory[id], SandboxJson.Default.SandboxPerson),
        ("PUT", ["people", var id]) => JsonAsync(context, PutPerson(id, body), SandboxJson.Default.SandboxPerson),
        ("GET", ["faults"]) => JsonAsync(context, faults.All, SandboxJson.Default.ImmutableArraySandboxFault),
        ("PUT", ["faults"]) => Then(context, () => faults.Set(Faults(body))),
        ("POST", ["faults"]) => Then(context, () => faults.Set([.. faults.All, .. Faults(body)])),
        ("DELETE", ["faults"]) => Then(context, faults.Clear),
        ("GET", ["throttling"]) => JsonAsync(context, new SandboxThrottling(faults.CallsPerSecond), SandboxJson.Default.SandboxThrottling),
        ("PUT", ["throttling"]) => Then(
            context, () => faults.CallsPerSecond = Read(body, SandboxJson.Default.SandboxThrottling).CallsPerSecond),
        ("GET", ["journal"]) => JsonAsync(context, Entries(context.Request.Query["employeeId"]), SandboxJson.Default.ImmutableArraySandboxJournalEntry),
        ("GET", ["messages"]) => JsonAsync(context, outbox.Messages, SandboxJson.Default.ImmutableArraySandboxMessage),
        ("DELETE", ["messages"]) => Then(context, outbox.Clear),
        ("POST", ["failed-pushes"]) => Then(context, () => directory.AddFailedPush(Push(Read(body, SandboxJson.Default.SandboxFailedPush)))),
        ("DELETE", ["tokens"]) => Then(context, tokens.Expire),
        ("POST", ["reset"]) => Then(context, Reset),
        _ => ProblemAsync(context, 404, "There is no such switch."),
    };

    private ImmutableArray<SandboxJournalEntry> Entries(string? employeeId) => employeeId is { Length: > 0 }
        ? [.. journal.Entries.Where(entry => employeeId.Equals(entry.EmployeeId, StringComparison.OrdinalIgnoreCase))]
        : journal.Entries;

    /// <summary>
    /// Lays the body over the person as they are (JSON merge patch, RFC 7396), or over a new person of the usual shape.
    /// <c>"lastAdministrator": true</c> leaves them the only administrator.
    /// </summary>
    private SandboxPerson PutPerson(string employeeId, JsonNode? body)
    {
        if (body is not JsonObject patch)
        {
            throw new JsonException("The body must be a JSON object.");
        }

        if (employeeId.Length > 32 || !employeeId.All(character => char.IsAsciiLetterOrDigit(character) || character == '-'))
        {
            throw new ArgumentException("An employee id has at most 32 letters, digits and hyphens.");
        }

        var last = patch["lastAdministrator"]?.GetValueKind() == JsonValueKind.True;
        patch.Remove("lastAdministrator");
        var usual = SandboxSeed.Person(employeeId);
        var known = directory.Find(employeeId) ?? usual;
        // An account that is given back begins as a usual one.
        var merged = JsonSerializer.SerializeToNode(
            known with
            {
                DingTalk = known.DingTalk ?? (patch["dingTalk"] is JsonObject ? usual.DingTalk : null),
                Entra = known.Entra ?? (patch["entra"] is JsonObject ? usual.Entra : null),
            },
            SandboxJson.Default.SandboxPerson)!.AsObject();
        Merge(merged, patch);
        merged["employeeId"] = known.EmployeeId;
        return directory.Put(Read(merged, SandboxJson.Default.SandboxPerson), last);
    }

    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is JsonObject inner && target[name] is JsonObject existing)
            {
                Merge(existing, inner);
            }
            else
            {
                target[name] = value?.DeepClone();
            }
        }
    }

    private void Reset()
    {
        directory.Reset();
        faults.Clear();
        faults.CallsPerSecond = 0;
        journal.Clear();
        tokens.Expire();
        outbox.Clear();
    }

    private static ImmutableArray<SandboxFault> Faults(JsonNode? body) =>
        body is JsonArray list ? [.. list.Select(Fault)] : [Fault(body)];

    // Laid over a fault with every default, because what is missing in the text would otherwise be zero.
    private static SandboxFault Fault(JsonNode? body)
    {
        if (body is not JsonObject given)
        {
            throw new JsonException("A fault must be a JSON object.");
        }

        var fault = JsonSerializer.SerializeToNode(new SandboxFault { Kind = default }, SandboxJson.Default.SandboxFault)!.AsObject();
        fault.Remove("kind");
        Merge(fault, given);
        return Read(fault, SandboxJson.Default.SandboxFault);
    }

    private static SandboxFailedPush Push(SandboxFailedPush push) => JsonNode.Parse(push.Data) is JsonObject
        ? push
        : throw new JsonException("data must be the text of a JSON object.");

    private static T Read<T>(JsonNode? body, JsonTypeInfo<T> type) =>
        body is null ? throw new JsonException("The body must be JSON.") : body.Deserialize(type)!;

    private static async Task<JsonNode?> ReadBodyAsync(HttpContext context)
    {
        var bytes = new MemoryStream();
        var buffer = new byte[4096];
        for (int read; (read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0;)
        {
            bytes.Write(buffer, 0, read);
            if (bytes.Length > MaximumBody)
            {
                throw new BadHttpRequestException("The body is too large.", StatusCodes.Status413PayloadTooLarge);
            }
        }

        bytes.Position = 0;
        return bytes.Length == 0
            ? null
            : JsonNode.Parse(bytes, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 16 });
    }

    private static Task Then(HttpContext context, Action action)
    {
        action();
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static Task JsonAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json;charset=utf-8";
        return JsonSerializer.SerializeAsync(context.Response.Body, value, type, context.RequestAborted);
    }

    private static async Task ProblemAsync(HttpContext context, int status, string title)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "application/problem+json";
        var answer = SandboxAnswer.Json(status, new() { ["status"] = status, ["title"] = title });
        await context.Response.Body.WriteAsync(answer.Bytes, context.RequestAborted);
    }

    private static partial class Log
    {
        [LoggerMessage(3, LogLevel.Error, "The sandbox's switches failed.")]
        public static partial void ControlFailed(ILogger logger, Exception fault);
    }
}
