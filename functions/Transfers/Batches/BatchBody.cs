using System.IO.Compression;
using System.Security.Cryptography;
using DingFlow.Hosting;
using DingFlow.Messaging;
using Microsoft.AspNetCore.Http.Features;

namespace DingFlow.Transfers;

/// <summary>
/// The body of a request that carries a batch: which format, which id, and its bytes, uncompressed as they are read.
/// </summary>
/// <remarks>
/// With an <c>Idempotency-Key</c> the records are read as they arrive. Without one the hash of the body is the batch's identity, which is
/// known only at its end: a large body then waits in a file that has no name any more, so that no crash leaves it behind.
/// </remarks>
public sealed class BatchBody : IAsyncDisposable
{
    private const int InMemory = 1024 * 1024;
    private const int BufferSize = 64 * 1024;
    private const int LongestKey = 255;

    private readonly Stream? _owned;
    private readonly Stream _records;
    private readonly TransfersOptions _options;
    private readonly DateTimeOffset _until;
    private readonly TimeProvider _time;
    private readonly HashingStream? _hashing;
    private readonly PayloadHash _hash;

    private BatchBody(TransferFormat format, string batchId, Stream? owned, Stream records, TransfersOptions options, DateTimeOffset until, TimeProvider time,
        HashingStream? hashing, PayloadHash hash) =>
        (Format, BatchId, _owned, _records, _options, _until, _time, _hashing, _hash) = (format, batchId, owned, records, options, until, time, hashing, hash);

    /// <summary>
    /// The hash of the body as it was sent. Of one that is read as it arrives it is known once it was read to its end, and until then
    /// <see cref="PayloadHash.None"/>.
    /// </summary>
    public PayloadHash Hash => _hashing?.Hash ?? _hash;

    /// <summary>It may take long: not to be read where webhooks are answered.</summary>
    public bool IsLarge { get; private init; }

    /// <summary>Bytes of the records; <see langword="null"/> when that is not known before they are read.</summary>
    private long? Length { get; init; }

    /// <summary>How the records are written.</summary>
    public TransferFormat Format { get; }

    /// <summary>Our id of the batch: the hash of the caller and its <c>Idempotency-Key</c>, or of the body. 32 hexadecimal digits.</summary>
    public string BatchId { get; }

