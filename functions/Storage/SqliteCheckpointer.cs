namespace DingFlow.Storage;

/// <summary>
/// Moves committed pages from the write-ahead log into the database file, on a thread and a connection of its own: the writer commits
/// meanwhile, where SQLite by itself would let a commit in so many wait for a thousand pages and another sync.
/// </summary>
/// <remarks>
/// While the writer never rests a pass never reaches the log's end, and only a log that is moved as a whole begins anew. So when the log has
/// become long, the writer moves what was committed during the last pass (<see cref="FinishDue"/>), which is little.
/// </remarks>
internal sealed class SqliteCheckpointer(string path) : IDisposable
{
    /// <summary>Pages in the log that are worth a pass: SQLite's own measure, 4 MB.</summary>
    private const int WorthAPass = 1000;

    /// <summary>Pages in the log after which the writer helps: 32 MB.</summary>
    private const int Long = 8 * WorthAPass;

    private readonly object _gate = new();
    private Thread? _thread;
    private long _written;
    private bool _due;
    private bool _finish;
    private bool _closing;

    /// <summary>The writer is to move the rest between two transactions of its own.</summary>
    public bool FinishDue => Volatile.Read(ref _finish);

    /// <summary>The writer has written so many pages more into the log.</summary>
    public void Written(int pages)
    {
        _written += pages;
        if (_written < WorthAPass)
        {
            return;
        }

        _written = 0;
        lock (_gate)
        {
            if (!_closing)
            {
                _due = true;
                _thread ??= Start();
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>On the writer's thread, outside of a transaction: moves the rest.</summary>
    public void Finish(SqliteConnection writer)
    {
        // Whatever comes of it, the next pass tells.
        writer.Checkpoint(out _);
        lock (_gate)
        {
            _finish = false;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Waits for the pass that runs.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closing = true;
            Monitor.Pulse(_gate);
        }

        _thread?.Join();
    }

    private Thread Start()
    {
        var thread = new Thread(Run) { IsBackground = true, Name = $"Checkpoints of {Path.GetFileName(path)}" };
        thread.Start();
        return thread;
    }

    private void Run()
    {
        SqliteConnection? connection = null;
        try
        {
            while (Wait())
            {
                try
                {
                    connection ??= Open();
                    if (connection.Checkpoint(out var pages) && pages > Long)
                    {
                        Volatile.Write(ref _finish, true);
                    }
                }
                catch (SqliteFileException)
                {
                    // A full disk, say: the writer hears of it by itself, and the pages stay in the log until a later pass.
                }
            }
        }
        finally
        {
            connection?.Dispose();
        }
    }

    private SqliteConnection Open()
    {
        var connection = new SqliteConnection(path, readOnly: false);
        try
        {
            // Before its first read a connection does not know that there is a log.
            connection.Run("SELECT 1 FROM sqlite_schema LIMIT 1");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Waits until there is something to do; <see langword="false"/> at the end.</summary>
    private bool Wait()
    {
        lock (_gate)
        {
            while (!_closing && (!_due || _finish))
            {
                Monitor.Wait(_gate);
            }

            _due = false;
            return !_closing;
        }
    }
}
