using DingFlow.Settings;

namespace DingFlow.Storage;

/// <summary>
/// The data directory (mode 0700) with its database files: <c>dingflow.db</c> for intake, cases and queues, <c>ledger.db</c> for the
/// subject ledger. One process at a time: <c>dingflow.lock</c> is held as long as this lives.
/// </summary>
/// <remarks>Nothing is opened before its first use; the ledger not before there is one.</remarks>
public sealed class SqliteDatabase(string directory) : IDisposable
{
    private const string Setting = "DingFlow:DataDirectory";

    private readonly Lock _gate = new();
    private FileStream? _lock;
    private SqliteFile? _main;
    private SqliteFile? _ledger;
    private bool _disposed;

    /// <summary>The file of intake, cases and queues.</summary>
    /// <exception cref="SettingsException">The directory cannot be used, another process has it, or the file is no database of ours.</exception>
    public SqliteFile Main => Open(ref _main, "dingflow.db", SqliteSchema.Main, cacheKilobytes: 16 * 1024);

    /// <summary>The file of the subject ledger.</summary>
    /// <exception cref="SettingsException">As for <see cref="Main"/>.</exception>
    /// <remarks>Its rows are long and read once, into the ledger's own memory: what the writer needs of it again are the keys.</remarks>
    public SqliteFile Ledger => Open(ref _ledger, "ledger.db", SqliteSchema.Ledger, cacheKilobytes: 4 * 1024);

    /// <summary>Finishes what was accepted, closes the files and gives the directory free.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _main?.Dispose();
            _ledger?.Dispose();
            _lock?.Dispose();
        }
    }

    private static SettingsException Fault(string fault) => new([$"{Setting}: {fault}"]);

    private SqliteFile Open(ref SqliteFile? file, string name, IReadOnlyList<string> schema, int cacheKilobytes)
    {
        if (Volatile.Read(ref file) is { } open)
        {
            return open;
        }

        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            try
            {
                _lock ??= Lock();
                return file ??= SqliteFile.Open(Path.Combine(directory, name), schema, cacheKilobytes);
            }
            catch (Exception exception) when (exception is SqliteFileException or IOException or UnauthorizedAccessException)
            {
                throw Fault($"cannot be used: {exception.Message}");
            }
        }
    }

    private FileStream Lock()
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };
        PrivateFiles.CreateDirectory(directory);
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var path = Path.Combine(directory, "dingflow.lock");
        try
        {
            return new FileStream(path, options);
        }
        catch (IOException) when (File.Exists(path))
        {
            throw Fault("is in use by another DingFlow process, which holds dingflow.lock; give this one a directory of its own");
        }
    }
}
