using DingFlow.Remote;
using Microsoft.Graph.Models;
using Microsoft.Graph.Users.Item.SendMail;

namespace DingFlow.Entra;

/// <content>E-mail.</content>
internal sealed partial class GraphCalls
{
    /// <summary>
    /// The named property that carries a message's key, so that a mailbox can be asked for it. The form and the filter are those of
    /// "singleValueLegacyExtendedProperty" in Graph's reference; the GUID is our own.
    /// </summary>
    private const string KeyProperty = "String {9f1b6a52-0f0e-4c53-9a0b-6d6b1c1f7a3e} Name DingFlowMessage";

    private const int MostCopies = 20;

    private static readonly string[] MailPermissions = ["Mail.ReadWrite"];

    /// <summary>Sends an e-mail in one call, of which nothing is known when its answer is lost.</summary>
    public async Task<RemoteResult> SendMailAsync(EntraMail mail, CancellationToken cancellationToken) => Plain(await CallAsync(
        "users.sendMail", ["Mail.Send"], async (exchange, token) =>
        {
            await _graph.Users[mail.From].SendMail.PostAsync(
                new SendMailPostRequestBody { Message = MessageOf(mail), SaveToSentItems = true }, request => request.Options.Add(exchange), token);
            return Done.Value;
        }, cancellationToken, CallKind.Once));

    /// <summary>The copies of a message in its mailbox, whatever folder they are in.</summary>
    public Task<RemoteResult<IReadOnlyList<MailCopy>>> FindMailAsync(string mailbox, string key, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<MailCopy>>("messages.find", MailPermissions, async (exchange, token) =>
        {
            var page = await _graph.Users[mailbox].Messages.GetAsync(
                request =>
                {
                    request.QueryParameters.Filter = $"singleValueExtendedProperties/Any(ep: ep/id eq '{KeyProperty}' and ep/value eq '{key.Replace("'", "''", StringComparison.Ordinal)}')";
                    request.QueryParameters.Select = ["id", "isDraft"];
                    request.QueryParameters.Top = MostCopies;
                    request.Options.Add(exchange);
                },
                token);

            // Silence on whether it is a draft is no proof that it was sent.
            return page?.Value?.Where(static message => message.Id is not null).Select(static message => new MailCopy(message.Id!, message.IsDraft != false)).ToList();
        }, cancellationToken);

    /// <summary>Puts a message into the mailbox's drafts.</summary>
    public Task<RemoteResult<MailCopy>> CreateDraftAsync(EntraMail mail, CancellationToken cancellationToken) =>
        CallAsync("messages.create", MailPermissions, async (exchange, token) =>
        {
            var message = MessageOf(mail);
            message.SingleValueExtendedProperties = [new() { Id = KeyProperty, Value = mail.Key }];
            var draft = await _graph.Users[mail.From].Messages.PostAsync(message, request => request.Options.Add(exchange), token);
            return draft?.Id is { } id ? new MailCopy(id, IsDraft: true) : null;
        }, cancellationToken, CallKind.Once);

    /// <summary>Sends a draft, which then is a message in Sent Items under another id.</summary>
    public async Task<RemoteResult> SendDraftAsync(string mailbox, string id, CancellationToken cancellationToken) => Plain(await CallAsync(
        "messages.send", ["Mail.Send"], async (exchange, token) =>
        {
            await _graph.Users[mailbox].Messages[id].Send.PostAsync(request => request.Options.Add(exchange), token);
            return Done.Value;
        }, cancellationToken, CallKind.Once));

    private static Message MessageOf(EntraMail mail) => new()
    {
        Subject = mail.Subject,
        Body = new ItemBody { ContentType = BodyType.Text, Content = mail.Body },
        ToRecipients = [.. mail.To.Select(static address => new Recipient { EmailAddress = new EmailAddress { Address = address } })],
        InternetMessageId = $"<{mail.Key}>",
        Attachments = mail.Attachments.Count == 0
            ? null
            : [.. mail.Attachments.Select(static file => new FileAttachment { Name = file.Name, ContentType = file.MediaType, ContentBytes = file.Content })],
    };
}

/// <summary>A copy of a message in a mailbox.</summary>
/// <param name="Id">Its id in the mailbox.</param>
/// <param name="IsDraft">It was not sent yet.</param>
internal sealed record MailCopy(string Id, bool IsDraft);
