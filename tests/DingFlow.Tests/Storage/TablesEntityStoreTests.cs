using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>The contract, over Table Storage as Azurite serves it.</summary>
public sealed class TablesEntityStoreTests(AzuriteFixture azurite) : EntityStoreContract
{
    private TablesEntityStore? _store;

    protected override async Task<IEntityStore> CreateStoreAsync() => _store = new(
        new() { ConnectionString = await azurite.ConnectionStringAsync(Token) },
        new(() => throw new InvalidOperationException("No token is needed.")), TimeProvider.System);

    public override ValueTask DisposeAsync()
    {
        _store?.Dispose();
        return base.DisposeAsync();
    }
}
