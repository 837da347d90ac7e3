using System.Collections.Frozen;
using System.Diagnostics;
using DingFlow.Messaging;
using DingFlow.Telemetry;

namespace DingFlow.Hosting;

/// <summary>
/// The endpoints by which a host invokes queue and timer functions: <c>POST /&lt;FunctionName&gt;</c>. They exist on the Functions
/// host's port and on the private socket, never on the public listener.
/// </summary>
/// <remarks>
/// A success is always a JSON object: an empty 200 or a 204 would leave the host waiting until its time-out and have the process
/// killed. Every failure is a non-2xx, upon which the host delivers again at once.
/// </remarks>
internal sealed partial class InvocationEndpoints(
    RequestDelegate next, FunctionCatalog catalog, TimeProvider time, ILogger<InvocationEndpoints> logger)
{
    /// <summary>A Service Bus message of 256 KiB, escaped twice, and its metadata fit well.</summary>
    public const int MaxBytes = 2 * 1024 * 1024;

    private static readonly byte[] Success = "{}"u8.ToArray();

    private readonly FrozenDictionary<string, FunctionEntry> _functions = catalog.Functions
        .Where(function => function.Trigger is not FunctionTrigger.Http)
        .ToFrozenDictionary(function => "/" + function.Name, StringComparer.OrdinalIgnoreCase);

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Listener() == ListenerKind.Public)
        {
            return next(context);
        }

        if (context.Request.Path == "/" && HttpMethods.IsGet(context.Request.Method))
        {
            // The host asks until it gets any answer, and again later to see that the process lives.
            return SucceedAsync(context);
        }

        if (!_functions.TryGetValue(context.Request.Path.Value ?? "", out var function))
        {
            return context.Listener() == ListenerKind.Private ? context.ProblemAsync(ProblemCode.NotFound) : next(context);
        }

        context.Features.Set(function.Registration);
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST";
            return context.ProblemAsync(ProblemCode.MethodNotAllowed);
        }

        return RunAsync(context, function);
    }

    private async Task RunAsync(HttpContext context, FunctionEntry function)
    {
        if (await context.ReadBodyAsync(MaxBytes) is not { } body)
        {
            return;
        }

        ProblemCode? problem;
        try
        {
            problem = function.Trigger switch
            {
                FunctionTrigger.Queue trigger => await HandleAsync(context, function, InvocationReader.ReadMessages(body, trigger)),
                FunctionTrigger.Timer trigger => await TickAsync(context, function, InvocationReader.ReadTick(body, trigger)),
                _ => throw new InvalidOperationException("Only queue and timer functions are invoked here."),
            };
        }
        catch (InvocationException exception)
        {
            Log.NotUnderstood(logger, function.Name, exception.Message);
            await context.ProblemAsync(ProblemCode.Malformed, exception.Message);
            return;
        }

        await (problem is { } code ? context.ProblemAsync(code) : SucceedAsync(context));
    }

    private async Task<ProblemCode?> HandleAsync(HttpContext context, FunctionEntry function, IReadOnlyList<ReceivedMessage> messages)
    {
        var handler = (IQueueFunction)context.RequestServices.GetRequiredService(function.Registration.Type);
        foreach (var message in messages)
        {
            using var activity = DingFlowTelemetry.Start($"process {message.Queue}", ActivityKind.Consumer, message.TraceParent);
            activity.SetTag("messaging.system", "servicebus");
            activity.SetTag("messaging.destination.name", message.Queue);
            activity.SetTag("messaging.servicebus.message.delivery_count", message.DeliveryCount);
            if (message.EnqueuedAt is { } enqueuedAt)
            {
                OperationalMetrics.MessageTakenUp(message.Queue, time.GetUtcNow() - enqueuedAt);
            }

            if (await RunAsync(activity, function, () => HandleOrParkAsync(context, handler, message)) is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    /// <summary>
    /// What can never succeed, and what failed in its last delivery, is parked with its reason, and the delivery succeeds; the host's
    /// dead-letter queue would keep it without one.
    /// </summary>
    private static async Task HandleOrParkAsync(HttpContext context, IQueueFunction handler, ReceivedMessage message)
    {
        string reason;
        try
        {
            await handler.InvokeAsync(message, context.RequestAborted);
            return;
        }
        catch (UnusableMessageException exception)
        {
            reason = exception.Message;
        }
        catch (Exception exception) when (IsLastDelivery(message) && !context.RequestAborted.IsCancellationRequested)
        {
            // Where it failed is for the log; what people read in the list of parked messages shows no places of ours.
            Log.LastDeliveryFailed(context.RequestServices.GetRequiredService<ILogger<InvocationEndpoints>>(), message.MessageId, message.Queue, SafeText.Of(exception));
            reason = $"It failed in each of its deliveries, the last time with {SafeText.Brief(exception)}. The log has the details.";
        }

        await context.RequestServices.GetRequiredService<ParkedMessages>().ParkAsync(message, reason, context.RequestAborted);
    }

    private static bool IsLastDelivery(ReceivedMessage message) =>
        Queues.All.FirstOrDefault(queue => queue.Name == message.Queue) is { } queue && message.DeliveryCount >= queue.MaxDeliveryCount;

    private async Task<ProblemCode?> TickAsync(HttpContext context, FunctionEntry function, TimerTick tick)
    {
        var handler = (ITimerFunction)context.RequestServices.GetRequiredService(function.Registration.Type);
        using var activity = DingFlowTelemetry.Start($"timer {function.Name}", ActivityKind.Internal, traceParent: null);
        var problem = await RunAsync(activity, function, () => handler.InvokeAsync(tick, context.RequestAborted));
        OperationalMetrics.TimerRan(function.Name, problem is null);
        return problem;
    }

    /// <summary>Runs the function, and tells of a failure within its own trace.</summary>
    private async Task<ProblemCode?> RunAsync(Activity activity, FunctionEntry function, Func<Task> handler)
    {
        try
        {
            await handler();
            return null;
        }
        catch (Exception exception)
        {
            activity.SetStatus(ActivityStatusCode.Error, exception.GetType().Name);
            Log.Failed(logger, function.Name, SafeText.Of(exception));
            return RequestPipeline.CodeOf(exception);
        }
    }

    private static Task SucceedAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = Success.Length;
        return context.Response.Body.WriteAsync(Success, context.RequestAborted).AsTask();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "An invocation of {Function} could not be read: {Fault}")]
        public static partial void NotUnderstood(ILogger logger, string function, string fault);

        [LoggerMessage(2, LogLevel.Error, "{Function} failed: {Fault}")]
        public static partial void Failed(ILogger logger, string function, string fault);

        [LoggerMessage(3, LogLevel.Error, "Message {MessageId} of queue {Queue} failed in its last delivery: {Fault}")]
        public static partial void LastDeliveryFailed(ILogger logger, string messageId, string queue, string fault);
    }
}
