namespace DingFlow.Storage;

/// <summary>A transaction as the writer needs it: properties encoded, ETags parsed, so that the one writer does as little as possible.</summary>
internal sealed record SqliteEntityTransaction(string Table, string PartitionKey, SqliteEntityOperation[] Operations);

/// <summary>One operation; <paramref name="IfMatch"/> -1 matches no row.</summary>
internal readonly record struct SqliteEntityOperation(EntityOperationKind Kind, string RowKey, long? IfMatch, SqliteEncodedRow? Properties);

/// <summary>
/// The entities of one database file. ETags are numbers that only grow: each process reserves them in blocks, in the same commit as its
/// first write, so none is used twice, whatever was deleted or rolled back.
/// </summary>
internal sealed class SqliteEntityFile(SqliteFile file, TimeProvider time)
{
    private const int ReservedBlock = 1 << 20;

    /// <summary>No key begins with this character, and all keys compare less.</summary>
    private const string AfterEveryKey = "\uFFFF";

    private const string InsertRow =
        "INSERT INTO entities(tbl, pk, rk, etag, ts, props) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";

    private const string UpsertRow =
        """
        INSERT INTO entities(tbl, pk, rk, etag, ts, props) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET etag = excluded.etag, ts = excluded.ts, props = excluded.props
        """;

    private const string ReplaceRow = "UPDATE entities SET etag = ?4, ts = ?5, props = ?6 WHERE tbl = ?1 AND pk = ?2 AND rk = ?3";
    private const string ReplaceMatchingRow = ReplaceRow + " AND etag = ?7";
    private const string DeleteRow = "DELETE FROM entities WHERE tbl = ?1 AND pk = ?2 AND rk = ?3";
    private const string DeleteMatchingRow = DeleteRow + " AND etag = ?4";
    private const string FindRow = "SELECT 1 FROM entities WHERE tbl = ?1 AND pk = ?2 AND rk = ?3";
    private const string ReadRow = "SELECT etag, props FROM entities WHERE tbl = ?1 AND pk = ?2 AND rk = ?3";

    private const string ReadRange =
        "SELECT rk, etag, props FROM entities WHERE tbl = ?1 AND pk = ?2 AND rk >= ?3 AND rk < ?4 ORDER BY rk LIMIT ?5";

    private const string ReadOn =
        "SELECT tbl, pk, rk, etag, props FROM entities WHERE (tbl, pk, rk) > (?1, ?2, ?3) ORDER BY tbl, pk, rk LIMIT ?4";

    // These three belong to the writer's thread.
    private bool _started;
    private long _nextETag;
    private long _reservedETags;

    public Entity? Get(string table, string partitionKey, string rowKey) => file.Read(connection =>
    {
        using var read = connection.Statement(ReadRow).Bind(1, table).Bind(2, partitionKey).Bind(3, rowKey);
        return read.Step() ? EntityOf(read, partitionKey, rowKey, 0) : null;
    });

    /// <summary>At most so many rows, and whether more follow.</summary>
    public (List<Entity> Entities, bool More) Query(string table, string partitionKey, string? from, string? before, int count) =>
        file.Read(connection =>
        {
            List<Entity> entities = [];
            using var read = connection.Statement(ReadRange)
                .Bind(1, table).Bind(2, partitionKey).Bind(3, from ?? "").Bind(4, before ?? AfterEveryKey).Bind(5, count + 1);
            while (read.Step())
            {
                if (entities.Count == count)
                {
                    return (entities, true);
                }

                entities.Add(EntityOf(read, partitionKey, read.Text(0), 1));
            }

            return (entities, false);
        });

    /// <summary>The rows after this one, in the order of table, partition and row; empty texts begin.</summary>
    public List<StoredRow> ReadAfter(string table, string partitionKey, string rowKey, int count) => file.Read(connection =>
    {
        List<StoredRow> rows = [];
        using var read = connection.Statement(ReadOn).Bind(1, table).Bind(2, partitionKey).Bind(3, rowKey).Bind(4, count);
        while (read.Step())
        {
            rows.Add(new(read.Text(0).ToLowerInvariant(), EntityOf(read, read.Text(1), read.Text(2), 3)));
        }

        return rows;
    });

    /// <summary>Applies the transactions as one unit of the writer, each all or none.</summary>
    public async Task<TransactionResult[]> SubmitAsync(IReadOnlyList<SqliteEntityTransaction> transactions, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        try
        {
            var written = await file.WriteAsync(
                connection =>
                {
                    var reserved = Reserve(connection, transactions.Sum(t => (long)t.Operations.Length));
                    return new Written([.. transactions.Select(t => Apply(connection, t, now))], reserved);
                },
                committed => _reservedETags = Math.Max(_reservedETags, committed.Reserved),
                cancellationToken,
                BytesOf(transactions));
            return written.Results;
        }
        finally
        {
            // Answered, or never taken by the writer.
            foreach (var transaction in transactions)
            {
                foreach (var operation in transaction.Operations)
                {
                    operation.Properties?.Release();
                }
            }
        }
    }

