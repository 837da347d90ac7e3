using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary>Puts signals on their queue, each under an id made from its own.</summary>
internal sealed class SignalSender(SignalOptions options, IMessageQueue queue) : ISignalSender
{
    /// <inheritdoc/>
    public bool IsNeeded => options.Subscribers.Count > 0;

    /// <inheritdoc/>
    public Task SendAsync(AccountSignal signal, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(signal);
        return IsNeeded
            ? queue.SendAsync(Queues.Signals, [new SignalWork { CaseId = signal.CaseId, Kind = signal.Kind }.ToMessage()], cancellationToken)
            : Task.CompletedTask;
    }
}

/// <summary>
/// The body of a message on <see cref="Queues.Signals"/>: a signal to begin with, or the next attempt to push it to one subscriber. It
/// carries references only.
/// </summary>
internal sealed record SignalWork
{
    /// <summary>The case, in the first message of a signal.</summary>
    public string? CaseId { get; init; }

    /// <summary>What became of its accounts.</summary>
    public AccountSignalKind Kind { get; init; }

    /// <summary>The signal's key, in a message for one subscriber.</summary>
    public string? Key { get; init; }

    /// <summary>The subscriber, in a message for one.</summary>
    public string? Subscriber { get; init; }

    /// <summary>Which attempt to make, from 1.</summary>
    public int Attempt { get; init; }

    /// <summary>How often it was put off because something that it needs was down.</summary>
    public int Postponed { get; init; }

    /// <summary>The message that carries it.</summary>
    public OutgoingMessage ToMessage(DateTimeOffset? enqueueAt = null) => new()
    {
        MessageId = (CaseId is not null
            ? $"signal-{SignalRecords.KeyOf(new AccountSignal(Kind, CaseId))}"
            : string.Create(CultureInfo.InvariantCulture, $"signal-{Key}-{Subscriber}-{Attempt}"))
            + (Postponed == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-later-{Postponed}")),
        Subject = CaseId is not null ? "signal" : "attempt",
        EnqueueAt = enqueueAt,
        Body = JsonSerializer.SerializeToUtf8Bytes(this, SignalWorkJson.Default.SignalWork),
    };

    /// <summary>Reads a body that <see cref="ToMessage"/> wrote.</summary>
    /// <exception cref="UnusableMessageException">It is not such a body: delivering it again cannot help.</exception>
    public static SignalWork Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, SignalWorkJson.Default.SignalWork) is { } work
                && (work.CaseId is { Length: > 0 } || work is { Key.Length: > 0, Subscriber.Length: > 0, Attempt: > 0 })
                ? work
                : throw new UnusableMessageException("A signal's message names neither a case nor an attempt.");
        }
        catch (JsonException)
        {
            throw new UnusableMessageException("A signal's message is not the JSON it should be.");
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(SignalWork))]
internal sealed partial class SignalWorkJson : JsonSerializerContext;
