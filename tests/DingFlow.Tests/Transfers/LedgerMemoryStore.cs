using DingFlow.Storage;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>The store in memory, for tests of the ledger: it can be asked whom it holds.</summary>
internal sealed class LedgerMemoryStore : MemoryEntityStore
{
    /// <summary>Some stored byte sequence names the subject.</summary>
    public bool Holds(SubjectPseudonym subject)
    {
        var writer = new PackedWriter();
        writer.Key(SubjectKey.Of(subject));
        return Any(row => row.Properties.Values.OfType<byte[]>().Any(bytes => bytes.AsSpan().IndexOf(writer.Written) >= 0));
    }
}

public sealed class LedgerMemoryStoreTests : EntityStoreContract
{
    protected override Task<IEntityStore> CreateStoreAsync() => Task.FromResult<IEntityStore>(new LedgerMemoryStore());
}