    /// <summary>About how many bytes the transactions write. Plain loops: sums over operations would be compiled at the first webhook.</summary>
    private static long BytesOf(IReadOnlyList<SqliteEntityTransaction> transactions)
    {
        var bytes = 0L;
        foreach (var transaction in transactions)
        {
            foreach (var operation in transaction.Operations)
            {
                bytes += operation.Properties?.Bytes.Length ?? 0;
            }
        }

        return bytes;
    }

    private static Entity EntityOf(SqliteStatement row, string partitionKey, string rowKey, int column) => new(partitionKey, rowKey)
    {
        ETag = SqliteETag.Text(row.Long(column)),
        Properties = SqliteEntityEncoding.Decode(row.Bytes(column + 1)),
    };

    /// <summary>Makes sure that so many ETags are reserved on disk once this unit is; returns up to where they are.</summary>
    private long Reserve(SqliteConnection connection, long count)
    {
        if (_started && _nextETag + count <= _reservedETags)
        {
            return _reservedETags;
        }

        if (!_started)
        {
            using var read = connection.Statement("SELECT next FROM etags");
            read.Step();
            _nextETag = read.Long(0);
            _started = true;
        }

        var reserved = _nextETag + count + ReservedBlock;
        using var reserve = connection.Statement("UPDATE etags SET next = ?1").Bind(1, reserved);
        reserve.Step();
        return reserved;
    }

    private TransactionResult Apply(SqliteConnection connection, SqliteEntityTransaction transaction, long now)
    {
        var operations = transaction.Operations;
        if (operations.Length > 1)
        {
            connection.Run("SAVEPOINT entities");
        }

        var etags = new string?[operations.Length];
        var outcome = TransactionOutcome.Committed;
        var index = 0;
        for (; index < operations.Length; index++)
        {
            outcome = Apply(connection, transaction, operations[index], now, out etags[index]);
            if (outcome != TransactionOutcome.Committed)
            {
                break;
            }
        }

        var committed = outcome == TransactionOutcome.Committed;
        if (operations.Length > 1)
        {
            if (!committed)
            {
                connection.Run("ROLLBACK TO entities");
            }

            connection.Run("RELEASE entities");
        }

        return committed ? new(outcome, -1, etags) : new(outcome, index, []);
    }

    private TransactionOutcome Apply(
        SqliteConnection connection, SqliteEntityTransaction transaction, SqliteEntityOperation operation, long now, out string? etag)
    {
        etag = null;
        var sql = operation.Kind switch
        {
            EntityOperationKind.Insert => InsertRow,
            EntityOperationKind.Upsert => UpsertRow,
            EntityOperationKind.Replace => operation.IfMatch is null ? ReplaceRow : ReplaceMatchingRow,
            _ => operation.IfMatch is null ? DeleteRow : DeleteMatchingRow,
        };
        using (var write = connection.Statement(sql).Bind(1, transaction.Table).Bind(2, transaction.PartitionKey).Bind(3, operation.RowKey))
        {
            if (operation.Kind == EntityOperationKind.Delete)
            {
                if (operation.IfMatch is { } match)
                {
                    write.Bind(4, match);
                }
            }
            else
            {
                var number = _nextETag++;
                etag = SqliteETag.Text(number);
                write.Bind(4, number).Bind(5, now).Bind(6, operation.Properties!.Bytes);
                if (operation.IfMatch is { } match)
                {
                    write.Bind(7, match);
                }
            }

            write.Step();
        }

        return connection.Changes > 0 ? TransactionOutcome.Committed
            : operation.Kind == EntityOperationKind.Insert ? TransactionOutcome.AlreadyExists
            : operation.IfMatch is not null && Exists(connection, transaction, operation) ? TransactionOutcome.ETagMismatch
            : TransactionOutcome.NotFound;
    }

    private static bool Exists(SqliteConnection connection, SqliteEntityTransaction transaction, SqliteEntityOperation operation)
    {
        using var find = connection.Statement(FindRow).Bind(1, transaction.Table).Bind(2, transaction.PartitionKey).Bind(3, operation.RowKey);
        return find.Step();
    }

    /// <summary>What a unit did. A class: code for a value of its own would be compiled at the first webhook.</summary>
    private sealed record Written(TransactionResult[] Results, long Reserved);
}
