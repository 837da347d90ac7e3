using System.Globalization;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Intake;

/// <summary>
/// The tokens that senders hand over before they send (Gusto). They become secrets, so that they are kept like deliveries: encrypted, in
/// the inbox; a row per source names the latest.
/// </summary>
public sealed class HrHandshakes(IEntityStore store, IInbox inbox, IAlertSender alerts, TimeProvider timeProvider)
{
    private const string Table = "HrHandshakes";
    private const string LatestRow = "latest";

    /// <summary>Keeps what came and tells people that it is there.</summary>
    public async Task KeepAsync(HrSource source, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        var now = timeProvider.GetUtcNow();
        var receipt = await inbox.AcceptAsync(
            new InboxDelivery { Source = source.QualifiedName, EventTime = now, Body = body, VerifiedBy = -1, IsHandshake = true, Events = [] }, cancellationToken);
        var row = new Entity(source.Name, LatestRow) { Properties = { ["DeliveryId"] = receipt.DeliveryId, ["ReceivedAt"] = now } };
        await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(row)), cancellationToken);
        await alerts.SendAsync(
            new AlertMessage
            {
                // Nothing signs a handshake: whoever sends many may not wake people for each.
                AlertId = string.Create(CultureInfo.InvariantCulture, $"intake.handshake:{source.Name}:{now:yyyyMMddHH}"),
                Type = "intake.handshake",
                Severity = AlertSeverity.Information,
                OccurredAt = now,
                Summary = $"The HR source {source.Name} sent a verification token: fetch it, confirm the subscription with it, enter it as the secret, and switch Handshake off. If nobody made a subscription, switch Handshake off.",
                About = source.QualifiedName,
            },
            cancellationToken);
    }

    /// <summary>The latest token of a source; <see langword="null"/> when there is none.</summary>
    public async Task<HrHandshake?> FindAsync(HrSource source, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (await store.GetAsync(Table, source.Name, LatestRow, cancellationToken) is not { } row
            || await inbox.FindAsync(row.Properties.Require<string>("DeliveryId"), cancellationToken) is not { } delivery
            || GustoDialect.TokenOf(delivery.Body.Span) is not { } token)
        {
            return null;
        }

        return new HrHandshake(token, row.Properties.Require<DateTimeOffset>("ReceivedAt"));
    }
}

/// <summary>A token that a sender handed over.</summary>
/// <param name="VerificationToken">It.</param>
/// <param name="ReceivedAt">When it came, UTC.</param>
public sealed record HrHandshake(string VerificationToken, DateTimeOffset ReceivedAt)
{
    /// <summary>Nothing of the content: the token is a secret.</summary>
    public override string ToString() => nameof(HrHandshake);
}
