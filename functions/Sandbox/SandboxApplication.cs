using System.Collections.Immutable;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace DingFlow.Sandbox;

/// <summary>
/// Answers the calls of the simulated interfaces: finds the operation, lets the call in or refuses it, plays the faults, keeps the
/// journal. It knows nothing of the fault switches' own interface, which listens elsewhere.
/// </summary>
internal sealed partial class SandboxApplication(
    SandboxWorld world, SandboxFaults faults, SandboxJournal journal, ILogger logger, CancellationToken stopping) : IHttpApplication<HttpContext>
{
    public const string DingTalkPath = "dingtalk";
    public const string LegacyPath = "oapi";
    public const string GraphPath = "graph";

    private const int MaximumBody = 256 * 1024;

    /// <summary>Graph takes requests of 4 MB, so that mails may hold files.</summary>
    internal const int MaximumGraphBody = 4 * 1024 * 1024;

    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        try
        {
            await AnswerAsync(context, gone.Token);
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            // The caller gave up or the sandbox stops: there is nobody left to answer.
            context.Abort();
        }
        catch (Exception fault)
        {
            Log.CallFailed(logger, fault);
            if (!context.Response.HasStarted)
            {
                context.Response.StatusCode = StatusCodes.Status500InternalServerError;
            }
        }
    }

    private async Task AnswerAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var requestId = Guid.CreateVersion7(world.Now);
        var call = world with
        {
            RequestId = requestId,
            ClientRequestId = ClientRequestId(context.Request) ?? requestId.ToString(),
        };
        var path = (context.Request.Path.Value ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path.Length == 0 || Operations(path[0]) is not { } known)
        {
            await WriteAsync(context, call, SandboxAnswer.Text(404, "text/plain", "Not Found"), cancellationToken);
            return;
        }

        var (api, operations) = known;
        var fitting = operations
            .Select(operation => (Operation: operation, Segments: operation.Match(path[1..])))
            .Where(candidate => candidate.Segments is not null)
            .ToList();
        var chosen = fitting.FirstOrDefault(candidate => candidate.Operation.Method == context.Request.Method);
        if (chosen.Operation is null)
        {
            var answer = fitting.Count == 0 ? UnknownPath(call, api, path[1..]) : WrongMethod(call, api, context.Request.Method);
            var entry = journal.Begin(call.Now, api == SandboxApi.Graph ? SandboxSystem.Graph : SandboxSystem.DingTalk, null, Method(context), "", null);
            journal.End(entry with { Status = answer.Status, Code = answer.Code });
            await WriteAsync(context, call, answer, cancellationToken);
            return;
        }

        var (body, bodyFault) = await ReadBodyAsync(context.Request, api, cancellationToken);
        await PlayAsync(context, new SandboxCall
        {
            World = call,
            Operation = chosen.Operation,
            Segments = chosen.Segments!.Value,
            Query = context.Request.Query,
            Headers = context.Request.Headers,
            BaseAddress = UriHelper.BuildAbsolute(context.Request.Scheme, context.Request.Host, "/" + path[0]),
            Body = body,
            BodyFault = bodyFault,
        }, cancellationToken);
    }

    /// <summary>Plays the faults around the operation, and keeps the journal.</summary>
    private async Task PlayAsync(HttpContext context, SandboxCall call, CancellationToken cancellationToken)
    {
        var operation = call.Operation;
        var employeeId = operation.Person(call)?.EmployeeId;
        var (delay, fault) = faults.Meet(operation.System, operation.Name, employeeId);
        var begun = journal.Begin(call.World.Now, operation.System, operation.Name, operation.Method, operation.Template, employeeId) with
        {
            Fault = fault?.Kind ?? (delay > TimeSpan.Zero ? SandboxFaultKind.Latency : null),
        };
        call.Fault = fault?.Kind;
        var ended = false;
        try
        {
            if (delay > TimeSpan.Zero)
            {
                await Task.Delay(delay, call.World.TimeProvider, cancellationToken);
            }

            if (fault?.Kind == SandboxFaultKind.Hang)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, call.World.TimeProvider, cancellationToken);
            }

            var answer = fault?.Kind == SandboxFaultKind.LostBefore ? null
                : (fault is null ? null : SandboxFaultAnswers.Instead(fault, call.World, operation))
                ?? Refuse(call)
                ?? operation.Handle(call);
            if (answer is null || fault?.Kind == SandboxFaultKind.LostAfter)
            {
                End(0, null);
                context.Abort();
                return;
            }

            answer = fault?.Kind == SandboxFaultKind.MalformedJson ? SandboxFaultAnswers.Malformed(answer) : answer;
            // Before the answer goes out: whoever has the answer finds the entry complete.
            End(answer.Status, answer.Code);
            if (fault?.Kind == SandboxFaultKind.HugeBody)
            {
                context.Response.StatusCode = answer.Status == StatusCodes.Status204NoContent ? 200 : answer.Status;
                context.Response.ContentType = answer.ContentType;
                await SandboxFaultAnswers.WriteHugeAsync(context.Response.Body, fault.Bytes, cancellationToken);
            }
            else
            {
                await WriteAsync(context, call.World, answer, cancellationToken);
            }
        }
        finally
        {
            if (!ended)
            {
                End(0, null);
            }
        }

        void End(int status, string? code)
        {
            ended = true;
            journal.End(begun with { Status = status, Code = code, Changed = call.Changed });
        }
    }

    private static (SandboxApi Api, ImmutableArray<SandboxOperation> Operations)? Operations(string root) => root switch
    {
        DingTalkPath => (SandboxApi.DingTalk, DingTalkApi.Operations),
        LegacyPath => (SandboxApi.DingTalkLegacy, DingTalkLegacyApi.Operations),
        GraphPath => (SandboxApi.Graph, GraphApi.Operations),
        _ => null,
    };

    private static SandboxAnswer? Refuse(SandboxCall call) => call.Operation.Api switch
    {
        SandboxApi.DingTalk => DingTalkApi.Refuse(call),
        SandboxApi.DingTalkLegacy => DingTalkLegacyApi.Refuse(call),
        _ => GraphApi.Refuse(call),
    };

    private static SandboxAnswer UnknownPath(SandboxWorld world, SandboxApi api, string[] path) => api switch
    {
        SandboxApi.Graph => GraphApi.UnknownSegment(world, path),
        SandboxApi.DingTalk when path is ["v1.0" or "v2.0", ..] => DingTalkApi.Error(
            world, 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."),
        _ => DingTalkLegacyApi.Unknown(path),
    };

    private static SandboxAnswer WrongMethod(SandboxWorld world, SandboxApi api, string method) => api switch
    {
        SandboxApi.Graph => GraphApi.Error(world, 405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
        SandboxApi.DingTalk => DingTalkApi.Error(
            world, 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."),
        _ => HttpMethods.IsPost(method) ? DingTalkLegacyApi.Error(43001, "需要GET请求") : DingTalkLegacyApi.Error(43002, "需要POST请求"),
    };

    private static async Task<(JsonObject? Body, SandboxBodyFault Fault)> ReadBodyAsync(
        HttpRequest request, SandboxApi api, CancellationToken cancellationToken)
    {
        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsDelete(request.Method))
        {
            return (null, SandboxBodyFault.None);
        }

        var source = request.Headers.ContentEncoding == "gzip"
            ? new GZipStream(request.Body, CompressionMode.Decompress, leaveOpen: true)
            : request.Body;
        var bytes = new MemoryStream();
        var buffer = new byte[4096];
        try
        {
            for (int read; (read = await source.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                bytes.Write(buffer, 0, read);
                if (bytes.Length > (api == SandboxApi.Graph ? MaximumGraphBody : MaximumBody))
                {
                    return (null, SandboxBodyFault.TooLarge);
                }
            }
        }
        catch (InvalidDataException)
        {
            return (null, SandboxBodyFault.Malformed);
        }

        if (bytes.Length == 0)
        {
            return (null, SandboxBodyFault.None);
        }

        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type))
        {
            return (null, SandboxBodyFault.NoContentType);
        }

        if (api == SandboxApi.DingTalkLegacy && type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
        {
            var form = QueryHelpers.ParseQuery(System.Text.Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
            return (new JsonObject(form.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)JsonValue.Create(pair.Value.ToString())))), SandboxBodyFault.None);
        }

        if (!type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            return (null, SandboxBodyFault.ContentType);
        }

        try
        {
            bytes.Position = 0;
            var options = new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 16 };
            return JsonNode.Parse(bytes, documentOptions: options) is JsonObject body
                ? (body, SandboxBodyFault.None)
                : (null, SandboxBodyFault.Malformed);
        }
        catch (JsonException)
        {
            return (null, SandboxBodyFault.Malformed);
        }
    }

    private static async Task WriteAsync(HttpContext context, SandboxWorld world, SandboxAnswer answer, CancellationToken cancellationToken)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        if (context.Request.Path.StartsWithSegments("/" + GraphPath, StringComparison.Ordinal))
        {
            response.Headers["request-id"] = world.RequestId.ToString();
            response.Headers["client-request-id"] = world.ClientRequestId;
        }

        foreach (var (name, value) in answer.Headers)
        {
            response.Headers[name] = value;
        }

        if (answer.Status != StatusCodes.Status204NoContent)
        {
            response.ContentType = answer.ContentType;
            response.ContentLength = answer.Bytes.Length;
            await response.Body.WriteAsync(answer.Bytes, cancellationToken);
        }
    }

    // Echoed into a header and a body, so only what an id may hold.
    private static string? ClientRequestId(HttpRequest request) =>
        request.Headers["client-request-id"].ToString() is { Length: > 0 and <= 64 } id
        && id.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_')
            ? id
            : null;

    private static string Method(HttpContext context) =>
        context.Request.Method is { Length: <= 16 } method ? method : "?";

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The sandbox failed to answer a call.")]
        public static partial void CallFailed(ILogger logger, Exception fault);
    }
}
