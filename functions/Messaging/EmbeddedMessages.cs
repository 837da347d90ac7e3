using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>What memory keeps of a stored message; the rest stays on disk until its delivery.</summary>
internal readonly record struct EmbeddedRow(long Sequence, string? Session, long OrderAt, bool Scheduled, int Deliveries);

/// <summary>The messages of the embedded queue on disk. Times are UTC ticks. All methods run on the writer of the file.</summary>
internal sealed class EmbeddedMessages
{
    private const int ReasonLength = 4096;

    // Belongs to the writer's thread. The clock may step back; the order of sending must not.
    private long _lastOrder = -1;

    /// <summary>Stores the messages that are no duplicates and returns what was stored.</summary>
    public List<EmbeddedRow> Insert(SqliteConnection connection, QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, long now)
    {
        List<EmbeddedRow> rows = new(messages.Count);
        var order = _lastOrder = Math.Max(now, _lastOrder < 0 ? LastOrder(connection) : _lastOrder);
        Prune(connection, now, (2 * messages.Count) + 16);
        foreach (var message in messages)
        {
            if (IsDuplicate(connection, queue, message, now))
            {
                continue;
            }

            var scheduled = message.EnqueueAt is { } at && at.UtcTicks > now;
            var orderAt = scheduled ? message.EnqueueAt!.Value.UtcTicks : order;
            using var insert = connection.Statement(
                """
                INSERT INTO messages(queue, session, order_at, scheduled, deliveries, message_id, subject, trace_parent, body)
                VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8) RETURNING seq
                """)
                .Bind(1, queue.Name).Bind(2, message.SessionId).Bind(3, orderAt).Bind(4, scheduled ? 1 : 0)
                .Bind(5, message.MessageId).Bind(6, message.Subject).Bind(7, message.TraceParent).Bind(8, message.Body.Span);
            insert.Step();
            rows.Add(new(insert.Long(0), message.SessionId, orderAt, scheduled, 0));
        }

        return rows;
    }

    /// <summary>All messages of a queue, in order.</summary>
    public static List<EmbeddedRow> Load(SqliteConnection connection, QueueDefinition queue)
    {
        List<EmbeddedRow> rows = [];
        using var read = connection.Statement(
            "SELECT seq, session, order_at, scheduled, deliveries FROM messages WHERE queue = ?1 ORDER BY order_at, seq").Bind(1, queue.Name);
        while (read.Step())
        {
            rows.Add(new(read.Long(0), read.TextOrNull(1), read.Long(2), read.Long(3) != 0, (int)read.Long(4)));
        }

        return rows;
    }

    /// <summary>Counts a delivery and returns the message to deliver; <see langword="null"/> when it is not there.</summary>
    public static ReceivedMessage? Deliver(SqliteConnection connection, QueueDefinition queue, long sequence)
    {
        using var update = connection.Statement(
            """
            UPDATE messages SET deliveries = deliveries + 1 WHERE seq = ?1
            RETURNING session, order_at, deliveries, message_id, subject, trace_parent, body
            """).Bind(1, sequence);
        return update.Step() ? MessageOf(update, queue) : null;
    }

    /// <summary>Removes a message.</summary>
    public static bool Delete(SqliteConnection connection, long sequence)
    {
        using var delete = connection.Statement("DELETE FROM messages WHERE seq = ?1").Bind(1, sequence);
        delete.Step();
        return connection.Changes > 0;
    }

    /// <summary>Moves a message to the dead letters.</summary>
    public static bool DeadLetter(SqliteConnection connection, long sequence, string reason, long now)
    {
        using (var copy = connection.Statement(
            """
            INSERT INTO dead_letters(queue, seq, session, order_at, deliveries, message_id, subject, trace_parent, reason, at, body)
            SELECT queue, seq, session, order_at, deliveries, message_id, subject, trace_parent, ?2, ?3, body FROM messages WHERE seq = ?1
            """)
            .Bind(1, sequence).Bind(2, reason.Length <= ReasonLength ? reason : reason[..ReasonLength]).Bind(3, now))
        {
            copy.Step();
        }

        return Delete(connection, sequence);
    }

    /// <summary>The dead letters of a queue, oldest first.</summary>
    public static IReadOnlyList<DeadLetter> ReadDeadLetters(SqliteConnection connection, QueueDefinition queue, int maximum)
    {
        List<DeadLetter> letters = [];
        using var read = connection.Statement(
            """
            SELECT session, order_at, deliveries, message_id, subject, trace_parent, body, seq, reason, at
            FROM dead_letters WHERE queue = ?1 ORDER BY id LIMIT ?2
            """).Bind(1, queue.Name).Bind(2, maximum);
        while (read.Step())
        {
            letters.Add(new(MessageOf(read, queue), read.Long(7), read.Text(8), Time(read.Long(9))));
        }

        return letters;
    }

    /// <summary>Forgets a dead letter.</summary>
    public static bool DeleteDeadLetter(SqliteConnection connection, QueueDefinition queue, long sequence)
    {
        using var delete = connection.Statement("DELETE FROM dead_letters WHERE queue = ?1 AND seq = ?2").Bind(1, queue.Name).Bind(2, sequence);
        delete.Step();
        return connection.Changes > 0;
    }

    private static ReceivedMessage MessageOf(SqliteStatement row, QueueDefinition queue) => new()
    {
        Queue = queue.Name,
        SessionId = row.TextOrNull(0),
        EnqueuedAt = Time(row.Long(1)),
        DeliveryCount = (int)row.Long(2),
        MessageId = row.Text(3),
        Subject = row.TextOrNull(4),
        TraceParent = row.TextOrNull(5),
        Body = row.Bytes(6).ToArray(),
    };

    private static DateTimeOffset Time(long ticks) => new(ticks, TimeSpan.Zero);

    private static long LastOrder(SqliteConnection connection)
    {
        using var read = connection.Statement("SELECT order_at FROM messages WHERE scheduled = 0 ORDER BY seq DESC LIMIT 1");
        return read.Step() ? read.Long(0) : 0;
    }

    /// <summary>Remembers the message's id; <see langword="true"/> when it was already remembered within the window.</summary>
    private static bool IsDuplicate(SqliteConnection connection, QueueDefinition queue, OutgoingMessage message, long now)
    {
        if (queue.DuplicateDetection <= TimeSpan.Zero)
        {
            return false;
        }

        using var remember = connection.Statement(
            """
            INSERT INTO message_ids(queue, message_id, expires_at) VALUES(?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at WHERE expires_at <= ?4
            """)
            .Bind(1, queue.Name).Bind(2, message.MessageId).Bind(3, now + queue.DuplicateDetection.Ticks).Bind(4, now);
        remember.Step();
        return connection.Changes == 0;
    }

    /// <summary>Forgets some of the ids whose window has passed: more than the call adds, so that they never pile up.</summary>
    private static void Prune(SqliteConnection connection, long now, int maximum)
    {
        using var prune = connection.Statement(
            """
            DELETE FROM message_ids WHERE (queue, message_id) IN
              (SELECT queue, message_id FROM message_ids WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
            """).Bind(1, now).Bind(2, maximum);
        prune.Step();
    }
}
