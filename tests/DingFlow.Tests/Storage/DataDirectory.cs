namespace DingFlow.Tests.Storage;

/// <summary>A directory of one test, removed at its end.</summary>
internal sealed class DataDirectory : IDisposable
{
    public DataDirectory() => Path = Directory.CreateTempSubdirectory("dingflow-").FullName;

    public string Path { get; }

    /// <summary>A copy of the files as they are on disk now: what a killed process would leave behind.</summary>
    public DataDirectory Copy()
    {
        var copy = new DataDirectory();
        foreach (var file in Directory.GetFiles(Path))
        {
            // The shared-memory index and the lock die with their process.
            if (!file.EndsWith("-shm", StringComparison.Ordinal) && !file.EndsWith(".lock", StringComparison.Ordinal))
            {
                using var source = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                using var target = File.Create(System.IO.Path.Combine(copy.Path, System.IO.Path.GetFileName(file)));
                source.CopyTo(target);
            }
        }

        return copy;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
