using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>
/// <c>POST deliveries/{id}/replay</c>: has a stored delivery handled once more, after somebody mended what kept it from being handled.
/// The body of an HR delivery is read anew, so that settings that were mended count; cases that have heard it already change nothing.
/// </summary>
public sealed partial class ReplayDelivery(IntakeOptions options, IInbox inbox, ILogger<ReplayDelivery> logger) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;
    private const int IdLength = 32;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (await context.ReadJsonAsync(ReplayJson.Default.ReplayRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= 500 } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
            return;
        }

        if (context.Request.RouteValues["id"] is not string { Length: IdLength } id || !id.All(char.IsAsciiHexDigitLower)
            || await inbox.FindAsync(id, context.RequestAborted) is not { } stored)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such delivery, or its retention has passed.");
            return;
        }

        var events = stored.Events;
        if (options.Sources.Values.FirstOrDefault(s => s.QualifiedName == stored.Source) is { Dialect.CanRead: true } source)
        {
            var reading = source.Dialect.Read(stored.Body, source.QualifiedName);
            if (reading.Fault is { } fault)
            {
                await context.ProblemAsync(ProblemCode.Conflict, $"The source's settings cannot read its body: {fault.Path} {fault.Detail}");
                return;
            }

            if (!reading.Events.All(source.Admits))
            {
                await context.ProblemAsync(ProblemCode.Conflict, "An event is about a person outside the mail domains of its source.");
                return;
            }

            events = source.Confine(reading.Events);
        }

        if (events.Count == 0)
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The delivery tells of nothing that needs work.");
            return;
        }

        if (await inbox.ReplayAsync(id, events, context.Principal() ?? "", reason, context.RequestAborted) is not { } items)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "The delivery's retention has just passed.");
            return;
        }

        Log.Replayed(logger, id, context.Principal(), items);
        await context.WriteJsonAsync(new ReplayReceipt(id, items), ReplayJson.Default.ReplayReceipt, StatusCodes.Status202Accepted);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} is replayed by {Principal}: {Items} work items")]
        public static partial void Replayed(ILogger logger, string deliveryId, string? principal, int items);
    }
}

/// <summary>Why a delivery is replayed.</summary>
internal sealed record ReplayRequest(string? Reason);

/// <summary>The answer to a replay.</summary>
internal sealed record ReplayReceipt(string DeliveryId, int WorkItems);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ReplayRequest))]
[JsonSerializable(typeof(ReplayReceipt))]
internal sealed partial class ReplayJson : JsonSerializerContext;
