using System.Runtime.CompilerServices;
using Azure;
using Azure.Core;
using Azure.Storage.Blobs;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Files of an archive or of anchors, by names such as <c>days/2026/11/2026-11-24.jsonl.gz</c>.</summary>
public interface IAuditFiles
{
    /// <summary>Stores a file. <see langword="false"/>: one of this name is there and may not be changed.</summary>
    Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken);

    /// <summary>Opens a file, or <see langword="null"/> when there is none.</summary>
    Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken);

    /// <summary>The names that begin so, in ordinal order.</summary>
    IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken);
}

/// <summary>Files in a folder.</summary>
public sealed class FolderFiles(string directory) : IAuditFiles
{
    /// <inheritdoc/>
    public async Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var path = PathOf(name);
        PrivateFiles.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + ".new";
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
            File.Move(temporary, path, overwrite: true);
            return true;
        }
        catch (UnauthorizedAccessException)
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
        if (!Directory.Exists(directory))
        {
            yield break;
        }

        foreach (var name in Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories)
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

/// <summary>Files in a container of Azure Blob Storage. With an immutability policy on the container nothing can be changed afterwards.</summary>
public sealed class BlobFiles(Lazy<BlobContainerClient> container) : IAuditFiles
{
    private const int Conflict = 409;
    private const int Missing = 404;

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
    public async Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken)
    {
        try
        {
            await container.Value.GetBlobClient(name).UploadAsync(content, overwrite: true, cancellationToken);
            return true;
        }
        catch (RequestFailedException exception) when (exception is { Status: Conflict, ErrorCode: "BlobImmutableDueToPolicy" or "BlobImmutableDueToLegalHold" })
        {
            return false;
        }
        catch (RequestFailedException exception)
        {
            throw new IOException($"The blob container refuses a file ({exception.ErrorCode ?? exception.Status.ToString(System.Globalization.CultureInfo.InvariantCulture)}).", exception);
        }
    }

    /// <inheritdoc/>
    public async Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            return await container.Value.GetBlobClient(name).OpenReadAsync(cancellationToken: cancellationToken);
        }
        catch (RequestFailedException exception) when (exception.Status == Missing)
        {
            return null;
        }
        catch (RequestFailedException exception)
        {
            throw new IOException($"The blob container cannot be read ({exception.ErrorCode ?? exception.Status.ToString(System.Globalization.CultureInfo.InvariantCulture)}).", exception);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var blob in container.Value.GetBlobsAsync(new Azure.Storage.Blobs.Models.GetBlobsOptions { Prefix = prefix }, cancellationToken))
        {
            yield return blob.Name;
        }
    }
}

/// <summary>No files: nothing is configured.</summary>
public sealed class NoFiles : IAuditFiles
{
    /// <inheritdoc/>
    public Task<bool> PutAsync(string name, Stream content, CancellationToken cancellationToken) => Task.FromResult(false);

    /// <inheritdoc/>
    public Task<Stream?> OpenAsync(string name, CancellationToken cancellationToken) => Task.FromResult<Stream?>(null);

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) => AsyncEnumerable.Empty<string>();
}
