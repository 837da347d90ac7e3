using System.Globalization;
using System.Runtime.CompilerServices;
using Azure;
using Azure.Core;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Files of an archive or of anchors, by names such as <c>days/2026/11/2026-11-24.jsonl.gz</c>.</summary>
public interface IAuditFiles
{
    /// <summary>Stores a file. <see langword="false"/>: one of this name is there and may not be changed.</summary>
    Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken);

    /// <summary>Stores a file of a name that there is not yet. <see langword="false"/>: there is one, and it stays.</summary>
    Task<bool> CreateAsync(string name, Stream content, CancellationToken cancellationToken);

    /// <summary>Opens a file, or <see langword="null"/> when there is none.</summary>
    Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken);

    /// <summary>
    /// Opens a file as it was when its name came up, whatever was put in its place or removed since, where the files keep that (versions of
    /// blobs); else as <see cref="OpenAsync"/>.
    /// </summary>
    Task<Stream?> OpenFirstAsync(string name, CancellationToken cancellationToken);

    /// <summary>The names that begin so, in ordinal order.</summary>
    IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>The same with names whose file was removed, where the files keep that.</summary>
    IAsyncEnumerable<string> ListFirstAsync(string prefix, CancellationToken cancellationToken) => ListAsync(prefix, cancellationToken);
}

/// <summary>Files in a folder.</summary>
public sealed class FolderFiles(string directory) : IAuditFiles
{
    /// <inheritdoc/>
    public Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken) => WriteAsync(name, content, overwrite: true, cancellationToken);

    /// <inheritdoc/>
    public Task<bool> CreateAsync(string name, Stream content, CancellationToken cancellationToken) => WriteAsync(name, content, overwrite: false, cancellationToken);

    /// <inheritdoc/>
    public Task<Stream?> OpenFirstAsync(string name, CancellationToken cancellationToken) => OpenAsync(name, cancellationToken);

    private async Task<bool> WriteAsync(string name, Stream content, bool overwrite, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var path = PathOf(name);
        PrivateFiles.CreateDirectory(Path.GetDirectoryName(path)!);
        // Of its own: two instances may write one file at the same moment, and each is whole when it takes its place.
        var temporary = $"{path}.{Guid.NewGuid():n}.new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.None, Options = FileOptions.Asynchronous };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        await using (var file = new FileStream(temporary, options))
        {
            await content.CopyToAsync(file, cancellationToken);
            file.Flush(flushToDisk: true);
        }

        try
        {
            File.Move(temporary, path, overwrite);
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            File.Delete(temporary);
            return false;
        }
        catch (IOException) when (!overwrite && File.Exists(path))
        {
            File.Delete(temporary);
            return false;
        }
    }

    /// <inheritdoc/>
    public Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken)
    {
        var path = PathOf(name);
        return Task.FromResult<Stream?>(File.Exists(path)
            ? new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 64 * 1024, FileOptions.Asynchronous | FileOptions.SequentialScan)
            : null);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var folder = PathOf(prefix[..(prefix.LastIndexOf('/') + 1)]);
        if (!Directory.Exists(folder))
        {
            yield break;
        }

        foreach (var name in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(directory, path).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal) && !name.EndsWith(".new", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return name;
        }
    }

    private string PathOf(string name) => Path.Combine(directory, name.Replace('/', Path.DirectorySeparatorChar));
}

/// <summary>
/// Files in a container of Azure Blob Storage. An immutability policy of the container refuses every change; one of the versions (which the
/// templates set for anchors) lets a new version be put in front, while the first one stays: that is the one to believe.
/// </summary>
public sealed class BlobFiles(Lazy<BlobContainerClient> container) : IAuditFiles
{
    private const int Conflict = 409;
    private const int Missing = 404;
    private const int Unmet = 412;

    /// <summary>The container by identity, or by connection string for an emulator.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static BlobFiles Of(AuditFileStore store, Lazy<TokenCredential> credential)
    {
        ArgumentNullException.ThrowIfNull(store);
        return new(new Lazy<BlobContainerClient>(() => store.ConnectionString is { } text
            ? new BlobContainerClient(text, new BlobUriBuilder(store.ContainerUri!).BlobContainerName)
            : new BlobContainerClient(store.ContainerUri!, credential.Value)));
    }

