using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>What kind of receiver a channel has.</summary>
public enum AlertChannelType
{
    /// <summary>An outgoing webhook after Standard Webhooks 1.0.0.</summary>
    Webhook,

    /// <summary>A custom robot in a DingTalk group.</summary>
    Robot,

    /// <summary>A work notice to DingTalk users or departments; its delivery is verified.</summary>
    WorkNotice,

    /// <summary>E-mail through Microsoft Graph.</summary>
    Mail,
}

/// <summary>Where alerts go besides the log (<c>Alerts:Channels:{name}</c>).</summary>
public abstract record AlertChannel
{
    /// <summary>Our name of it.</summary>
    public required string Name { get; init; }

    /// <summary>Alerts of less weight are not sent here.</summary>
    public AlertSeverity Severity { get; init; } = AlertSeverity.Information;

    /// <summary>The language of its readers; a webhook carries facts and English.</summary>
    public AlertLanguage Language { get; init; } = AlertLanguage.English;

    /// <summary>
    /// How long the first alert of a burst waits for others, so that they become one message; zero sends each by itself. The wait of
    /// Alertmanager's <c>group_wait</c>.
    /// </summary>
    public TimeSpan GroupWait { get; init; }

    /// <summary>The areas whose alerts go here, such as <c>thresholds</c>; none means all.</summary>
    public IReadOnlyList<string> Areas { get; init; } = [];

    /// <summary>Changes when the receiver does: a channel that its receiver ended works again once it is configured anew.</summary>
    public string Fingerprint => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Receiver)).AsSpan(0, 8));

    /// <summary>All that names the receiver, its secret included; never logged.</summary>
    protected abstract string Receiver { get; }

    /// <summary>The alert goes here.</summary>
    public bool Takes(AlertMessage alert)
    {
        ArgumentNullException.ThrowIfNull(alert);
        return alert.Severity >= Severity && (Areas.Count == 0 || Areas.Contains(alert.Type.Split('.')[0]));
    }

    /// <summary>The name only: the record holds secrets.</summary>
    public sealed override string ToString() => $"alert channel {Name}";
}

/// <summary>A receiver of Standard Webhooks.</summary>
public sealed record WebhookChannel : AlertChannel
{
    /// <summary>The receiver: https, or the loopback. It may hold a token, so it is never logged.</summary>
    public required Uri Url { get; init; }

    /// <summary>The key that signs.</summary>
    public required ReadOnlyMemory<byte> Secret { get; init; }

    /// <summary>How many characters of base64 the documents of a message may take; receivers have limits of their own. 0 for none.</summary>
    public int DocumentBytes { get; init; } = DefaultDocumentBytes;

    /// <summary>What a message carries unless the settings say otherwise.</summary>
    public const int DefaultDocumentBytes = 256 * 1024;

    /// <inheritdoc/>
    protected override string Receiver => $"{Url.AbsoluteUri}|{Convert.ToBase64String(Secret.Span)}";
}

/// <summary>A custom robot of a DingTalk group, with the guard "signature".</summary>
public sealed record RobotChannel : AlertChannel
{
    /// <summary>Where robots are in mainland China.</summary>
    public static Uri DefaultUrl { get; } = new("https://oapi.dingtalk.com/robot/send");

    /// <summary>Messages that DingTalk takes from a robot within a minute; more block it for ten.</summary>
    public const int MessagesPerMinute = 20;

    /// <summary>The minute, and as much as messages may bunch on their way: DingTalk counts them as they arrive.</summary>
    public static TimeSpan Minute { get; } = TimeSpan.FromSeconds(62);

    /// <summary>Where robots are; the token is added to it.</summary>
    public required Uri Url { get; init; }

    /// <summary>Which robot: the <c>access_token</c> of its address.</summary>
    public required string AccessToken { get; init; }

    /// <summary>The robot's secret, <c>SEC…</c>.</summary>
    public required string Secret { get; init; }

    /// <summary>
    /// The property of the message that names it, the same with every attempt; <see langword="null"/> for none. DingTalk's reference has
    /// <c>msgUuid</c>, and no public source shows where it stands.
    /// </summary>
    public string? IdField { get; init; } = DefaultIdField;

    /// <summary>The property that names a message unless the settings say otherwise.</summary>
    public const string DefaultIdField = "msgUuid";

