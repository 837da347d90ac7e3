using DingFlow.Entra;
using DingFlow.Messaging;
using DingFlow.Remote;

namespace DingFlow.Alerts;

/// <summary>
/// Sends e-mail through Microsoft Graph. Graph knows no repetition, so a message is kept in the mailbox's drafts before it is sent, and
/// whoever does not know whether it was sent asks the mailbox (<see cref="EntraDirectory.SendMailOnceAsync"/>). A channel that may only send
/// (<see cref="MailChannel.SendOnly"/>) cannot ask: an answer that is lost may double its mail.
/// </summary>
public sealed class AlertMail(EntraDirectory directory, IAlertDocuments documents) : IAlertChannelSender
{
    /// <summary>A mailbox files what it sends within seconds; until then a message that was sent may still look like a draft.</summary>
    private static readonly TimeSpan Filing = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public AlertChannelType Type => AlertChannelType.Mail;

    /// <inheritdoc/>
    public bool Serves(AlertChannel channel) => channel is MailChannel;

    /// <inheritdoc/>
    public async Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(notice);
        var receiver = (MailChannel)channel;
        var enclosures = await AlertEnclosures.ReadAsync(documents, notice, receiver.DocumentBytes, cancellationToken);
        var text = AlertWording.Of(notice, receiver.Language);
        text = text with { Lines = [.. text.Lines, .. enclosures.Select(one => AlertWording.Enclosure(one, receiver.Language))] };
        var mail = new EntraMail(
            receiver.From, receiver.To, $"DingFlow: {AlertWording.Title(text)}", AlertWording.Plain(text), $"{notice.Id}.{receiver.Name}@dingflow.alerts")
        {
            Attachments = [.. enclosures.Where(static one => one.IsEnclosed).Select(AttachmentOf)],
        };
        var sent = await (receiver.SendOnly ? directory.SendMailAsync(mail, cancellationToken) : directory.SendMailOnceAsync(mail, cancellationToken));
        var asked = sent.Status == RemoteStatus.Unavailable && !receiver.SendOnly && !(sent.RetryAfter > Filing) ? Filing : sent.RetryAfter;
        return sent.IsOk
            ? new(AlertAttemptOutcome.Delivered, "accepted")
            : new(AlertAttemptOutcome.Failed, $"{sent.Status} {sent.Code}", asked);
    }

    private static EntraAttachment AttachmentOf(AlertEnclosure one) => one.Form == EnclosureForm.Gzip
        ? new(one.Document.Name + ".gz", "application/gzip", one.Content)
        : new(one.Document.Name, one.Document.MediaType, one.Content);
}
