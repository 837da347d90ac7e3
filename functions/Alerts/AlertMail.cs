using DingFlow.Entra;

namespace DingFlow.Alerts;

/// <summary>
/// Sends e-mail through Microsoft Graph (<c>sendMail</c>, permission <c>Mail.Send</c>). Graph knows no repetition: an attempt whose
/// answer is lost may have sent it, and the next sends it once more under the same message id. Whether a mailbox folds the two is its own business.
/// </summary>
public sealed class AlertMail(EntraDirectory directory) : IAlertChannelSender
{
    /// <inheritdoc/>
    public AlertChannelType Type => AlertChannelType.Mail;

    /// <inheritdoc/>
    public bool Serves(AlertChannel channel) => channel is MailChannel;

    /// <inheritdoc/>
    public async Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(notice);
        var mail = (MailChannel)channel;
        var text = AlertWording.Of(notice, mail.Language);
        var sent = await directory.SendMailAsync(
            new(mail.From, mail.To, $"DingFlow: {AlertWording.Title(text)}", AlertWording.Plain(text), $"<{notice.Id}.{mail.Name}@dingflow.alerts>"),
            cancellationToken);
        return sent.IsOk
            ? new(AlertAttemptOutcome.Delivered, "accepted")
            : new(AlertAttemptOutcome.Failed, $"{sent.Status} {sent.Code}", sent.RetryAfter);
    }
}
