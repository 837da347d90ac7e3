using System.Buffers;

namespace DingFlow.Transfers;

/// <summary>
/// Reads a batch in blocks of whole records that are judged side by side and handed on in their order, in parts of some ten thousand
/// records. Holds as many blocks as there are processors, and two more, whatever the size of the batch.
/// </summary>
/// <remarks>
/// A block is far smaller than a part: what is read of it is soon a few objects beside a part and not as much again, so that the garbage
/// collector, which stops everybody, finds little to move.
/// </remarks>
/// <param name="records">The bytes of the batch, uncompressed.</param>
/// <param name="length">How many there are; <see langword="null"/> when that is not known.</param>
/// <param name="cutter">Cuts them into records.</param>
/// <param name="options">Limits.</param>
/// <param name="readers">Judge the records.</param>
internal sealed class RecordBlocks(Stream records, long? length, RecordCutter cutter, TransfersOptions options, ReaderPool readers)
{
    private const int LargeBlock = 256 * 1024;

    /// <summary>
    /// Records of a part. The ledger writes some ten thousand at once most cheaply. It borrows arrays for them, which come in powers of two: one
    /// record more, and each would take twice the memory.
    /// </summary>
    private const int PartRecords = 8 * 1024;

    /// <summary>One byte more than there are, so that the first block of a small batch sees its end.</summary>
    private readonly int _blockBytes = Math.Max((int)Math.Min(LargeBlock, (length ?? LargeBlock) + 1), 2 * options.MaxRecordBytes);

    private readonly Queue<Task<TransferChunk>> _judging = new();
    private readonly int _most = Math.Max(2, Environment.ProcessorCount) + 1;
    private readonly List<TransferChunk> _part = [];
    private int _partRecords;
    private long _read;
    private byte[] _rest = [];
    private bool _isStart = true;

    /// <summary>Reads to the end, or to where a limit or a fault ends it; whole records before a fault are handed on.</summary>
    public async Task<BatchStop> ReadAsync(Func<TransferChunk, Task> take, CancellationToken late, CancellationToken cancellationToken)
    {
        var stop = BatchStop.None;
        try
        {
            var ended = false;
            while (!ended && stop == BatchStop.None)
            {
                var block = ArrayPool<byte>.Shared.Rent(_blockBytes);
                (var length, ended, stop) = await FillAsync(block, late, cancellationToken);
                if (!Judge(block, length, isLast: ended && stop == BatchStop.None))
                {
                    stop = BatchStop.Malformed;
                }

                if (_judging.Count >= _most && !await TakeAsync(take))
                {
                    return BatchStop.RecordLimit;
                }
            }

            while (_judging.Count > 0)
            {
                if (!await TakeAsync(take))
                {
                    return BatchStop.RecordLimit;
                }
            }

            await HandOnAsync(take);
            return stop;
        }
        finally
        {
            // Readers go back to their pool before it is disposed of.
            await Task.WhenAll(_judging);
        }
    }

    /// <summary>Fills a block behind what was left over; a fault of the body ends it, and is told with what came before it.</summary>
    private async Task<(int Length, bool Ended, BatchStop Stop)> FillAsync(byte[] block, CancellationToken late, CancellationToken cancellationToken)
    {
        _rest.CopyTo(block, 0);
        var length = _rest.Length;
        try
        {
            while (length < _blockBytes)
            {
                var count = await records.ReadAsync(block.AsMemory(length, _blockBytes - length), cancellationToken);
                if (count == 0)
                {
                    return (length, true, BatchStop.None);
                }

                length += count;
            }

            return (length, false, BatchStop.None);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            return (length, true, BatchStop.TimeLimit);
        }
        catch (Exception exception) when (BatchBody.StopOf(exception) is { } stop)
        {
            return (length, true, stop);
        }
    }

    /// <summary>Has the whole records of a block judged; <see langword="false"/> when what follows them cannot be read.</summary>
    private bool Judge(byte[] block, int length, bool isLast)
    {
        var start = _isStart && block.AsSpan(0, length).StartsWith("\uFEFF"u8) ? 3 : 0;
        _isStart = false;
        var text = new ReadOnlyMemory<byte>(block, start, length - start);
        var cut = cutter.Cut(text, isFull: length == _blockBytes, isLast);
        _rest = text[cut.Taken..].ToArray();
        _judging.Enqueue(Task.Factory.StartNew(
            () =>
            {
                var reader = readers.Rent();
                try
                {
                    return cut.Judge(reader);
                }
                finally
                {
                    readers.Return(reader);
                    ArrayPool<byte>.Shared.Return(block);
                }
            },
            CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current));
        return !cut.IsBroken;
    }

    /// <summary>Adds the oldest block to the part, and hands that on when it is full; <see langword="false"/> when the batch may have no more records.</summary>
    private async Task<bool> TakeAsync(Func<TransferChunk, Task> take)
    {
        var chunk = (await _judging.Dequeue()).After(_read);
        var allowed = chunk.Before(options.MaxBatchRecords);
        if (allowed.Records > _read)
        {
            var count = (int)(allowed.Records - _read);
            _read = allowed.Records;
            _part.Add(allowed);
            _partRecords += count;
            if (_partRecords + count > PartRecords)
            {
                // Another block of this size would be too much.
                await HandOnAsync(take);
            }
        }

        if (chunk.Records <= options.MaxBatchRecords)
        {
            return true;
        }

        await HandOnAsync(take);
        return false;
    }

    private async Task HandOnAsync(Func<TransferChunk, Task> take)
    {
        if (_part.Count > 0)
        {
            var part = TransferChunk.Join(_part);
            _part.Clear();
            _partRecords = 0;
            await take(part);
        }
    }
}
