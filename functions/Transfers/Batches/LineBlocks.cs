using System.Buffers;

namespace DingFlow.Transfers;

/// <summary>
/// Reads NDJSON in blocks of whole lines that are judged side by side and handed on in their order, in parts of some ten thousand records.
/// Holds as many blocks as there are processors, and two more, whatever the size of the batch.
/// </summary>
/// <remarks>
/// A block is far smaller than a part: what is read of it is soon a few objects beside a part and not as much again, so that the garbage
/// collector, which stops everybody, finds little to move.
/// </remarks>
internal sealed class LineBlocks(Stream records, TransfersOptions options, ReaderPool readers)
{
    private const int SmallestBlock = 512 * 1024;

    /// <summary>
    /// Records of a part. The ledger writes ten thousand at once most cheaply; a list of a few more would be an object of the large kind,
    /// which is collected only with everything else.
    /// </summary>
    private const int PartRecords = 10_600;

    private readonly int _blockBytes = Math.Max(SmallestBlock, 2 * options.MaxRecordBytes);

    private readonly Queue<Task<TransferChunk>> _judging = new();
    private readonly int _most = Math.Max(2, Environment.ProcessorCount) + 1;
    private readonly List<TransferChunk> _part = [];
    private int _partRecords;
    private long _read;
    private byte[] _rest = [];
    private bool _isStart = true;
    private bool _dropping;

    /// <summary>Reads to the end, or to where a limit or a fault ends it; whole lines before a fault are handed on.</summary>
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
                Judge(block, length, isLast: ended && stop == BatchStop.None);
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

    private void Judge(byte[] block, int length, bool isLast)
    {
        var start = _isStart && block.AsSpan(0, length).StartsWith("\uFEFF"u8) ? 3 : 0;
        _isStart = false;
        if (_dropping)
        {
            // The rest of a line that was too long already.
            var end = block.AsSpan(start, length - start).IndexOf((byte)'\n');
            (start, _dropping) = (end < 0 ? length : start + end + 1, end < 0);
        }

        var lines = isLast ? length - start : block.AsSpan(start, length - start).LastIndexOf((byte)'\n') + 1;
        if (lines == 0 && length - start == _blockBytes)
        {
            // One line alone fills the block, so it is longer than any that is held: it is judged by what there is of it, and the rest is dropped.
            (lines, _dropping) = (length - start, true);
        }

        _rest = block.AsSpan(start + lines, length - start - lines).ToArray();
        var text = new ReadOnlyMemory<byte>(block, start, lines);
        _judging.Enqueue(Task.Factory.StartNew(
            () =>
            {
                var reader = readers.Rent();
                try
                {
                    return reader.ReadLines(text);
                }
                finally
                {
                    readers.Return(reader);
                    ArrayPool<byte>.Shared.Return(block);
                }
            },
            CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current));
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
