using System.Collections.Concurrent;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The durable queue of one machine, in the same file as the intake's entities, so that their writes share commits. It does what
/// Service Bus does with sessions and duplicate detection.
/// </summary>
public sealed class EmbeddedQueue(SqliteDatabase database, TimeProvider time, ILogger<EmbeddedQueue> logger) : IEmbeddedQueue, IDisposable
{
    private readonly ConcurrentDictionary<string, EmbeddedChannel> _channels = new(StringComparer.Ordinal);
    private readonly EmbeddedMessages _messages = new();

    /// <inheritdoc/>
    public async Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken)
    {
        EmbeddedMessageCheck.Messages(queue, messages);
        cancellationToken.ThrowIfCancellationRequested();
        if (messages.Count == 0)
        {
            return;
        }

        await Guarded(() => database.Main.WriteAsync(
            connection => _messages.Insert(connection, queue, messages, time.GetUtcNow().UtcTicks),
            Channel(queue).Added,
            cancellationToken));
    }

    /// <inheritdoc/>
    public Task<LockedMessage> ReceiveAsync(QueueDefinition queue, CancellationToken cancellationToken) => Guarded(async () =>
    {
        var channel = Channel(queue);
        await channel.LoadAsync(cancellationToken);
        return await channel.ReceiveAsync(cancellationToken);
    });

    /// <inheritdoc/>
    public Task<bool> CompleteAsync(LockedMessage message, CancellationToken cancellationToken) =>
        Guarded(() => Channel(message.Queue).CompleteAsync(message, cancellationToken));

    /// <inheritdoc/>
    public Task<bool> AbandonAsync(LockedMessage message, string reason, CancellationToken cancellationToken) =>
        Guarded(() => Channel(message.Queue).AbandonAsync(message, reason, cancellationToken));

    /// <inheritdoc/>
    public Task<bool> RenewAsync(LockedMessage message, CancellationToken cancellationToken) =>
        Task.FromResult(Channel(message.Queue).Renew(message));

    /// <inheritdoc/>
    public Task<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(QueueDefinition queue, int maximum, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maximum);
        return Guarded(async () =>
        {
            var channel = Channel(queue);
            await channel.LoadAsync(cancellationToken);
            channel.Refresh();

            // Read by the writer, behind what is already on its way there.
            return await database.Main.WriteAsync(
                connection => EmbeddedMessages.ReadDeadLetters(connection, queue, maximum), null, cancellationToken);
        });
    }

    /// <inheritdoc/>
    public Task RemoveDeadLetterAsync(DeadLetter letter, QueueDefinition queue, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(letter);
        return Guarded(() => database.Main.WriteAsync(
            connection => EmbeddedMessages.DeleteDeadLetter(connection, queue, letter.SequenceNumber), static _ => { }, cancellationToken));
    }

    /// <summary>Ends the waiting of receivers. The database is not this one's to close.</summary>
    public void Dispose()
    {
        foreach (var channel in _channels.Values)
        {
            channel.Dispose();
        }
    }

    internal static Exception Translate(Exception exception) =>
        exception is SqliteFileException or AggregateException ? new MessageQueueException(exception.Message, exception) : exception;

    private static async Task<T> Guarded<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (exception is SqliteFileException or AggregateException)
        {
            throw Translate(exception);
        }
    }

    private EmbeddedChannel Channel(QueueDefinition queue) =>
        _channels.GetOrAdd(queue.Name, static (_, my) => new(my.queue, my.database.Main, my.time, my.logger), (queue, database, time, logger));
}
