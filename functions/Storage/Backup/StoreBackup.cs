using System.Buffers;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace DingFlow.Storage;

/// <summary>
/// Copies a store into a file and back: gzip, JSON Lines. The first line names the format, then a line for each row
/// (<see cref="BackupRow"/>), and the last line says how many rows there are and what they come to, so that a torn file is noticed.
/// </summary>
/// <remarks>
/// The file holds what the store holds: pseudonyms, encrypted deliveries, cases with employee ids. It does not hold the keys. It goes from
/// either store into either.
/// </remarks>
internal sealed class StoreBackup(IEntityStore store, IStoredRows rows)
{
    private const int Version = 1;

    /// <summary>Bytes of lines in one transaction: Azure takes 4 MiB, in which bytes travel as base64, as here.</summary>
    private const int TransactionBytes = 2 * 1024 * 1024;

    private const int SubmittedAtOnce = 16;

    /// <summary>Writes every row into the file (mode 0600), whole or not at all. The store should not be written to meanwhile.</summary>
    /// <exception cref="IOException">The file exists or cannot be written.</exception>
    public async Task<BackupSummary> ExportAsync(string path, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (File.Exists(path))
        {
            throw new IOException($"{path} exists; a backup is never overwritten.");
        }

        var temporary = path + ".new";
        File.Delete(temporary);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var summary = new BackupSummary();
        await using (var file = new FileStream(temporary, options))
        {
            await using (var zip = new GZipStream(file, CompressionLevel.Fastest, leaveOpen: true))
            {
                await WriteLineAsync(zip, Header(now), cancellationToken);
                var line = new ArrayBufferWriter<byte>();
                await foreach (var row in rows.ReadAllAsync(cancellationToken))
                {
                    line.ResetWrittenCount();
                    BackupRow.Write(line, row);
                    summary.Add(row.Table, line.WrittenSpan);
                    await WriteLineAsync(zip, line, cancellationToken);
                }

                await WriteLineAsync(zip, End(summary), cancellationToken);
            }

            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path);
        return summary;
    }

    /// <summary>
    /// Puts the rows of the file into the store. The whole file is checked before the first row is written. Running it again after it was
    /// interrupted does no harm, with <paramref name="over"/>.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="over">Into a store that has rows already: those of the file replace them, others stay.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InvalidDataException">The file is damaged or no backup.</exception>
    /// <exception cref="InvalidOperationException">The store has rows already.</exception>
    public async Task<BackupSummary> ImportAsync(string path, bool over, CancellationToken cancellationToken)
    {
        var summary = await CheckAsync(path, cancellationToken);
        if (!over)
        {
            await foreach (var row in rows.ReadAllAsync(cancellationToken))
            {
                throw new InvalidOperationException($"The store has rows already (table {row.Table}); nothing was written.");
            }
        }

        List<EntityTransaction> waiting = [];
        var (table, partition, bytes) = ("", "", 0);
        List<EntityOperation> operations = [];
        await foreach (var line in ReadLinesAsync(path, cancellationToken))
        {
            if (line.Row is not { } row)
            {
                continue;
            }

            if (operations.Count == EntityLimits.OperationsPerTransaction || bytes + line.Bytes.Length > TransactionBytes || row.Table != table || row.Entity.PartitionKey != partition)
            {
                await CloseAsync();
                (table, partition) = (row.Table, row.Entity.PartitionKey);
            }

            operations.Add(EntityOperation.Upsert(row.Entity));
            bytes += line.Bytes.Length;
        }

        await CloseAsync();
        await SubmitAsync();
        return summary;

        async Task CloseAsync()
        {
            if (operations.Count > 0)
            {
                waiting.Add(new EntityTransaction(table, operations));
                (operations, bytes) = ([], 0);
                if (waiting.Count == SubmittedAtOnce)
                {
                    await SubmitAsync();
                }
            }
        }

        async Task SubmitAsync()
        {
            var results = await store.SubmitManyAsync(waiting, cancellationToken);
            if (results.FirstOrDefault(result => !result.Committed) is { } refused)
            {
                throw new EntityStoreException($"The store refused rows of the backup: {refused.Outcome}.");
            }

            waiting.Clear();
        }
    }

