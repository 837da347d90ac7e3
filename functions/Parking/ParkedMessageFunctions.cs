using System.Text;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Parking;

/// <summary><c>GET parked-messages?queue=&amp;status=&amp;limit=</c>: messages that were set aside, those of one queue together.</summary>
public sealed class ListParkedMessages(ParkedMessages parked) : IHttpFunction
{
    private const int DefaultPage = 50;
    private const int LargestPage = 200;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var queues = Queues.All;
        if (query["queue"].ToString() is { Length: > 0 } name)
        {
            queues = [.. Queues.All.Where(q => q.Name == name)];
            if (queues.Count == 0)
            {
                await context.ProblemAsync(ProblemCode.Malformed, $"queue must be one of {string.Join(", ", Queues.All.Select(static q => q.Name))}.");
                return;
            }
        }

        if (await context.QueryWordAsync<ParkedStatus>("status") is not { IsRead: true } asked
            || await context.PageLimitAsync(DefaultPage, LargestPage) is not { } limit)
        {
            return;
        }

        var status = asked.Value ?? ParkedStatus.Parked;

        var found = new List<ParkedMessage>();
        foreach (var queue in queues)
        {
            await foreach (var message in parked.AllAsync(queue, context.RequestAborted))
            {
                if (message.Status == status)
                {
                    found.Add(message);
                }
            }
        }

        await context.WriteJsonAsync(
            new ParkedListView(
                [.. found.OrderByDescending(static m => m.ParkedAt).Take(limit).Select(static m => ParkedView.Of(m, withBody: false))], found.Count),
            ParkedJson.Default.ParkedListView);
    }
}

/// <summary><c>GET parked-messages/{id}</c>: one of them, with its body.</summary>
public sealed class GetParkedMessage(ParkedMessages parked) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ParkedAsync(parked) is { } message)
        {
            await context.WriteJsonAsync(ParkedView.Of(message, withBody: true), ParkedJson.Default.ParkedView);
        }
    }
}

/// <summary><c>POST parked-messages/{id}/replay</c>: sends it once more, after somebody mended what kept it from being handled.</summary>
public sealed class ReplayParkedMessage(ParkedMessages parked) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadParkedReasonAsync() is { } reason && await context.ParkedAsync(parked) is { } message)
        {
            await context.AnswerParkedAsync(await parked.ReplayAsync(message, context.Principal()!, reason, context.RequestAborted));
        }
    }
}

/// <summary><c>POST parked-messages/{id}/discard</c>: it is not to be handled any more.</summary>
public sealed class DiscardParkedMessage(ParkedMessages parked) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadParkedReasonAsync() is { } reason && await context.ParkedAsync(parked) is { } message)
        {
            await context.AnswerParkedAsync(await parked.DiscardAsync(message, context.Principal()!, reason, context.RequestAborted));
        }
    }
}

/// <summary>Every day: forgets parked messages that somebody has dealt with long ago.</summary>
public sealed class PruneParkedMessages(ParkedMessages parked) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => parked.PruneAsync(cancellationToken);
}

/// <summary>Body of a replay or a discard.</summary>
public sealed record ParkedActionRequest
{
    /// <summary>Why; kept with the message. 3 to 500 characters.</summary>
    public string? Reason { get; init; }
}

/// <summary>Parked messages, the newest first.</summary>
/// <param name="Items">The newest of them.</param>
/// <param name="Count">How many there are.</param>
public sealed record ParkedListView(IReadOnlyList<ParkedView> Items, int Count);

/// <summary>A parked message as people see it.</summary>
public sealed record ParkedView
{
    /// <summary>Its id here.</summary>
    public required string ParkedId { get; init; }

    /// <summary>Where it came from, and where a replay sends it.</summary>
    public required string Queue { get; init; }

    /// <summary>Whether somebody has dealt with it.</summary>
    public required ParkedStatus Status { get; init; }

    /// <summary>Why it was set aside.</summary>
    public required string Reason { get; init; }

    /// <summary>When.</summary>
    public required DateTimeOffset ParkedAt { get; init; }

    /// <summary>The sender's identity of it.</summary>
    public required string MessageId { get; init; }

    /// <summary>What it is.</summary>
    public string? Subject { get; init; }

    /// <summary>How often it was delivered.</summary>
    public required int DeliveryCount { get; init; }

    /// <summary>How often it was replayed.</summary>
    public required int Replays { get; init; }

    /// <summary>Who dealt with it last, when and why.</summary>
    public ParkedAction? Action { get; init; }

    /// <summary>The message itself, where one is read: JSON of our own, with references and no personal data.</summary>
    public string? Body { get; init; }

    internal static ParkedView Of(ParkedMessage message, bool withBody) => new()
    {
        ParkedId = message.ParkedId,
        Queue = message.Message.Queue,
        Status = message.Status,
        Reason = message.Reason,
        ParkedAt = message.ParkedAt,
        MessageId = message.Message.MessageId,
        Subject = message.Message.Subject,
        DeliveryCount = message.Message.DeliveryCount,
        Replays = message.Replays,
        Action = message.Action,
        Body = withBody ? Encoding.UTF8.GetString(message.Message.Body.Span) : null,
    };
}

/// <summary>What these routes share.</summary>
file static class ParkedRequests
{
    private const int MaximumBody = 4 * 1024;

    public static async Task<ParkedMessage?> ParkedAsync(this HttpContext context, ParkedMessages parked)
    {
        if (context.Request.RouteValues["id"] is string { Length: ParkedMessages.IdLength } id && id.All(char.IsAsciiHexDigitLower)
            && await parked.FindAsync(id, context.RequestAborted) is { } found)
        {
            return found;
        }

        await context.ProblemAsync(ProblemCode.NotFound, "There is no such message, or it was forgotten.");
        return null;
    }

    public static async Task<string?> ReadParkedReasonAsync(this HttpContext context)
    {
        if (await context.ReadJsonAsync(ParkedJson.Default.ParkedActionRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (request.Reason?.Trim() is { Length: >= 3 and <= 500 } reason)
        {
            return reason;
        }

        await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
        return null;
    }

    public static Task AnswerParkedAsync(this HttpContext context, ParkedMessage? changed) => changed is null
        ? context.ProblemAsync(ProblemCode.Conflict, "Somebody has discarded it, or dealt with it at this moment.")
        : context.WriteJsonAsync(ParkedView.Of(changed, withBody: false), ParkedJson.Default.ParkedView, StatusCodes.Status202Accepted);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(WordConverter<ParkedStatus>)])]
[JsonSerializable(typeof(ParkedListView))]
[JsonSerializable(typeof(ParkedView))]
[JsonSerializable(typeof(ParkedActionRequest))]
internal sealed partial class ParkedJson : JsonSerializerContext;
