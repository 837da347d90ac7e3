using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>Handles the messages of the <c>offboarding</c> queue: person events from the inbox, and cases to be taken up.</summary>
public sealed class ProcessOffboarding(IInbox inbox, CaseEvents events, CaseRunner runner) : IQueueFunction
{
    /// <summary>Events of one work item are numbered within their delivery.</summary>
    private const int EventsPerItem = 1000;

    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        OffboardingMessage body;
        try
        {
            body = OffboardingMessage.Parse(message.Body.Span);
        }
        catch (FormatException e)
        {
            // Nobody but us writes to this queue; a body that cannot be read will not become readable by being delivered again.
            throw new UnusableMessageException($"The body is not one that this queue carries: {e.Message}");
        }

        if (body.Kind == OffboardingMessageKind.Run)
        {
            await runner.RunAsync(body.CaseId!, cancellationToken);
            return;
        }

        var reference = body.Delivery!;
        if (await inbox.ReadAsync(reference, cancellationToken) is not { } work)
        {
            return; // Completed by an earlier delivery of this message.
        }

        for (var i = 0; i < work.Events.Count; i++)
        {
            var personEvent = work.Events[i];
            var signal = new CaseSignal
            {
                DeliveryId = work.DeliveryId,
                Item = (reference.Item * EventsPerItem) + i,
                Source = work.Source,
                Kind = personEvent.Kind,
                ReceivedAt = work.ReceivedAt,
                OccurredAt = personEvent.OccurredAt,
                VerifiedBy = work.VerifiedBy,
                BodyHash = work.BodyHash,
            };
            await events.HandleAsync(personEvent, signal, cancellationToken);
        }

        await inbox.CompleteAsync(reference, cancellationToken);
    }
}
