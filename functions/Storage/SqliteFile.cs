using System.Collections.Concurrent;

namespace DingFlow.Storage;

/// <summary>
/// One SQLite database file: a single writer that commits in groups, and readers on connections of their own.
/// </summary>
/// <remarks>
/// <para>Callers queue units of work. The writer takes all that wait, runs each within a savepoint of one transaction, commits once and
/// answers them: while one group is being synced to disk the next one gathers, so many callers share a sync and a lone caller waits
/// for nobody. A unit that throws undoes itself alone.</para>
/// <para>Long units (<see cref="LongUnit"/>) go few at a time, and short ones pass them: nobody waits for more than about <see cref="GroupBytes"/>.
/// Moving the log into the file is another thread's work (<see cref="SqliteCheckpointer"/>).</para>
/// <para>The journal is a write-ahead log with <c>synchronous=FULL</c>: a unit that was answered is on disk. Readers see a snapshot with
/// everything that was answered before they began.</para>
/// </remarks>
public sealed class SqliteFile : IDisposable
{
    private const int PooledReaders = 16;

    /// <summary>Bytes from which on a unit is long.</summary>
    private const int LongUnit = 64 * 1024;

    /// <summary>Bytes of long units in one commit, unless the first has more.</summary>
    private const int GroupBytes = 1024 * 1024;

    private readonly string _path;
    private readonly SqliteConnection _writer;
    private readonly SqliteCheckpointer _checkpoints;
    private readonly Thread _thread;
    private readonly object _gate = new();
    private readonly ConcurrentStack<SqliteConnection> _readers = new();
    private readonly List<Unit> _waiting = [];
    private bool _closing;
    private long _commits;

    private SqliteFile(string path, SqliteConnection writer)
    {
        _path = path;
        _writer = writer;
        _checkpoints = new(path);
        _thread = new Thread(Write) { IsBackground = true, Name = $"Writer of {Path.GetFileName(path)}" };
        _thread.Start();
    }

    /// <summary>How many transactions were committed since the file was opened.</summary>
    public long Commits => Interlocked.Read(ref _commits);

