namespace DingFlow.Transfers;

/// <summary>Some consecutive records of a batch.</summary>
/// <param name="Transfers">The good ones, in order.</param>
/// <param name="Refusals">The others, in order.</param>
/// <param name="Records">How many records of the batch have been read so far, good or not.</param>
public sealed record TransferChunk(IReadOnlyList<SubjectTransfer> Transfers, IReadOnlyList<RecordRefusal> Refusals, long Records)
{
    /// <summary>Consecutive parts as one.</summary>
    internal static TransferChunk Join(IReadOnlyList<TransferChunk> parts)
    {
        if (parts.Count == 1)
        {
            return parts[0];
        }

        var transfers = new List<SubjectTransfer>(parts.Sum(part => part.Transfers.Count));
        foreach (var part in parts)
        {
            transfers.AddRange(part.Transfers);
        }

        return new(transfers, [.. parts.SelectMany(part => part.Refusals)], parts[^1].Records);
    }

    /// <summary>The same after so many records of the batch.</summary>
    internal TransferChunk After(long records) => records == 0 ? this : this with
    {
        Records = Records + records, Refusals = [.. Refusals.Select(refusal => refusal with { Index = refusal.Index + records })],
    };

    /// <summary>The records of the batch before an index, as far as they are of this part.</summary>
    internal TransferChunk Before(long index)
    {
        if (Records <= index)
        {
            return this;
        }

        var refusals = Refusals.Where(refusal => refusal.Index < index).ToList();
        var first = Records - Transfers.Count - Refusals.Count;
        return new([.. Transfers.Take((int)(index - first) - refusals.Count)], refusals, index);
    }

    /// <summary>Which record of the batch a good one is, from 0.</summary>
    internal long IndexOf(SubjectTransfer transfer)
    {
        var place = Transfers.Index().First(good => ReferenceEquals(good.Item, transfer)).Index;
        var index = Records - Transfers.Count - Refusals.Count + place;
        foreach (var refusal in Refusals)
        {
            index += refusal.Index <= index ? 1 : 0;
        }

        return index;
    }
}
