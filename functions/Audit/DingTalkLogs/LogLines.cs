using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Audit;

/// <summary>The records of one day of a log as compressed JSON Lines in a temporary file, however many they are, and the hash of the lines.</summary>
internal sealed class LogLines : IAsyncDisposable
{
    private readonly FileStream _file = new(
        Path.GetTempFileName(), FileMode.Create, FileAccess.ReadWrite, FileShare.None, 64 * 1024, FileOptions.Asynchronous | FileOptions.DeleteOnClose);

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly GZipStream _zip;
    private byte[] _lastPage = [];

    public LogLines() => _zip = new(_file, CompressionLevel.Optimal, leaveOpen: true);

    /// <summary>How many records there are.</summary>
    public long Count { get; private set; }

    /// <summary>Adds the records of a page. <see langword="false"/>: these are those of the page before, so the pages do not lead on.</summary>
    public async Task<bool> AddAsync(IReadOnlyList<JObject> records, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        foreach (var record in records)
        {
            text.Append(record.ToString(Formatting.None)).Append('\n');
        }

        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        var page = SHA256.HashData(bytes);
        if (records.Count > 0 && page.AsSpan().SequenceEqual(_lastPage))
        {
            return false;
        }

        _lastPage = page;
        _hash.AppendData(bytes);
        await _zip.WriteAsync(bytes, cancellationToken);
        Count += records.Count;
        return true;
    }

    /// <summary>The file from its beginning, and the SHA-256 of the lines before they were compressed.</summary>
    public async Task<(Stream Content, PayloadHash Hash)> EndAsync(CancellationToken cancellationToken)
    {
        await _zip.DisposeAsync();
        await _file.FlushAsync(cancellationToken);
        _file.Position = 0;
        return (_file, PayloadHash.FromHex(Convert.ToHexString(_hash.GetHashAndReset())));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _zip.DisposeAsync();
        await _file.DisposeAsync();
        _hash.Dispose();
    }
}
