namespace DingFlow.Storage;

/// <summary>A store that can be read from end to end, for backups. Whatever is written meanwhile may be seen or not.</summary>
internal interface IStoredRows
{
    /// <summary>Every row of every table.</summary>
    /// <exception cref="EntityStoreException">The store cannot be read.</exception>
    IAsyncEnumerable<StoredRow> ReadAllAsync(CancellationToken cancellationToken);
}

/// <summary>A row and its table. Stores ignore the case of table names: it is lower here.</summary>
internal sealed record StoredRow(string Table, Entity Entity);