    /// <summary>
    /// Opens the body of a request. Returns <see langword="null"/> when it is of a wrong type or too large; the problem has then been
    /// answered.
    /// </summary>
    public static async Task<BatchBody?> OpenAsync(HttpContext context, TransfersOptions options, PseudonymKey batchKey, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(batchKey);
        var request = context.Request;
        if (FormatOf(request.ContentType) is not { } format || CodingOf(request) is not { } compressed)
        {
            await context.ProblemAsync(
                ProblemCode.UnsupportedMediaType,
                "The body must be application/json, application/x-ndjson or application/cloudevents-batch+json, in UTF-8, plain or with gzip.");
            return null;
        }

        if (request.ContentLength > options.MaxBodyBytes)
        {
            await context.ProblemAsync(ProblemCode.TooLarge, $"The body may have {options.MaxBodyBytes} bytes; split the batch.");
            return null;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = options.MaxBodyBytes;
        }

        var key = request.Headers["Idempotency-Key"];
        if (key.Count > 1 || (key.Count == 1 && (key[0] is not { Length: > 0 and <= LongestKey } text || !text.All(c => c is >= ' ' and <= '~'))))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "Idempotency-Key must have 1 to 255 printable ASCII characters.");
            return null;
        }

        // A body as large as this takes longer than other requests may; the batch has a limit of its own.
        context.Features.Get<RequestTimeLimit>()?.Lift();
        var until = time.GetUtcNow() + options.BatchTime;
        if (key.Count == 1)
        {
            var hashing = new HashingStream(request.Body);
            Stream records = compressed ? Expand(hashing, options) : hashing;
            return new(format, batchKey.OpaqueId($"batch key\n{context.Principal()}\n{key[0]}"), hashing, records, options, until, time, hashing, default)
            {
                IsLarge = request.ContentLength is null or > InMemory || compressed,
                Length = compressed ? null : request.ContentLength,
            };
        }

        using var late = new CancellationTokenSource(options.BatchTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, context.RequestAborted);
        try
        {
            var (source, hash) = await KeepAsync(request.Body, either.Token);
            return new(
                format, batchKey.OpaqueId($"batch body\n{Convert.ToHexStringLower(hash)}"), source, compressed ? Expand(source, options) : source, options, until, time, null,
                PayloadHash.FromHex(Convert.ToHexStringLower(hash)))
            {
                IsLarge = source is not MemoryStream || compressed,
                Length = compressed ? null : source.Length,
            };
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            await context.ProblemAsync(ProblemCode.TimedOut, "The body did not arrive in time; split the batch, or send it with an Idempotency-Key.");
            return null;
        }
    }

    /// <summary>Reads the records part by part, to the end or to where a limit or a fault ends it.</summary>
    /// <param name="readers">Judge the records.</param>
    /// <param name="take">Gets each part, one after the other.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async Task<BatchStop> ReadAsync(ReaderPool readers, Func<TransferChunk, Task> take, CancellationToken cancellationToken)
    {
        var left = _until - _time.GetUtcNow();
        using var late = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return await new RecordBlocks(_records, Length, RecordCutter.For(Format, _options.MaxRecordBytes), _options, readers)
                .ReadAsync(take, late.Token, either.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return BatchStop.TimeLimit;
        }
        catch (Exception exception) when (StopOf(exception) is { } stop)
        {
            return stop;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_records is ExpandedStream)
        {
            // Leaves what it reads from open: that is ours, or the server's.
            await _records.DisposeAsync();
        }

        if (_owned is not null)
        {
            await _owned.DisposeAsync();
        }
    }

    /// <summary>What a fault of the body means for the batch; <see langword="null"/> when it is none of the body's.</summary>
    internal static BatchStop? StopOf(Exception exception) => exception switch
    {
        ExpandedLimitException => BatchStop.ExpandedLimit,
        InvalidDataException => BatchStop.Damaged,
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => BatchStop.BodyLimit,
        _ => null,
    };

    private static TransferFormat? FormatOf(string? contentType)
    {
        var text = contentType ?? "";
        var end = text.IndexOf(';', StringComparison.Ordinal);
        var charset = text.IndexOf("charset=", StringComparison.OrdinalIgnoreCase);
        if (charset >= 0 && !text.AsSpan(charset + "charset=".Length).Trim("\" ;").StartsWith("utf-8", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        return (end < 0 ? text : text[..end]).Trim().ToLowerInvariant() switch
        {
            "application/json" => TransferFormat.Json,
            "application/x-ndjson" or "application/ndjson" or "application/jsonl" => TransferFormat.NdJson,
            "application/cloudevents-batch+json" or "application/cloudevents+json" => TransferFormat.CloudEvents,
            _ => null,
        };
    }

    /// <summary>Whether the body is compressed; <see langword="null"/> for a coding that is not taken.</summary>
    private static bool? CodingOf(HttpRequest request) => request.Headers.ContentEncoding is var coding && coding.Count == 0 ? false
        : coding is not [{ } only] ? null
        : only.ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" => true,
            "identity" or "" => false,
            _ => null,
        };

    private static ExpandedStream Expand(Stream compressed, TransfersOptions options) =>
        new(new GZipStream(compressed, CompressionMode.Decompress, leaveOpen: true), options.MaxExpandedBytes);

    /// <summary>The whole body, in memory or in a file without a name, and its hash.</summary>
    private static async Task<(Stream Body, byte[] Hash)> KeepAsync(Stream body, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Stream kept = new MemoryStream();
        try
        {
            var buffer = new byte[BufferSize];
            int length;
            while ((length = await body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                hash.AppendData(buffer, 0, length);
                if (kept is MemoryStream && kept.Length + length > InMemory)
                {
                    var memory = kept;
                    kept = OpenFile();
                    memory.Position = 0;
                    await memory.CopyToAsync(kept, cancellationToken);
                    await memory.DisposeAsync();
                }

                await kept.WriteAsync(buffer.AsMemory(0, length), cancellationToken);
            }
        }
        catch
        {
            await kept.DisposeAsync();
            throw;
        }

        kept.Position = 0;
        return (kept, hash.GetHashAndReset());
    }

    private static FileStream OpenFile()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Delete,
            BufferSize = 0,
            Options = FileOptions.DeleteOnClose | FileOptions.SequentialScan,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var path = Path.Combine(Path.GetTempPath(), $"dingflow-{Guid.NewGuid():n}");
        var file = new FileStream(path, options);
        if (!OperatingSystem.IsWindows())
        {
            // Whatever happens to the process, its bytes go with it.
            File.Delete(path);
        }

        return file;
    }
}

/// <summary>Hashes what is read through it. Leaves what it reads from open: that is the server's.</summary>
internal sealed class HashingStream(Stream inner) : Stream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>The hash of everything, once the end was reached.</summary>
    public PayloadHash Hash { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var length = await inner.ReadAsync(buffer, cancellationToken);
        Add(buffer.Span, length);
        return length;
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        var length = inner.Read(buffer, offset, count);
        Add(buffer.AsSpan(offset, count), length);
        return length;
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Add(ReadOnlySpan<byte> buffer, int length)
    {
        if (length > 0)
        {
            _hash.AppendData(buffer[..length]);
        }
        else if (!buffer.IsEmpty && Hash.Hex is null)
        {
            Hash = PayloadHash.FromHex(Convert.ToHexStringLower(_hash.GetCurrentHash()));
        }
    }
}

/// <summary>A compressed body expands to more than it may.</summary>
internal sealed class ExpandedLimitException : Exception;

/// <summary>Counts what a decompressor gives out, and ends it at a limit.</summary>
internal sealed class ExpandedStream(Stream inner, long maximum) : Stream
{
    private long _length;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => _length; set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Count(await inner.ReadAsync(buffer, cancellationToken));

    public override int Read(byte[] buffer, int offset, int count) => Count(inner.Read(buffer, offset, count));

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private int Count(int length)
    {
        _length += length;
        return _length <= maximum ? length : throw new ExpandedLimitException();
    }
}
