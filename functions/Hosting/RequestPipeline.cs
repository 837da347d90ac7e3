using System.Diagnostics;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>What every request goes through: its id, its headers, and a problem for whatever goes wrong.</summary>
internal sealed partial class RequestPipeline(RequestDelegate next, RequestRate rate, ILogger<RequestPipeline> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        rate.Add();
        SetHeaders(context);
        try
        {
            await next(context);
            await FillEmptyRefusalAsync(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone; there is nobody to answer.
            context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
        }
        catch (Exception exception)
        {
            await AnswerAsync(context, exception);
        }
    }

    /// <summary>The problem that an exception stands for.</summary>
    public static ProblemCode CodeOf(Exception exception) => exception switch
    {
        BadHttpRequestException { StatusCode: var status } => Problems.FromStatus(status),
        EntityStoreException or MessageQueueException => ProblemCode.Unavailable,
        OperationCanceledException => ProblemCode.TimedOut,
        _ => ProblemCode.Internal,
    };

    private static void SetHeaders(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers["x-request-id"] = context.RequestId();
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";
        if (Activity.Current?.Id is { } id)
        {
            headers.TraceParent = id;
        }
    }

    /// <summary>Routing refuses with a bare status (404, 405 with Allow, 413, 415); callers get the problem for it.</summary>
    private static Task FillEmptyRefusalAsync(HttpContext context)
    {
        var response = context.Response;
        var bare = response.StatusCode >= StatusCodes.Status400BadRequest && !response.HasStarted
            && response.ContentType is null && response.ContentLength is null or 0;
        return bare ? context.ProblemAsync(Problems.FromStatus(response.StatusCode)) : Task.CompletedTask;
    }

    private async Task AnswerAsync(HttpContext context, Exception exception)
    {
        var code = CodeOf(exception);
        if (code.Status() >= StatusCodes.Status500InternalServerError)
        {
            Log.Failed(logger, context.FunctionName(), SafeText.Of(exception));
        }

        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        context.Response.Clear();
        SetHeaders(context);
        await context.ProblemAsync(code);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Function} failed: {Fault}")]
        public static partial void Failed(ILogger logger, string function, string fault);
    }
}

/// <summary>What is known about a request.</summary>
public static class RequestFacts
{
    /// <summary>The trace id: in the answer's <c>x-request-id</c>, in problems, in the logs and in the telemetry.</summary>
    public static string RequestId(this HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Activity.Current?.TraceId.ToHexString() ?? context.TraceIdentifier;
    }

    /// <summary>The function that the request reached, or <c>no function</c>.</summary>
    internal static string FunctionName(this HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<FunctionRegistration>()?.Name
        ?? context.Features.Get<FunctionRegistration>()?.Name ?? "no function";
}

/// <summary>Texts of exceptions for logs. Messages of foreign libraries can quote addresses and values, which may be personal data.</summary>
public static class SafeText
{
    /// <summary>The types and places of the exception and its causes; the messages only of our own exceptions.</summary>
    public static string Of(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return Brief(exception) + Environment.NewLine + exception.StackTrace;
    }

    /// <summary>The same without places: for answers and lists that leave the program.</summary>
    public static string Brief(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        var text = new System.Text.StringBuilder();
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            text.Append(text.Length == 0 ? "" : " <- ").Append(cause.GetType().FullName);
            if (cause is EntityStoreException or MessageQueueException or SettingsException)
            {
                text.Append(": ").Append(cause.Message);
            }
        }

        return text.ToString();
    }
}
