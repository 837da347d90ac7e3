using System.Collections.Immutable;

namespace DingFlow.Sandbox;

/// <summary>A message that reached people.</summary>
/// <param name="At">When.</param>
/// <param name="Operation">By which call: <c>robot.send</c>, <c>corpconversation.asyncsend_v2</c>, <c>users.sendMail</c> or <c>messages.send</c>.</param>
/// <param name="Id">The sender's own id of it (<c>msgUuid</c>, <c>Message-ID</c>), or the task id of a work notice.</param>
/// <param name="Receivers">Who got it; for a robot, its group.</param>
/// <param name="Title">Its title or subject.</param>
/// <param name="Text">Its text.</param>
public sealed record SandboxMessage(
    DateTimeOffset At, string Operation, string Id, ImmutableArray<string> Receivers, string Title, string Text)
{
    /// <summary>The files that came with it.</summary>
    public ImmutableArray<SandboxAttachment> Attachments { get; init; } = [];
}

/// <summary>A file that came with an e-mail.</summary>
/// <param name="Name">Its name.</param>
/// <param name="ContentType">Its media type.</param>
/// <param name="Content">Its bytes.</param>
public sealed record SandboxAttachment(string Name, string ContentType, byte[] Content);

/// <summary>A message in a mailbox.</summary>
internal sealed record SandboxMailboxMessage(
    string Mailbox, string Id, bool IsDraft, SandboxMessage Mail, ImmutableArray<(string Id, string Value)> Properties);

/// <summary>What happens to a work notice after it was taken.</summary>
public enum SandboxNoticeFate
{
    /// <summary>It reaches its receivers.</summary>
    Delivered,

    /// <summary>A limit keeps it from everybody, though success was answered.</summary>
    Limited,

    /// <summary>Nothing is known about it.</summary>
    Silent,
}

/// <summary>The messages that people got, and the rules by which the channels take them. In memory; safe from any thread.</summary>
public sealed class SandboxOutbox(TimeProvider timeProvider)
{
    private const int Capacity = 2_000;
    private const int RobotMessagesPerMinute = 20;
    private static readonly TimeSpan RobotBan = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private readonly Queue<DateTimeOffset> _robotTurns = new();
    private readonly HashSet<string> _robotIds = new(StringComparer.Ordinal);
    private readonly HashSet<(DateOnly Day, string UserId, string Content)> _noticesOfDays = [];
    private readonly Dictionary<long, (ImmutableArray<string> Reached, ImmutableArray<string> Unknown, ImmutableArray<string> Forbidden)> _notices = [];
    private readonly List<SandboxMailboxMessage> _mailboxes = [];
    private ImmutableList<SandboxMessage> _messages = [];
    private DateTimeOffset _robotBannedUntil;
    private long _lastTask = 456_000;
    private long _lastMessage;

    /// <summary>What happens to work notices from now on.</summary>
    public SandboxNoticeFate NoticeFate { get; set; }

    /// <summary>The last messages, oldest first.</summary>
    public ImmutableArray<SandboxMessage> Messages
    {
        get
        {
            lock (_lock)
            {
                return [.. _messages];
            }
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _messages = [];
            _robotTurns.Clear();
            _robotIds.Clear();
            _noticesOfDays.Clear();
            _notices.Clear();
            _mailboxes.Clear();
            _robotBannedUntil = default;
            NoticeFate = SandboxNoticeFate.Delivered;
        }
    }

    /// <summary>Takes a robot's message. <see langword="false"/>: more than 20 within a minute, which bans the robot for ten.</summary>
    internal bool TakeRobot(string? id, string title, string text)
    {
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            while (_robotTurns.TryPeek(out var turn) && now - turn >= TimeSpan.FromMinutes(1))
            {
                _robotTurns.Dequeue();
            }

            if (now < _robotBannedUntil || _robotTurns.Count >= RobotMessagesPerMinute)
            {
                _robotBannedUntil = now < _robotBannedUntil ? _robotBannedUntil : now + RobotBan;
                return false;
            }

            _robotTurns.Enqueue(now);
            if (id is null || _robotIds.Add(id))
            {
                Keep(new(now, SandboxOperations.RobotSend, id ?? "", ["group"], title, text));
            }

            return true;
        }
    }

    /// <summary>Takes a work notice and returns its task id. The same content reaches a person once a day.</summary>
    internal long TakeNotice(ImmutableArray<string> known, ImmutableArray<string> unknown, string title, string text)
    {
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            var task = ++_lastTask;
            if (NoticeFate != SandboxNoticeFate.Delivered)
            {
                _notices[task] = ([], unknown, NoticeFate == SandboxNoticeFate.Limited ? known : []);
                return task;
            }

            var day = DateOnly.FromDateTime(now.UtcDateTime);
            var reached = known.Where(userId => _noticesOfDays.Add((day, userId, text))).ToImmutableArray();
            _notices[task] = (known, unknown, []);
            if (!reached.IsEmpty)
            {
                Keep(new(now, SandboxOperations.WorkNotice, task.ToString(System.Globalization.CultureInfo.InvariantCulture), reached, title, text));
            }

            return task;
        }
    }

    /// <summary>What became of a work notice.</summary>
    internal (ImmutableArray<string> Reached, ImmutableArray<string> Unknown, ImmutableArray<string> Forbidden)? NoticeOf(long task)
    {
        lock (_lock)
        {
            return _notices.TryGetValue(task, out var notice) ? notice : null;
        }
    }

    /// <summary>Takes an e-mail. Graph accepts the same message as often as it is sent.</summary>
    internal void TakeMail(SandboxMessage mail)
    {
        lock (_lock)
        {
            Keep(mail with { At = timeProvider.GetUtcNow() });
        }
    }

    /// <summary>Puts a message into the drafts of a mailbox, as often as it is asked to, and returns its id.</summary>
    internal string TakeDraft(string mailbox, SandboxMessage mail, ImmutableArray<(string Id, string Value)> properties)
    {
        lock (_lock)
        {
            var id = NewId();
            _mailboxes.Add(new(mailbox, id, IsDraft: true, mail, properties));
            return id;
        }
    }

    /// <summary>Sends a draft; it is in Sent Items then, under another id. <see langword="false"/>: there is no such draft.</summary>
    internal bool SendDraft(string mailbox, string id)
    {
        lock (_lock)
        {
            var at = _mailboxes.FindIndex(message => message.IsDraft && message.Mailbox == mailbox && message.Id == id);
            if (at < 0)
            {
                return false;
            }

            _mailboxes[at] = _mailboxes[at] with { Id = NewId(), IsDraft = false };
            Keep(_mailboxes[at].Mail with { At = timeProvider.GetUtcNow() });
            return true;
        }
    }

    /// <summary>The messages of a mailbox, in any folder, that have an extended property of this value.</summary>
    internal ImmutableArray<SandboxMailboxMessage> MessagesWith(string mailbox, string property, string value)
    {
        lock (_lock)
        {
            return [.. _mailboxes.Where(message => message.Mailbox == mailbox && message.Properties.Contains((property, value)))];
        }
    }

    private string NewId() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"AAMkAGI{++_lastMessage:D8}");

    private void Keep(SandboxMessage message) =>
        _messages = _messages.Count < Capacity ? _messages.Add(message) : _messages.RemoveAt(0).Add(message);
}