    /// <summary>
    /// Names the robot, whichever channels it serves (one per language or area, say): its pace is counted for all of them together.
    /// </summary>
    internal string Robot => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Url.AbsoluteUri}|{AccessToken}")).AsSpan(0, 8));

    /// <inheritdoc/>
    protected override string Receiver => $"{Url.AbsoluteUri}|{AccessToken}|{Secret}";
}

/// <summary>Work notices of a DingTalk app.</summary>
public sealed record WorkNoticeChannel : AlertChannel
{
    /// <summary>The tenant whose app sends (<c>DingTalk:Tenants:{tenant}</c>).</summary>
    public required string Tenant { get; init; }

    /// <summary>The app's agent id.</summary>
    public required long AgentId { get; init; }

    /// <summary>Who gets it, at most 100.</summary>
    public IReadOnlyList<string> UserIds { get; init; } = [];

    /// <summary>Departments that get it, at most 20.</summary>
    public IReadOnlyList<long> DepartmentIds { get; init; } = [];

    /// <inheritdoc/>
    protected override string Receiver => $"{Tenant}|{AgentId}|{string.Join(',', UserIds)}|{string.Join(',', DepartmentIds)}";
}

/// <summary>E-mail from a mailbox of the Entra directory.</summary>
public sealed record MailChannel : AlertChannel
{
    /// <summary>The mailbox that sends: its address or object id.</summary>
    public required string From { get; init; }

    /// <summary>Who gets it.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>Only <c>Mail.Send</c> was granted: the mailbox is not read, and a mail whose answer is lost may come twice.</summary>
    public bool SendOnly { get; init; }

    /// <summary>How many characters of base64 the documents of a message may take; 0 for none.</summary>
    public int DocumentBytes { get; init; } = MaximumDocumentBytes;

    /// <summary>Graph takes requests of 4 MB, and files of up to 3 MB within them.</summary>
    public const int MaximumDocumentBytes = 3_000_000;

    /// <inheritdoc/>
    protected override string Receiver => $"{From}|{string.Join(',', To)}";
}

/// <summary>What one message carries to a channel: one alert, or those of a burst.</summary>
/// <param name="Id">Names the message, the same with every attempt.</param>
/// <param name="Alerts">The alerts, in the order in which they came.</param>
public sealed record AlertNotice(string Id, IReadOnlyList<TellingOfAlert> Alerts);

/// <summary>An alert that is told.</summary>
/// <param name="Key">Names it in our addresses.</param>
/// <param name="Alert">The alert.</param>
/// <param name="Occurrence">1 for the first time, more when nobody acknowledged it.</param>
public sealed record TellingOfAlert(string Key, AlertMessage Alert, int Occurrence);

/// <summary>How an attempt to deliver a message ended.</summary>
public enum AlertAttemptOutcome
{
    /// <summary>The receiver took it.</summary>
    Delivered,

    /// <summary>It was taken, and whether it reached anybody must be asked for.</summary>
    Unproved,

    /// <summary>Another attempt may succeed.</summary>
    Failed,

    /// <summary>The receiver wants nothing from us any more.</summary>
    Gone,
}

/// <summary>How an attempt to deliver a message ended.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Detail">The status, or what kind of trouble; safe to log.</param>
/// <param name="RetryAfter">How long the receiver asks us to wait.</param>
/// <param name="Reference">By what to ask whether it was delivered.</param>
public sealed record AlertAttempt(AlertAttemptOutcome Outcome, string Detail, TimeSpan? RetryAfter = null, string? Reference = null);

/// <summary>Sends to one kind of channel.</summary>
public interface IAlertChannelSender
{
    /// <summary>Which kind.</summary>
    AlertChannelType Type { get; }

    /// <summary>The sender is for this channel.</summary>
    bool Serves(AlertChannel channel);

    /// <summary>Makes one attempt. It never throws for what the receiver or the way to it did.</summary>
    Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken);

    /// <summary>Asks what became of an attempt that was <see cref="AlertAttemptOutcome.Unproved"/>; still that when it cannot be said yet.</summary>
    Task<AlertAttempt> ProveAsync(AlertChannel channel, string reference, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"Deliveries by {Type} need no proof.");
}
