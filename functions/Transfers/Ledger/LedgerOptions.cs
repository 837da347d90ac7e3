using System.Numerics;
using DingFlow.Settings;

namespace DingFlow.Transfers.Ledger;

/// <summary>How the ledger is laid out and how much it may hold.</summary>
/// <param name="KeyId">
/// Names the ledger key (not the key that wraps it): frozen in every shard, so that a lost or changed key is noticed before persons are
/// counted twice.
/// </param>
public sealed record LedgerOptions(string KeyId)
{
    /// <summary><c>Transfers:Shards</c>: a power of two, frozen at the first write.</summary>
    public int Shards { get; init; } = 64;

    /// <summary><c>Transfers:RecipientLimit</c>: recipients that one exporter may have.</summary>
    public int RecipientLimit { get; init; } = 4096;

    /// <summary><c>Transfers:LaneLimit</c>: lanes that one exporter may have.</summary>
    public int LaneLimit { get; init; } = 4096;

    /// <summary>
    /// <c>Transfers:FactLimit</c>: distinct facts (lane, recipient, exemption, class, minor or not) that one exporter may have; each takes some
    /// 400 bytes of memory.
    /// </summary>
    public int FactLimit { get; init; } = LedgerLimits.Facts / 2;

    /// <summary><c>Transfers:RetentionYears</c>: how long records are kept (three years by PIPL article 56 and Regulations article 12).</summary>
    public int RetentionYears { get; init; } = 3;

    /// <summary><c>Transfers:CachedSubjects</c>: subjects kept in memory, over all exporters' shards; about 30 bytes each.</summary>
    public long CachedSubjects { get; init; } = 16_000_000;

    /// <summary>Where accepted records are merged, which is work for the processor.</summary>
    public TaskScheduler Background { get; init; } = TaskScheduler.Default;

    /// <summary>Entries of a shard that wait in its counter row before they become a segment.</summary>
    internal int TailEntries { get; init; } = 128;

    /// <summary>
    /// Segments of one level, at least, before they become one of the next: with ten million subjects each entry is written three times. More
    /// of them cost nothing but their names in the counter row, since a shard in memory is never looked up in its segments.
    /// </summary>
    internal int LevelSegments { get; init; } = 12;

    /// <summary>Records merged at once.</summary>
    internal int MergeRecords { get; init; } = 64 * 1024;

    /// <summary>Records in one log row.</summary>
    internal int ChunkRecords { get; init; } = 20_000;

    /// <summary>Distinct states that are remembered, at least, before those that no subject in memory is in are forgotten; some 500 bytes each.</summary>
    internal int States { get; init; } = 256 * 1024;

    /// <summary>Log entries that a start may have to read again: then the checkpoint moves.</summary>
    internal int CheckpointEntries { get; init; } = 64;

    /// <summary>
    /// Bytes of the checkpoint, which is one row: beyond them neither names nor unions nor voids are taken in. A row that the store refuses would
    /// stop every count.
    /// </summary>
    internal int HeaderBytes { get; init; } = 900 * 1024;

    /// <summary>Reads <c>Transfers:*</c>.</summary>
    public static LedgerOptions Read(IConfiguration configuration, SettingsFaults faults, string keyId)
    {
        var reader = new SettingsReader(configuration, "Transfers", faults);
        var shards = reader.Number("Shards", 64, 1, LedgerLimits.Shards);
        if (!BitOperations.IsPow2(shards))
        {
            reader.Fault("Shards", "must be a power of two");
        }

        return new(keyId)
        {
            Shards = shards,
            RecipientLimit = reader.Number("RecipientLimit", 4096, 1, ushort.MaxValue),
            LaneLimit = reader.Number("LaneLimit", 4096, 1, ushort.MaxValue),
            FactLimit = reader.Number("FactLimit", LedgerLimits.Facts / 2, 1, LedgerLimits.Facts),
            RetentionYears = reader.Number("RetentionYears", 3, 3, 100),
            CachedSubjects = reader.Number("CachedSubjects", 16_000_000, 10_000, int.MaxValue),
        };
    }
}

/// <summary>Sizes that keep every row and transaction within what the store accepts, and every wait short.</summary>
internal static class LedgerLimits
{
    public const int Shards = 1024;

    /// <summary>Distinct facts of an exporter: seven bytes each, at most, in one row.</summary>
    public const int Facts = 64 * 1024;

    /// <summary>Bytes in one row: ten binary properties, 850 KB as they travel in base64.</summary>
    public const int RowBytes = 640 * 1024;

    /// <summary>Bytes of rows in one transaction, so that none holds up others for long; 1.4 MB as they travel in base64.</summary>
    public const int TransactionBytes = 1024 * 1024;

    /// <summary>Bytes handed to the store at once, so that no write holds up another for long.</summary>
    public const int SubmitBytes = 512 * 1024;

    /// <summary>Accepted records that may wait for merging before senders wait too.</summary>
    public const int PendingRecords = 128 * 1024;

    /// <summary>Log entries merged at once.</summary>
    public const int MergeEntries = 256;

    /// <summary>Merged records after which the checkpoint moves.</summary>
    public const int CheckpointRecords = 256 * 1024;

    /// <summary>Identifiers that may be united with others per exporter.</summary>
    public const int Aliases = 20_000;

    /// <summary>How often a write that another writer or the store turned away is tried again.</summary>
    public const int Attempts = 8;
}
