using System.Buffers;
using System.IO.Compression;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Sealed days as files: <c>days/{year}/{month}/{day}.jsonl.gz</c> the entries in the order of the Merkle tree, and <c>….seal.json</c> the
/// seal. The two prove each other; nothing else is needed to verify or to restore them.
/// </summary>
public sealed class AuditArchive(IEntityStore store, IAuditFiles files)
{
    private const int FlushAt = 256 * 1024;

    /// <summary>Nothing is configured.</summary>
    public bool IsNone => files is NoFiles;

    /// <summary>Writes the files of a day. <see langword="false"/>: they are there and may not be changed.</summary>
    public async Task<bool> PutAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(seal);
        var temporary = Path.GetTempFileName();
        try
        {
            await using var content = new FileStream(temporary, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 64 * 1024, FileOptions.DeleteOnClose);
            await using (var zip = new GZipStream(content, CompressionLevel.Optimal, leaveOpen: true))
            {
                await WriteLinesAsync(seal, zip, cancellationToken);
            }

            content.Position = 0;
            using var proof = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(seal, AuditSealJson.Default.AuditSeal));
            return await files.PutAsync(LinesName(seal.Day), content, cancellationToken) & await files.PutAsync(SealName(seal.Day), proof, cancellationToken);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Keeps a file that is no day of the trail: a report, a log of another system.</summary>
    public Task<bool> PutFileAsync(string name, Stream content, CancellationToken cancellationToken) => files.PutAsync(name, content, cancellationToken);

    /// <summary>The content of such a file; <see langword="null"/> when there is none.</summary>
    /// <exception cref="InvalidDataException">It is larger than that.</exception>
    public async Task<byte[]?> FindFileAsync(string name, int maximumBytes, CancellationToken cancellationToken)
    {
        await using var file = await files.OpenAsync(name, cancellationToken);
        if (file is null)
        {
            return null;
        }

        using var content = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int read; (read = await file.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            content.Write(buffer, 0, read);
            if (content.Length > maximumBytes)
            {
                throw new InvalidDataException($"The archived file {name} is larger than {maximumBytes} bytes.");
            }
        }

        return content.ToArray();
    }

    /// <summary>The archived days, the earliest first.</summary>
    public async IAsyncEnumerable<string> DaysAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var name in files.ListAsync("days/", cancellationToken))
        {
            if (name.EndsWith(SealSuffix, StringComparison.Ordinal) && Path.GetFileName(name)[..^SealSuffix.Length] is var day && AuditDay.IsValid(day))
            {
                yield return day;
            }
        }
    }

    /// <summary>The last archived day; <see langword="null"/> when there is none.</summary>
    public async Task<string?> LastDayAsync(CancellationToken cancellationToken) => await DaysAsync(cancellationToken).LastOrDefaultAsync(cancellationToken);

    /// <summary>The archived seal of a day; <see langword="null"/> when the day is not archived.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public async Task<AuditSeal?> FindSealAsync(string day, CancellationToken cancellationToken)
    {
        await using var file = await files.OpenAsync(SealName(day), cancellationToken);
        return file is null ? null : await ReadSealAsync(file, day, cancellationToken);
    }

    /// <summary>The archived seal of a day.</summary>
    /// <exception cref="InvalidDataException">It is damaged or not there.</exception>
    public async Task<AuditSeal> SealAsync(string day, CancellationToken cancellationToken) =>
        await FindSealAsync(day, cancellationToken) ?? throw new InvalidDataException($"The archive has no seal of {day}.");

    private static async Task<AuditSeal> ReadSealAsync(Stream file, string day, CancellationToken cancellationToken)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(file, AuditSealJson.Default.AuditSeal, cancellationToken)
                ?? throw new InvalidDataException($"The archived seal of {day} is damaged.");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"The archived seal of {day} is damaged.", exception);
        }
    }

    /// <summary>The archived entries of a day, unchecked.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or not there.</exception>
    internal async IAsyncEnumerable<AuditEntry> EntriesAsync(
        string day, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = await files.OpenAsync(LinesName(day), cancellationToken)
            ?? throw new InvalidDataException($"The archive has no entries of {day}.");
        await using var zip = new GZipStream(file, CompressionMode.Decompress);
        using var reader = new StreamReader(zip);
        while (await ReadLineAsync(reader, cancellationToken) is { } line)
        {
            yield return AuditLines.Read(System.Text.Encoding.UTF8.GetBytes(line));
        }
    }

    private const string SealSuffix = ".seal.json";

    private static string LinesName(string day) => $"days/{day[..4]}/{day[5..7]}/{day}.jsonl.gz";

    private static string SealName(string day) => $"days/{day[..4]}/{day[5..7]}/{day}{SealSuffix}";

    private static async Task<string?> ReadLineAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadLineAsync(cancellationToken);
        }
        catch (InvalidDataException exception)
        {
            throw new InvalidDataException("The archived file is damaged.", exception);
        }
    }

    private async Task WriteLinesAsync(AuditSeal seal, Stream output, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(FlushAt * 2);
        foreach (var part in seal.Chains)
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                AuditLines.Write(buffer, entry);
                if (buffer.WrittenCount >= FlushAt)
                {
                    await output.WriteAsync(buffer.WrittenMemory, cancellationToken);
                    buffer.ResetWrittenCount();
                }
            }
        }

        await output.WriteAsync(buffer.WrittenMemory, cancellationToken);
    }
}
