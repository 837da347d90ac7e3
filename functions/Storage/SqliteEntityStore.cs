using System.Buffers.Text;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace DingFlow.Storage;

/// <summary>
/// Entities in SQLite files. Tables whose name begins with <c>Ledger</c> lie in a file of their own, so that a long commit there never
/// delays a webhook.
/// </summary>
/// <remarks>Reads run on the calling thread: SQLite has no asynchronous ones, and they are served from memory as a rule.</remarks>
public sealed class SqliteEntityStore(SqliteDatabase database, TimeProvider time) : IEntityStore, IStoredRows
{
    private const int RowsReadAtOnce = 256;

    private readonly Lazy<SqliteEntityFile> _main = new(() => new(database.Main, time));
    private readonly Lazy<SqliteEntityFile> _ledger = new(() => new(database.Ledger, time));

    /// <inheritdoc/>
    /// <remarks>A lock file keeps a second process out of the data directory.</remarks>
    public bool IsExclusive => true;

    /// <inheritdoc/>
    public async Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        EntityCheck.Table(table);
        EntityCheck.Keys(partitionKey, rowKey);
        cancellationToken.ThrowIfCancellationRequested();
        return await Guarded(() => Task.FromResult(FileOf(table).Get(table, partitionKey, rowKey)));
    }

    /// <inheritdoc/>
    public async Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
    {
        range = EntityCheck.Query(table, partitionKey, range, pageSize);
        var from = continuation is null ? range.From : After(continuation);
        cancellationToken.ThrowIfCancellationRequested();
        var (entities, more) = await Guarded(() => Task.FromResult(FileOf(table).Query(table, partitionKey, from, range.Before, pageSize)));
        return new(entities, more ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes(entities[^1].RowKey)) : null);
    }

    /// <inheritdoc/>
    public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        EntityCheck.Transaction(transaction);
        SqliteEntityTransaction[] prepared = [Prepare(transaction)];
        return (await Guarded(() => FileOf(transaction.Table).SubmitAsync(prepared, cancellationToken)))[0];
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transactions);
        foreach (var transaction in transactions)
        {
            EntityCheck.Transaction(transaction);
        }

        cancellationToken.ThrowIfCancellationRequested();
        var results = new TransactionResult[transactions.Count];
        var files = Enumerable.Range(0, transactions.Count).GroupBy(i => IsLedger(transactions[i].Table));
        await Task.WhenAll(files.Select(group => SubmitGroupAsync([.. group])));
        return results;

        async Task SubmitGroupAsync(int[] indexes)
        {
            var prepared = Array.ConvertAll(indexes, i => Prepare(transactions[i]));
            var part = await Guarded(() => FileOf(prepared[0].Table).SubmitAsync(prepared, cancellationToken));
            for (var i = 0; i < indexes.Length; i++)
            {
                results[indexes[i]] = part[i];
            }
        }
    }

    /// <inheritdoc/>
    async IAsyncEnumerable<StoredRow> IStoredRows.ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var file in new[] { _main.Value, _ledger.Value })
        {
            var (table, partition, row) = ("", "", "");
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var rows = await Guarded(() => Task.FromResult(file.ReadAfter(table, partition, row, RowsReadAtOnce)));
                if (rows.Count == 0)
                {
                    break;
                }

                foreach (var stored in rows)
                {
                    yield return stored;
                }

                (table, partition, row) = (rows[^1].Table, rows[^1].Entity.PartitionKey, rows[^1].Entity.RowKey);
            }
        }
    }

    private static bool IsLedger(string table) => table.StartsWith("Ledger", StringComparison.OrdinalIgnoreCase);

    private static SqliteEntityTransaction Prepare(EntityTransaction transaction)
    {
        var operations = new SqliteEntityOperation[transaction.Operations.Count];
        for (var i = 0; i < operations.Length; i++)
        {
            var operation = transaction.Operations[i];
            operations[i] = new(
                operation.Kind,
                operation.Entity.RowKey,
                operation.IfMatch is null ? null : SqliteETag.Number(operation.IfMatch),
                operation.Kind == EntityOperationKind.Delete ? null : SqliteEntityEncoding.Encode(operation.Entity.Properties));
        }

        return new(transaction.Table, transaction.Operations[0].Entity.PartitionKey, operations);
    }

    /// <summary>The least row key after the last one of the page before: itself and the least character.</summary>
    private static string After(string continuation)
    {
        try
        {
            return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(continuation)) + '\0';
        }
        catch (FormatException exception)
        {
            throw new ArgumentException("The continuation is none that a page returned.", nameof(continuation), exception);
        }
    }

    private static async Task<T> Guarded<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (exception is SqliteFileException or InvalidDataException or AggregateException)
        {
            throw new EntityStoreException(exception.Message, exception);
        }
    }

    private SqliteEntityFile FileOf(string table) => (IsLedger(table) ? _ledger : _main).Value;
}

/// <summary>The text form of ETags.</summary>
internal static class SqliteETag
{
    public static string Text(long number) => number.ToString("x", CultureInfo.InvariantCulture);

    /// <summary>The number; -1, which no row has, for what this store never returned.</summary>
    public static long Number(string text) =>
        long.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : -1;
}