    /// <inheritdoc/>
    public Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken) => UploadAsync(name, content, new(), cancellationToken);

    /// <inheritdoc/>
    public Task<bool> CreateAsync(string name, Stream content, CancellationToken cancellationToken) =>
        UploadAsync(name, content, new() { Conditions = new() { IfNoneMatch = ETag.All } }, cancellationToken);

    /// <inheritdoc/>
    public Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken) => ReadAsync(container.Value.GetBlobClient(name), cancellationToken);

    /// <inheritdoc/>
    public async Task<Stream?> OpenFirstAsync(string name, CancellationToken cancellationToken)
    {
        string? first = null;
        try
        {
            // Deleted is a blob whose versions are all that is left of it. Ids of versions are times, in a form that sorts.
            await foreach (var blob in container.Value.GetBlobsAsync(new GetBlobsOptions { Prefix = name, States = BlobStates.Version }, cancellationToken))
            {
                first = blob.Name == name && blob.VersionId is { } id && (first is null || string.CompareOrdinal(id, first) < 0) ? id : first;
            }
        }
        catch (RequestFailedException exception) when (exception.Status != Missing)
        {
            throw Unreadable(exception);
        }
        catch (RequestFailedException)
        {
            return null;
        }

        var client = container.Value.GetBlobClient(name);
        return await ReadAsync(first is null ? client : client.WithVersion(first), cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) => NamesAsync(prefix, BlobStates.None, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListFirstAsync(string prefix, CancellationToken cancellationToken) => NamesAsync(prefix, BlobStates.Version, cancellationToken);

    private async IAsyncEnumerable<string> NamesAsync(string prefix, BlobStates states, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (var blob in container.Value.GetBlobsAsync(new GetBlobsOptions { Prefix = prefix, States = states }, cancellationToken))
        {
            if (blob.Name != last)
            {
                yield return last = blob.Name;
            }
        }
    }

    private static async Task<Stream?> ReadAsync(BlobClient blob, CancellationToken cancellationToken)
    {
        try
        {
            return await blob.OpenReadAsync(cancellationToken: cancellationToken);
        }
        catch (RequestFailedException exception) when (exception.Status == Missing)
        {
            return null;
        }
        catch (RequestFailedException exception)
        {
            throw Unreadable(exception);
        }
    }

    private async Task<bool> UploadAsync(string name, Stream content, BlobUploadOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await container.Value.GetBlobClient(name).UploadAsync(content, options, cancellationToken);
            return true;
        }
        catch (RequestFailedException exception) when (
            exception is { Status: Conflict, ErrorCode: "BlobImmutableDueToPolicy" or "BlobImmutableDueToLegalHold" }
            || (options.Conditions is not null && exception is { Status: Conflict, ErrorCode: "BlobAlreadyExists" } or { Status: Unmet, ErrorCode: "ConditionNotMet" }))
        {
            return false;
        }
        catch (RequestFailedException exception)
        {
            throw new IOException($"The blob container refuses a file ({CodeOf(exception)}).", exception);
        }
    }

    private static IOException Unreadable(RequestFailedException exception) => new($"The blob container cannot be read ({CodeOf(exception)}).", exception);

    private static string CodeOf(RequestFailedException exception) => exception.ErrorCode ?? exception.Status.ToString(CultureInfo.InvariantCulture);
}

/// <summary>No files: nothing is configured.</summary>
public sealed class NoFiles : IAuditFiles
{
    /// <inheritdoc/>
    public Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken) => Task.FromResult(false);

    /// <inheritdoc/>
    public Task<bool> CreateAsync(string name, Stream content, CancellationToken cancellationToken) => Task.FromResult(false);

    /// <inheritdoc/>
    public Task<Stream?> OpenFirstAsync(string name, CancellationToken cancellationToken) => Task.FromResult<Stream?>(null);

    /// <inheritdoc/>
    public Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken) => Task.FromResult<Stream?>(null);

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) => AsyncEnumerable.Empty<string>();
}
