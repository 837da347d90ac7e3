using System.Diagnostics.CodeAnalysis;

namespace DingFlow.Storage;

/// <summary>One row: its keys, its properties and, once stored, its ETag.</summary>
public sealed record Entity(string PartitionKey, string RowKey)
{
    /// <summary>The properties. Names are case-sensitive; values are of the types that <see cref="EntityProperties"/> names.</summary>
    public EntityProperties Properties { get; init; } = [];

    /// <summary>The opaque version of the stored row; <see langword="null"/> on an entity that was not read from a store.</summary>
    public string? ETag { get; init; }
}

/// <summary>
/// Properties of an <see cref="Entity"/>: <see cref="string"/>, <see cref="int"/>, <see cref="long"/>, <see cref="double"/> (a
/// negative zero may lose its sign), <see cref="bool"/>, <see cref="DateTimeOffset"/> (kept as UTC, to 100 ns), <see cref="Guid"/> or an array of bytes.
/// A <see langword="null"/> value is not stored.
/// </summary>
[SuppressMessage("Naming", "CA1710", Justification = "The name of the thing in Table Storage.")]
public sealed class EntityProperties : Dictionary<string, object?>
{
    /// <summary>Creates an empty set.</summary>
    public EntityProperties() : base(StringComparer.Ordinal) { }

    /// <summary>The value as <typeparamref name="T"/>, or its default when absent.</summary>
    /// <exception cref="InvalidCastException">The stored value is of another type.</exception>
    public T? Get<T>(string name) => TryGetValue(name, out var value) && value is not null ? (T)value : default;

    /// <summary>The value as <typeparamref name="T"/>.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    /// <exception cref="InvalidCastException">The stored value is of another type.</exception>
    public T Require<T>(string name) =>
        TryGetValue(name, out var value) && value is not null ? (T)value : throw new KeyNotFoundException($"Property {name} is missing.");
}

/// <summary>What to do with a row.</summary>
public enum EntityOperationKind
{
    /// <summary>Store a row that must not exist.</summary>
    Insert,

    /// <summary>Replace a row that must exist and, when an ETag is given, be unchanged.</summary>
    Replace,

    /// <summary>Store a row whether or not it exists.</summary>
    Upsert,

    /// <summary>Remove a row that must exist and, when an ETag is given, be unchanged.</summary>
    Delete,
}

/// <summary>One operation of an <see cref="EntityTransaction"/>.</summary>
public sealed record EntityOperation
{
    private EntityOperation(EntityOperationKind kind, Entity entity, string? ifMatch) => (Kind, Entity, IfMatch) = (kind, entity, ifMatch);

    /// <summary>What to do.</summary>
    public EntityOperationKind Kind { get; }

    /// <summary>The row (for a deletion only its keys count).</summary>
    public Entity Entity { get; }

    /// <summary>The ETag that the stored row must still have; <see langword="null"/> asks for none.</summary>
    public string? IfMatch { get; }

    /// <summary>Store a row that must not exist.</summary>
    public static EntityOperation Insert(Entity entity) => new(EntityOperationKind.Insert, entity, null);

    /// <summary>Replace a row; <paramref name="ifMatch"/> defaults to the entity's own ETag, and without either any version is replaced.</summary>
    public static EntityOperation Replace(Entity entity, string? ifMatch = null)
    {
        ArgumentNullException.ThrowIfNull(entity);
        return new(EntityOperationKind.Replace, entity, ifMatch ?? entity.ETag);
    }

    /// <summary>Store a row whether or not it exists.</summary>
    public static EntityOperation Upsert(Entity entity) => new(EntityOperationKind.Upsert, entity, null);

    /// <summary>Remove a row.</summary>
    public static EntityOperation Delete(string partitionKey, string rowKey, string? ifMatch = null) =>
        new(EntityOperationKind.Delete, new Entity(partitionKey, rowKey), ifMatch);
}

/// <summary>Up to 100 operations on distinct rows of one partition of one table.</summary>
public sealed record EntityTransaction(string Table, IReadOnlyList<EntityOperation> Operations)
{
    /// <summary>A transaction of the given operations.</summary>
    public static EntityTransaction Of(string table, params IReadOnlyList<EntityOperation> operations) => new(table, operations);
}

/// <summary>How a transaction ended.</summary>
public enum TransactionOutcome
{
    /// <summary>All operations were applied.</summary>
    Committed,

    /// <summary>Nothing was applied: a row to insert exists.</summary>
    AlreadyExists,

    /// <summary>Nothing was applied: a row to replace or delete does not exist.</summary>
    NotFound,

    /// <summary>Nothing was applied: a row has another ETag.</summary>
    ETagMismatch,
}

/// <summary>How a transaction ended, and for a committed one the new ETags in the order of its operations (<see langword="null"/> for deletions).</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="FailedIndex">The operation that decided a refusal; -1 when committed.</param>
/// <param name="ETags">The new ETags; empty when refused.</param>
public sealed record TransactionResult(TransactionOutcome Outcome, int FailedIndex, IReadOnlyList<string?> ETags)
{
    /// <summary>All operations were applied.</summary>
    public bool Committed => Outcome == TransactionOutcome.Committed;
}
