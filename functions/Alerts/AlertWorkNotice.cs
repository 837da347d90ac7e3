using DingFlow.DingTalk;
using DingFlow.Remote;

namespace DingFlow.Alerts;

/// <summary>
/// Sends work notices. DingTalk takes more than it delivers (over its limits it answers success and delivers nothing), so that each is
/// asked after. Source: "Work notification" of the DingTalk Open Platform.
/// </summary>
public sealed class AlertWorkNotice(DingTalkClients clients) : IAlertChannelSender
{
    /// <summary>DingTalk takes 2048 bytes for the whole message.</summary>
    private const int TextBytes = 1600;

    private const int TitleBytes = 200;

    /// <inheritdoc/>
    public AlertChannelType Type => AlertChannelType.WorkNotice;

    /// <inheritdoc/>
    public bool Serves(AlertChannel channel) => channel is WorkNoticeChannel;

    /// <inheritdoc/>
    public async Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        var receiver = (WorkNoticeChannel)channel;
        var text = AlertWording.Of(notice, receiver.Language);
        var sent = await clients[receiver.Tenant].SendWorkNoticeAsync(
            new(receiver.AgentId, receiver.UserIds, receiver.DepartmentIds,
                AlertWording.Cut(AlertWording.Title(text), TitleBytes), AlertWording.Markdown(text, TextBytes)),
            cancellationToken);
        return sent.IsOk ? new(AlertAttemptOutcome.Unproved, "taken", Reference: sent.Value) : Failed(sent);
    }

    /// <inheritdoc/>
    public async Task<AlertAttempt> ProveAsync(AlertChannel channel, string reference, CancellationToken cancellationToken)
    {
        var receiver = (WorkNoticeChannel)channel;
        var answer = await clients[receiver.Tenant].ReadWorkNoticeResultAsync(receiver.AgentId, reference, cancellationToken);
        if (!answer.IsOk)
        {
            // Not being able to ask says nothing about the notice.
            return new(AlertAttemptOutcome.Unproved, $"{answer.Status} {answer.Code}");
        }

        var result = answer.Value!;
        return result.Reached > 0 ? new(AlertAttemptOutcome.Delivered, result.Refused == 0 ? "proved" : $"proved, but refused for {result.Refused} receiver(s) {result.FlowCode}".TrimEnd())
            : result.Refused > 0 ? new(AlertAttemptOutcome.Failed, $"refused for {result.Refused} receiver(s) {result.FlowCode}".TrimEnd())
            : new(AlertAttemptOutcome.Unproved, "nobody yet");
    }

    private static AlertAttempt Failed(RemoteResult result) => new(AlertAttemptOutcome.Failed, $"{result.Status} {result.Code}", result.RetryAfter);
}
