using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
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

    /// <summary>A content fits into a property of the store; an entry has one.</summary>
    private const int LongestLine = 128 * 1024;

    /// <summary>Nothing is configured.</summary>
    public bool IsNone => files is NoFiles;

    /// <summary>
    /// Writes the files of a day. <see langword="false"/>: they are there and may not be changed. Nothing is written over another seal of the
    /// day, and nothing that is not what was sealed: the archive is the evidence of what the store was.
    /// </summary>
    /// <exception cref="InvalidDataException">The archive holds the day sealed otherwise, or the store's entries are not those of the seal.</exception>
    public async Task<bool> PutAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(seal);
        if (await FindSealAsync(seal.Day, cancellationToken) is { } archived && archived.Root != seal.Root)
        {
            throw new InvalidDataException($"The archive holds another seal of {seal.Day}; it stays as it is.");
        }

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
            return await JsonSerializer.DeserializeAsync(file, AuditSealJson.Default.AuditSeal, cancellationToken) is { } seal && seal.IsWellFormed()
                ? seal
                : throw new InvalidDataException($"The archived seal of {day} is damaged.");
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
        var reader = PipeReader.Create(zip, new(bufferSize: 64 * 1024));
        try
        {
            while (await ReadLineAsync(reader, cancellationToken) is { } line)
            {
                yield return AuditLines.Read(line);
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    private const string SealSuffix = ".seal.json";

    private static string LinesName(string day) => $"days/{day[..4]}/{day[5..7]}/{day}.jsonl.gz";

    private static string SealName(string day) => $"days/{day[..4]}/{day[5..7]}/{day}{SealSuffix}";

    /// <summary>The next line without its end; <see langword="null"/> behind the last. Of a file that was made to fill the memory only a line is read.</summary>
    private static async Task<byte[]?> ReadLineAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult read;
            try
            {
                read = await reader.ReadAsync(cancellationToken);
            }
            catch (InvalidDataException exception)
            {
                throw new InvalidDataException("The archived file is damaged.", exception);
            }

            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end).ToArray();
                reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                return line;
            }

            if (read.Buffer.Length > LongestLine || (read.IsCompleted && !read.Buffer.IsEmpty))
            {
                throw new InvalidDataException("The archived file holds a line that no writer writes.");
            }

            if (read.IsCompleted)
            {
                return null;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private async Task WriteLinesAsync(AuditSeal seal, Stream output, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(FlushAt * 2);
        var tree = new MerkleTree.Builder();
        foreach (var part in seal.Chains)
        {
            var check = new PartCheck(seal.Day, part, default, AnyRemoval.Instance);
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                Refuse(check.Check(entry));
                tree.Add(entry.Hash.Span);
                AuditLines.Write(buffer, entry);
                if (buffer.WrittenCount >= FlushAt)
                {
                    await output.WriteAsync(buffer.WrittenMemory, cancellationToken);
                    buffer.ResetWrittenCount();
                }
            }

            Refuse(check.End());
        }

        Refuse(Convert.ToHexStringLower(tree.Root()) == seal.MerkleRoot ? null : new(AuditFaultKind.SealBroken, seal.Day, null, null, ""));
        await output.WriteAsync(buffer.WrittenMemory, cancellationToken);
    }

    private static void Refuse(AuditFault? fault)
    {
        if (fault is not null)
        {
            throw new InvalidDataException($"The entries of {fault.Day} are not those that were sealed; verify the trail.");
        }
    }

    /// <summary>Whether a removal was lawful is another question: what is archived is what was sealed, with its content or without.</summary>
    private sealed class AnyRemoval : IContentExpiry
    {
        public static AnyRemoval Instance { get; } = new();

        public bool MayBeGone(string day, AuditEntry entry) => true;

        public long? MostGone(string day) => null;
    }
}
