using System.Buffers;
using System.Text;
using SQLitePCL;
using static SQLitePCL.raw;

namespace DingFlow.Storage;

/// <summary>SQLite refused or could not do something. <see cref="Code"/> is its primary result code; the message names no data.</summary>
public sealed class SqliteFileException : Exception
{
    /// <summary>Creates the exception for a result code of SQLite.</summary>
    public SqliteFileException(int code, string file)
        : base($"{file}: {sqlite3_errstr(code).utf8_to_string()} (SQLite {code}).") => Code = code & 0xFF;

    /// <summary>The primary result code, such as SQLITE_FULL.</summary>
    public int Code { get; }
}

/// <summary>
/// One connection to a database file, for one thread at a time. It talks to SQLite's C interface without ADO.NET in between: statements
/// are prepared once and kept, keys and values go as spans, and the start loads one assembly less.
/// </summary>
internal sealed class SqliteConnection : IDisposable
{
    private readonly sqlite3 _handle;
    private readonly string _file;
    private readonly Dictionary<string, SqliteStatement> _statements = new(StringComparer.Ordinal);

    static SqliteConnection() => Batteries_V2.Init();

    public SqliteConnection(string path, bool readOnly)
    {
        _file = Path.GetFileName(path);
        var flags = SQLITE_OPEN_NOMUTEX | (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        var code = sqlite3_open_v2(path, out _handle, flags, null);
        if (code != SQLITE_OK)
        {
            _handle.Dispose();
            throw new SqliteFileException(code, _file);
        }

        // Nobody else should write this file; a person looking at it with a tool may hold a lock for a moment.
        sqlite3_busy_timeout(_handle, 5000);
    }

    /// <summary>Loads the native library and what a statement passes through.</summary>
    public static void WarmUp()
    {
        using var connection = new SqliteConnection(":memory:", readOnly: false);
        using var statement = connection.Statement("SELECT ?1, ?2");
        statement.Bind(1, 0L).Bind(2, "x").Step();
        statement.Text(1);
    }

    /// <summary>Rows changed by the last statement.</summary>
    public int Changes => sqlite3_changes(_handle);

    /// <summary>A transaction is open. Errors such as a full disk end it behind our back.</summary>
    public bool InTransaction => sqlite3_get_autocommit(_handle) == 0;

    /// <summary>A statement, prepared at its first use on this connection. Bind, step, then dispose it, which makes it ready for its next use.</summary>
    public SqliteStatement Statement(string sql)
    {
        if (!_statements.TryGetValue(sql, out var statement))
        {
            Check(sqlite3_prepare_v3(_handle, sql, SQLITE_PREPARE_PERSISTENT, out var handle));
            _statements.Add(sql, statement = new(this, handle));
        }

        return statement;
    }

    /// <summary>Runs a statement without parameters and results, such as COMMIT.</summary>
    public void Run(string sql)
    {
        using var statement = Statement(sql);
        statement.Step();
    }

    /// <summary>Runs statements that are needed once, such as those of the schema.</summary>
    public void Script(string sql) => Check(sqlite3_exec(_handle, sql));

    /// <summary>Pages written into the write-ahead log since this was last asked for.</summary>
    public int TakePagesWritten()
    {
        Check(sqlite3_db_status(_handle, SQLITE_DBSTATUS_CACHE_WRITE, out var pages, out _, 1));
        return pages;
    }

    /// <summary>
    /// Moves pages from the write-ahead log into the file, as far as readers allow, while others read and write.
    /// </summary>
    /// <param name="pages">How many pages the log holds, moved ones included.</param>
    /// <returns><see langword="false"/> when somebody else is at it.</returns>
    public bool Checkpoint(out int pages)
    {
        var code = sqlite3_wal_checkpoint_v2(_handle, "main", SQLITE_CHECKPOINT_PASSIVE, out pages, out _);
        if (code == SQLITE_BUSY)
        {
            return false;
        }

        Check(code);
        return true;
    }

    /// <summary>Throws unless the code says success.</summary>
    public void Check(int code)
    {
        if (code is not (SQLITE_OK or SQLITE_ROW or SQLITE_DONE))
        {
            throw new SqliteFileException(code, _file);
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Close();
        }

        _statements.Clear();
        _handle.Dispose();
    }
}

/// <summary>A prepared statement. Parameters count from 1, columns from 0. Disposing resets it; its connection keeps it.</summary>
internal sealed class SqliteStatement(SqliteConnection connection, sqlite3_stmt handle) : IDisposable
{
    private const int StackBytes = 1024;

    public SqliteStatement Bind(int parameter, long value)
    {
        connection.Check(sqlite3_bind_int64(handle, parameter, value));
        return this;
    }

    public SqliteStatement Bind(int parameter, ReadOnlySpan<byte> value)
    {
        connection.Check(sqlite3_bind_blob(handle, parameter, value));
        return this;
    }

    public SqliteStatement Bind(int parameter, string? value)
    {
        if (value is null)
        {
            connection.Check(sqlite3_bind_null(handle, parameter));
            return this;
        }

        byte[]? rented = null;
        var size = Encoding.UTF8.GetMaxByteCount(value.Length);
        var buffer = size <= StackBytes ? stackalloc byte[StackBytes] : rented = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            connection.Check(sqlite3_bind_text(handle, parameter, buffer[..Encoding.UTF8.GetBytes(value, buffer)]));
            return this;
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    /// <summary>Goes to the next row; <see langword="false"/> at the end.</summary>
    public bool Step()
    {
        var code = sqlite3_step(handle);
        connection.Check(code);
        return code == SQLITE_ROW;
    }

    public long Long(int column) => sqlite3_column_int64(handle, column);

    /// <summary>Valid until the next step.</summary>
    public ReadOnlySpan<byte> Bytes(int column) => sqlite3_column_blob(handle, column);

    public string Text(int column) => Encoding.UTF8.GetString(Bytes(column));

    public string? TextOrNull(int column) => sqlite3_column_type(handle, column) == SQLITE_NULL ? null : Text(column);

    // The result of a reset repeats the failure of the last step, which was thrown there.
    public void Dispose() => _ = sqlite3_reset(handle);

    public void Close() => handle.Dispose();
}
