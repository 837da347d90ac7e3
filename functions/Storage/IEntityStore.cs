namespace DingFlow.Storage;

/// <summary>
/// Durable entities in the shape of Azure Table Storage, the stricter of the two stores behind it: a partition key, a row key,
/// typed properties and an ETag. Tables are made on first use.
/// </summary>
/// <remarks>
/// <para>Every write is durable when the call returns. Reads see all writes that returned before they began.</para>
/// <para>Both adapters refuse what Azure refuses (<see cref="EntityLimits"/>) with <see cref="ArgumentException"/> before anything is
/// sent, so that what passes on one machine passes in Azure. Trouble with the store itself surfaces as <see cref="EntityStoreException"/>.</para>
/// </remarks>
public interface IEntityStore
{
    /// <summary>No other process can have this store while this one does: whatever another one held when it ended is nobody's now.</summary>
    bool IsExclusive => false;

    /// <summary>Reads one entity, or <see langword="null"/> when there is none.</summary>
    Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken);

    /// <summary>
    /// Reads a page of one partition in ordinal order of the row key. A page may be shorter than <paramref name="pageSize"/> while
    /// more follows: only <see cref="EntityPage.Continuation"/> tells the end.
    /// </summary>
    /// <param name="table">The table.</param>
    /// <param name="partitionKey">The partition.</param>
    /// <param name="range">Which row keys.</param>
    /// <param name="pageSize">At most this many entities, 1 to 1000.</param>
    /// <param name="continuation"><see langword="null"/> for the first page, then what the page before returned.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken);

    /// <summary>Applies up to 100 operations on distinct rows of one partition, all or none.</summary>
    Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken);

    /// <summary>
    /// Applies many transactions, each all or none, in any order and independently of one another; results stand in the order of the
    /// input. SQLite commits them as a group, Table Storage sends them side by side.
    /// </summary>
    Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken);
}

/// <summary>One page of a partition, and where the next one starts (<see langword="null"/>: there is none).</summary>
public sealed record EntityPage(IReadOnlyList<Entity> Entities, string? Continuation);

/// <summary>Row keys from <paramref name="From"/> (inclusive) to <paramref name="Before"/> (exclusive), in ordinal order; <see langword="null"/> is open.</summary>
public readonly record struct RowKeyRange(string? From, string? Before)
{
    /// <summary>The whole partition.</summary>
    public static RowKeyRange All => default;

    /// <summary>All row keys that begin with <paramref name="prefix"/>.</summary>
    public static RowKeyRange StartingWith(string prefix)
    {
        ArgumentException.ThrowIfNullOrEmpty(prefix);
        return new(prefix, string.Concat(prefix.AsSpan(0, prefix.Length - 1), [(char)(prefix[^1] + 1)]));
    }
}

/// <summary>The store could not be reached, refused the identity, or is damaged: the caller's data are not at fault.</summary>
public sealed class EntityStoreException : Exception
{
    /// <summary>Creates the exception.</summary>
    public EntityStoreException(string message, Exception? innerException = null) : base(message, innerException) { }
}
