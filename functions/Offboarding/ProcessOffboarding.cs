using DingFlow.Hosting;
using DingFlow.HrSystems;
using DingFlow.Messaging;
using DingFlow.Offboarding.Reconciliation;

namespace DingFlow.Offboarding;

/// <summary>Handles the messages of the <c>offboarding</c> queue: person events from the inbox, and cases to be taken up.</summary>
public sealed class ProcessOffboarding(
    IInbox inbox, IInboxGate gate, ILeaverLookup lookup, ResignationDates resignations, CaseEvents events, CaseRunner runner, SessionEnding sessions,
    CaseAnnouncements announcements, Reconciler reconciler, TimeProvider time) : IQueueFunction
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

        if (body.Kind == OffboardingMessageKind.Reconcile)
        {
            await reconciler.RunAsync(cancellationToken);
            return;
        }

        if (body.Kind == OffboardingMessageKind.Run)
        {
            await runner.RunAsync(body.CaseId!, cancellationToken);
            await announcements.AnnounceAsync(body.CaseId!, cancellationToken);
            return;
        }

        var reference = body.Delivery!;
        if (await inbox.ReadAsync(reference, cancellationToken) is not { } work)
        {
            return; // Completed by an earlier delivery of this message.
        }

        if (await gate.IsHeldAsync(work.Source, cancellationToken))
        {
            return; // Its source was paused after it had been enqueued: the sweeper enqueues it again when the source goes on.
        }

        for (var i = 0; i < work.Events.Count; i++)
        {
            if (await HandleAsync(work, (reference.Item * EventsPerItem) + i, work.Events[i], cancellationToken) is { } wait)
            {
                // The events before it are heard again then, which changes nothing.
                await inbox.DeferAsync(reference, time.GetUtcNow() + wait, cancellationToken);
                return;
            }
        }

        await inbox.CompleteAsync(reference, cancellationToken);
    }

    /// <summary>Handles one event. Returns how long to wait before it is taken up again; <see langword="null"/> when it is done.</summary>
    private async Task<TimeSpan?> HandleAsync(InboxWork work, int item, PersonEvent personEvent, CancellationToken cancellationToken)
    {
        if (personEvent.Kind == PersonEventKind.SessionsRevoked)
        {
            return await sessions.EndAsync(personEvent, new LookupPlace(work.DeliveryId, item, work.Attempt, work.ReceivedAt), cancellationToken);
        }

        if (personEvent.Kind == PersonEventKind.Unresolved)
        {
            switch (await lookup.ResolveAsync(personEvent, new LookupPlace(work.DeliveryId, item, work.Attempt, work.ReceivedAt), cancellationToken))
            {
                case LeaverResolution.Later later:
                    return later.Wait;
                case LeaverResolution.Resolved resolved:
                    personEvent = resolved.Event;
                    break;
                default:
                    return null;
            }
        }

        if (personEvent.Kind is PersonEventKind.ResignationAgreed or PersonEventKind.LeaveRecorded)
        {
            (personEvent, var wait) = await resignations.DateAsync(personEvent, work.ReceivedAt, cancellationToken);
            if (wait is not null)
            {
                return wait;
            }
        }

        var signal = new CaseSignal
        {
            DeliveryId = work.DeliveryId,
            Item = item,
            Source = work.Source,
            Kind = personEvent.Kind,
            ReceivedAt = work.ReceivedAt,
            OccurredAt = personEvent.OccurredAt,
            VerifiedBy = work.VerifiedBy,
            BodyHash = work.BodyHash,
        };
        return await events.HandleAsync(personEvent, signal, cancellationToken);
    }
}
