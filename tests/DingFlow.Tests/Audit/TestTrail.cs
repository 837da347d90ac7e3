using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>
/// A trail that only keeps what it was told, for tests that count the operations of a feature: the real one moves its entries in the
/// background, at any time. The walk through the program and the tests of the trail use the real one.
/// </summary>
internal sealed class TestTrail(IEntityStore store) : IAuditTrail
{
    private readonly Lock _gate = new();
    private readonly List<AuditEvent> _events = [];

    public IReadOnlyList<AuditEvent> Events
    {
        get
        {
            lock (_gate)
            {
                return [.. _events];
            }
        }
    }

    public Task AppendAsync(AuditEvent auditEvent, CancellationToken cancellationToken)
    {
        Keep([auditEvent]);
        return Task.CompletedTask;
    }

    public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, IReadOnlyList<AuditEvent> events, CancellationToken cancellationToken)
    {
        var result = await store.SubmitAsync(transaction, cancellationToken);
        if (result.Committed)
        {
            Keep(events);
        }

        return result;
    }

    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<AuditedTransaction> transactions, CancellationToken cancellationToken)
    {
        var results = await store.SubmitManyAsync([.. transactions.Select(static one => one.Transaction)], cancellationToken);
        foreach (var (result, one) in results.Zip(transactions))
        {
            Keep(result.Committed ? one.Events : []);
        }

        return results;
    }

    private void Keep(IReadOnlyList<AuditEvent> events)
    {
        lock (_gate)
        {
            _events.AddRange(events);
        }
    }
}
