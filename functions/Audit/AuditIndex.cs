using System.Buffers.Binary;
using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// In which sealed days a case, a subject, a principal, an exporter or a kind occurs, so that a search over years reads a few days only.
/// It is made with the seal and may be made again from the entries.
/// </summary>
internal sealed class AuditIndex(IEntityStore store, AuditSeals seals)
{
    private const int Buckets = 32;

    /// <summary>What the entries of a day are found by.</summary>
    public sealed class Keys
    {
        private readonly HashSet<ulong> _keys = [];

        /// <summary>Takes up an entry as it stands.</summary>
        public void Add(AuditEntry entry) => _keys.UnionWith(AuditKeys.Of(entry));

        /// <summary>Takes up the keys that stand beside a row of entries.</summary>
        public void Add(ReadOnlySpan<byte> packed)
        {
            for (; packed.Length >= AuditKeys.Size; packed = packed[AuditKeys.Size..])
            {
                _keys.Add(BinaryPrimitives.ReadUInt64BigEndian(packed));
            }
        }

        public IEnumerable<IGrouping<int, ulong>> ByBucket => _keys.Order().GroupBy(BucketOf);
    }

    public async Task PutAsync(string day, Keys keys, CancellationToken cancellationToken)
    {
        List<EntityTransaction> rows = [];
        foreach (var bucket in keys.ByBucket)
        {
            var row = new Entity(PartitionOf(bucket.Key), day) { Properties = { ["Schema"] = 1 } };
            InboxPayload.AddChunks(row.Properties, AuditKeys.Pack([.. bucket]));
            rows.Add(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(row)));
        }

        await store.SubmitManyAsync(rows, cancellationToken);
    }

    /// <summary>The days in which something occurs.</summary>
    public async Task<HashSet<string>> DaysOfAsync(string type, string value, CancellationToken cancellationToken)
    {
        var key = AuditKeys.Of(type, value);
        var days = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var row in seals.RowsAsync(PartitionOf(BucketOf(key)), RowKeyRange.All, cancellationToken))
        {
            var bytes = InboxPayload.JoinChunks(row.Properties);
            for (var at = 0; at < bytes.Length; at += AuditKeys.Size)
            {
                if (BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(at)) == key)
                {
                    days.Add(row.RowKey);
                    break;
                }
            }
        }

        return days;
    }

    /// <summary>Whether the index of a day knows all of these: what it does not know no search and no hold finds.</summary>
    public async Task<bool> CoversAsync(string day, Keys keys, CancellationToken cancellationToken)
    {
        foreach (var bucket in keys.ByBucket)
        {
            if (await store.GetAsync(AuditRows.TrailTable, PartitionOf(bucket.Key), day, cancellationToken) is not { } row)
            {
                return false;
            }

            var bytes = InboxPayload.JoinChunks(row.Properties);
            var known = new HashSet<ulong>();
            for (var at = 0; at + AuditKeys.Size <= bytes.Length; at += AuditKeys.Size)
            {
                known.Add(BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(at)));
            }

            if (!known.IsSupersetOf(bucket))
            {
                return false;
            }
        }

        return true;
    }

    private static int BucketOf(ulong key) => (int)(key % Buckets);

    private static string PartitionOf(int bucket) => string.Create(CultureInfo.InvariantCulture, $"index|{bucket:D2}");
}
