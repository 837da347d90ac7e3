using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Audit;

/// <summary>Journals of changes, for tests.</summary>
internal static class TestJournal
{
    /// <summary>A journal over a store and a trail; another one over the same store is another process.</summary>
    public static ChangeJournal Over(IEntityStore store, IAuditTrail trail, TimeProvider time, params IChangeSettler[] settlers) =>
        new(store, trail, new(() => settlers), time, NullLogger<ChangeJournal>.Instance);

    /// <summary>One that never fails, in a store of its own, for tests of the ledger that do not look at it.</summary>
    public static (ChangeJournal Journal, IAuditTrail Trail) Aside(TimeProvider time)
    {
        var store = new MemoryEntityStore();
        var trail = new TestTrail(store);
        return (Over(store, trail, time), trail);
    }
}