    /// <summary>How the store differs from the file; nothing when every row is there, unchanged, and no other.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or no backup.</exception>
    public async Task<IReadOnlyList<string>> VerifyAsync(string path, CancellationToken cancellationToken)
    {
        var expected = await CheckAsync(path, cancellationToken);
        var actual = new BackupSummary();
        var line = new ArrayBufferWriter<byte>();
        await foreach (var row in rows.ReadAllAsync(cancellationToken))
        {
            line.ResetWrittenCount();
            BackupRow.Write(line, row);
            actual.Add(row.Table, line.WrittenSpan);
        }

        return actual.DifferencesFrom(expected);
    }

    /// <summary>Reads the file to its end and compares its rows with its last line.</summary>
    private static async Task<BackupSummary> CheckAsync(string path, CancellationToken cancellationToken)
    {
        var summary = new BackupSummary();
        BackupSummary? end = null;
        await foreach (var line in ReadLinesAsync(path, cancellationToken))
        {
            if (end is not null)
            {
                throw new InvalidDataException("The backup goes on after its end.");
            }

            if (line.Row is { } row)
            {
                summary.Add(row.Table, line.Bytes);
            }

            end = line.End;
        }

        return end is not null && summary.DifferencesFrom(end).Count == 0
            ? summary
            : throw new InvalidDataException("The backup is torn: its rows are not those that its end names.");
    }

    /// <summary>Every line after the first.</summary>
    private static async IAsyncEnumerable<Line> ReadLinesAsync(
        string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        await using var zip = new GZipStream(file, CompressionMode.Decompress);
        using var reader = new StreamReader(zip);
        for (var number = 0L; await reader.ReadLineAsync(cancellationToken) is { } text; number++)
        {
            Line? line;
            try
            {
                line = Read(Encoding.UTF8.GetBytes(text), isHeader: number == 0);
            }
            catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or KeyNotFoundException or ArgumentException)
            {
                throw new InvalidDataException($"Line {number + 1} of the backup is damaged.", exception);
            }

            if (line is not null)
            {
                yield return line;
            }
        }
    }

    private static Line? Read(byte[] bytes, bool isHeader)
    {
        using var document = JsonDocument.Parse(bytes);
        if (isHeader)
        {
            CheckHeader(document.RootElement);
            return null;
        }

        return document.RootElement.TryGetProperty("end", out var end)
            ? new(bytes, null, ReadEnd(end))
            : new(bytes, BackupRow.Read(document.RootElement), null);
    }

    private static void CheckHeader(JsonElement header)
    {
        if (!header.TryGetProperty("dingflowBackup", out var version) || version.GetInt32() != Version)
        {
            throw new InvalidDataException("This is no backup of DingFlow, or one of a newer version.");
        }
    }

    private static ArrayBufferWriter<byte> Header(DateTimeOffset now)
    {
        var line = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(line);
        writer.WriteStartObject();
        writer.WriteNumber("dingflowBackup", Version);
        writer.WriteString("createdAt", now);
        writer.WriteEndObject();
        return line;
    }

    private static ArrayBufferWriter<byte> End(BackupSummary summary)
    {
        var line = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(line);
        writer.WriteStartObject();
        writer.WriteStartObject("end");
        foreach (var (name, table) in summary.Tables)
        {
            writer.WriteStartObject(name);
            writer.WriteNumber("rows", table.Rows);
            writer.WriteString("digest", table.Hex);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
        return line;
    }

    private static BackupSummary ReadEnd(JsonElement end)
    {
        var summary = new BackupSummary();
        foreach (var table in end.EnumerateObject())
        {
            summary.Add(table.Name, TableSummary.Parse(table.Value.GetProperty("rows").GetInt64(), table.Value.GetProperty("digest").GetString() ?? ""));
        }

        return summary;
    }

    /// <summary>A line: a row, or the end.</summary>
    private sealed record Line(byte[] Bytes, StoredRow? Row, BackupSummary? End);

    private static async Task WriteLineAsync(Stream stream, ArrayBufferWriter<byte> line, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(line.WrittenMemory, cancellationToken);
        await stream.WriteAsync("\n"u8.ToArray(), cancellationToken);
    }
}