    /// <summary>
    /// Opens or creates the file (mode 0600) and brings its schema up to date: <paramref name="schema"/> holds a script for each
    /// version, and <c>user_version</c> says how many of them the file has seen.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="schema">The scripts.</param>
    /// <param name="cacheKilobytes">Pages that the writer keeps in memory: as many as its largest transaction changes, and what it looks keys up in.</param>
    /// <exception cref="SqliteFileException">The file cannot be opened, or was written by a newer version.</exception>
    public static SqliteFile Open(string path, IReadOnlyList<string> schema, int cacheKilobytes = 16 * 1024)
    {
        CreatePrivate(path);
        var writer = new SqliteConnection(path, readOnly: false);
        try
        {
            using (var mode = writer.Statement("PRAGMA journal_mode=WAL"))
            {
                if (!mode.Step() || mode.Text(0) != "wal")
                {
                    throw new SqliteFileException(SQLitePCL.raw.SQLITE_CANTOPEN, $"{Path.GetFileName(path)} (the file system cannot hold a write-ahead log)");
                }
            }

            // fullfsync: on macOS a plain sync leaves the data in the drive's cache; it means nothing elsewhere.
            writer.Script(string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA cache_size=-{cacheKilobytes}; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=67108864;"));
            Upgrade(writer, path, schema);
            return new SqliteFile(path, writer);
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Queues a unit of work for the writer and waits until it is on disk. A cancelled call that the writer has not yet taken does
    /// nothing; once taken it runs to its end.
    /// </summary>
    /// <param name="unit">Runs on the writer's thread inside the transaction; what it throws undoes it and reaches the caller.</param>
    /// <param name="committed">Runs on the writer's thread after the commit, in the order of the units; it must be short and not throw.</param>
    /// <param name="cancellationToken">Gives up while waiting for the writer.</param>
    /// <param name="bytes">About how many bytes it writes.</param>
    internal Task<T> WriteAsync<T>(Func<SqliteConnection, T> unit, Action<T>? committed, CancellationToken cancellationToken, long bytes = 0)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(cancellationToken);
        }

        var waiting = new Unit<T>(unit, committed) { Bytes = bytes };
        waiting.CancelWith(cancellationToken);
        lock (_gate)
        {
            if (!_closing)
            {
                _waiting.Add(waiting);
                if (_waiting.Count == 1)
                {
                    Monitor.Pulse(_gate);
                }

                return waiting.Answer;
            }
        }

        waiting.Fail(new ObjectDisposedException(nameof(SqliteFile)));
        return waiting.Answer;
    }

    /// <summary>Reads on a connection of its own, on the calling thread.</summary>
    internal T Read<T>(Func<SqliteConnection, T> read)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _closing), this);
        if (!_readers.TryPop(out var connection))
        {
            connection = new SqliteConnection(_path, readOnly: true);
        }

        try
        {
            return read(connection);
        }
        finally
        {
            if (_readers.Count < PooledReaders)
            {
                _readers.Push(connection);
            }
            else
            {
                connection.Dispose();
            }

            if (Volatile.Read(ref _closing))
            {
                CloseReaders();
            }
        }
    }

    /// <summary>Finishes what was accepted, then closes the file.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            _closing = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
        _checkpoints.Dispose();
        CloseReaders();
        _writer.Dispose();
    }

    private static void CreatePrivate(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite };
        if (!OperatingSystem.IsWindows())
        {
            // SQLite gives the log beside it the same mode.
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var _ = new FileStream(path, options);
    }

    private static void Upgrade(SqliteConnection writer, string path, IReadOnlyList<string> schema)
    {
        long version;
        using (var statement = writer.Statement("PRAGMA user_version"))
        {
            statement.Step();
            version = statement.Long(0);
        }

        if (version > schema.Count)
        {
            throw new SqliteFileException(SQLitePCL.raw.SQLITE_SCHEMA, $"{Path.GetFileName(path)} (written by a newer version of DingFlow)");
        }

        if (version == schema.Count)
        {
            return;
        }

        writer.Run("BEGIN IMMEDIATE");
        foreach (var step in schema.Skip((int)version))
        {
            writer.Script(step);
        }

        writer.Script(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"PRAGMA user_version={schema.Count}"));
        writer.Run("COMMIT");
    }

    private void CloseReaders()
    {
        while (_readers.TryPop(out var connection))
        {
            connection.Dispose();
        }
    }

    private void Write()
    {
        List<Unit> group = [];
        while (true)
        {
            lock (_gate)
            {
                while (_waiting.Count == 0 && !_closing)
                {
                    Monitor.Wait(_gate);
                }

                if (_waiting.Count == 0)
                {
                    return;
                }

                TakeGroup(_waiting, group);
            }

            group.RemoveAll(static unit => !unit.Take());
            if (group.Count > 0)
            {
                WriteGroup(group);
                AfterCommit();
            }

            group.Clear();
        }
    }

    /// <summary>Takes the units of one commit, in their order, and leaves those that wait for the next.</summary>
    private static void TakeGroup(List<Unit> waiting, List<Unit> group)
    {
        var (bytes, left) = (0L, 0);
        foreach (var unit in waiting)
        {
            if (unit.Bytes <= LongUnit)
            {
                group.Add(unit);
            }
            else if (left == 0 && (bytes == 0 || bytes + unit.Bytes <= GroupBytes))
            {
                group.Add(unit);
                bytes += unit.Bytes;
            }
            else
            {
                left++;
            }
        }

        // What was left are the long ones from the first that did not fit.
        var longs = left == 0 ? [] : waiting.FindAll(static unit => unit.Bytes > LongUnit);
        waiting.Clear();
        waiting.AddRange(longs.TakeLast(left));
    }

    private void AfterCommit()
    {
        try
        {
            _checkpoints.Written(_writer.TakePagesWritten());
            if (_checkpoints.FinishDue)
            {
                _checkpoints.Finish(_writer);
            }
        }
        catch (SqliteFileException)
        {
            // What was committed is in the log, and callers have their answers; the next pass tries again.
        }
    }

    private void WriteGroup(List<Unit> group)
    {
        try
        {
            _writer.Run("BEGIN IMMEDIATE");
            foreach (var unit in group)
            {
                RunUnit(unit);
            }

            _writer.Run("COMMIT");
            Interlocked.Increment(ref _commits);
        }
#pragma warning disable CA1031 // Whatever it was, every caller of the group is told, and the writer serves the next one.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            var reason = RollBack(exception);
            foreach (var unit in group)
            {
                unit.Fail(reason);
            }

            return;
        }

        foreach (var unit in group)
        {
            unit.Committed();
        }

        foreach (var unit in group)
        {
            unit.Complete();
        }
    }

    private Exception RollBack(Exception reason)
    {
        try
        {
            if (_writer.InTransaction)
            {
                _writer.Run("ROLLBACK");
            }

            return reason;
        }
        catch (SqliteFileException exception)
        {
            return new AggregateException(reason, exception);
        }
    }

    private void RunUnit(Unit unit)
    {
        _writer.Run("SAVEPOINT unit");
        try
        {
            unit.Run(_writer);
        }
#pragma warning disable CA1031 // The caller of this unit gets the exception; the others must not suffer for it.
        catch (Exception exception) when (_writer.InTransaction)
#pragma warning restore CA1031
        {
            _writer.Run("ROLLBACK TO unit");
            unit.Fail(exception);
        }

        _writer.Run("RELEASE unit");
    }

    private abstract class Unit
    {
        private const int Waiting = 0;
        private const int Taken = 1;
        private const int Cancelled = 2;

        private int _state;

        /// <summary>About how many bytes it writes.</summary>
        public long Bytes { get; init; }

        /// <summary>Claims the unit for the writer; <see langword="false"/> when its caller has given up.</summary>
        public bool Take() => Interlocked.CompareExchange(ref _state, Taken, Waiting) == Waiting;

        public abstract void Run(SqliteConnection connection);

        public abstract void Committed();

        public abstract void Complete();

        public abstract void Fail(Exception exception);

        protected bool GiveUp() => Interlocked.CompareExchange(ref _state, Cancelled, Waiting) == Waiting;
    }

    private sealed class Unit<T>(Func<SqliteConnection, T> unit, Action<T>? committed) : Unit
    {
        private readonly TaskCompletionSource<T> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private CancellationTokenRegistration _cancellation;
        private T _result = default!;
        private bool _failed;

        public Task<T> Answer => _answer.Task;

        public void CancelWith(CancellationToken cancellationToken)
        {
            if (cancellationToken.CanBeCanceled)
            {
                _cancellation = cancellationToken.UnsafeRegister(
                    static (state, token) =>
                    {
                        var self = (Unit<T>)state!;
                        if (self.GiveUp())
                        {
                            self._answer.TrySetCanceled(token);
                        }
                    },
                    this);
            }
        }

        public override void Run(SqliteConnection connection) => _result = unit(connection);

        public override void Committed()
        {
            if (!_failed)
            {
                committed?.Invoke(_result);
            }
        }

        public override void Complete()
        {
            _cancellation.Dispose();
            _answer.TrySetResult(_result);
        }

        public override void Fail(Exception exception)
        {
            _failed = true;
            _cancellation.Dispose();
            _answer.TrySetException(exception);
        }
    }
}
