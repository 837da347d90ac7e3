using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
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
    private const int KeySize = 8;

    /// <summary>What the entries of a day are found by.</summary>
    public sealed class Keys
    {
        private readonly HashSet<ulong> _keys = [];

        // Most entries of a day repeat what others say: it is hashed once.
        private readonly HashSet<(string Type, string Value)> _known = [];

        /// <summary>Takes up an entry. Of its content only what is indexed is read: a day may have a million.</summary>
        public void Add(AuditEntry entry)
        {
            Add(AuditFilter.KindKey, entry.Kind);
            if (entry.Content is not { } content)
            {
                return;
            }

            var reader = new Utf8JsonReader(content.Span);
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName)
                {
                    continue;
                }

                var type = reader.CurrentDepth == 1
                    ? reader.ValueTextEquals("caseId"u8) ? AuditFilter.CaseKey
                        : reader.ValueTextEquals("subject"u8) ? AuditFilter.SubjectKey
                        : reader.ValueTextEquals("exporter"u8) ? AuditFilter.ExporterKey
                        : null
                    : null;
                var isActor = reader.CurrentDepth == 1 && reader.ValueTextEquals("actor"u8);
                reader.Read();
                if (type is not null)
                {
                    Add(type, reader.GetString());
                }
                else if (isActor)
                {
                    AddActor(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }
        }

        public IEnumerable<IGrouping<int, ulong>> ByBucket => _keys.Order().GroupBy(BucketOf);

        private void AddActor(ref Utf8JsonReader reader)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isId = reader.ValueTextEquals("id"u8);
                reader.Read();
                if (isId)
                {
                    Add(AuditFilter.PrincipalKey, reader.GetString());
                }
            }
        }

        private void Add(string type, string? value)
        {
            if (value is not null && _known.Add((type, value)))
            {
                _keys.Add(KeyOf(type, value));
            }
        }
    }

    public async Task PutAsync(string day, Keys keys, CancellationToken cancellationToken)
    {
        List<EntityTransaction> rows = [];
        foreach (var bucket in keys.ByBucket)
        {
            var bytes = new byte[bucket.Count() * KeySize];
            foreach (var (key, i) in bucket.Select(static (key, i) => (key, i)))
            {
                BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * KeySize), key);
            }

            var row = new Entity(PartitionOf(bucket.Key), day) { Properties = { ["Schema"] = 1 } };
            InboxPayload.AddChunks(row.Properties, bytes);
            rows.Add(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(row)));
        }

        await store.SubmitManyAsync(rows, cancellationToken);
    }

    /// <summary>The days in which something occurs.</summary>
    public async Task<HashSet<string>> DaysOfAsync(string type, string value, CancellationToken cancellationToken)
    {
        var key = KeyOf(type, value);
        var days = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var row in seals.RowsAsync(PartitionOf(BucketOf(key)), RowKeyRange.All, cancellationToken))
        {
            var bytes = InboxPayload.JoinChunks(row.Properties);
            for (var at = 0; at < bytes.Length; at += KeySize)
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

    private static int BucketOf(ulong key) => (int)(key % Buckets);

    private static string PartitionOf(int bucket) => string.Create(CultureInfo.InvariantCulture, $"index|{bucket:D2}");

    private static ulong KeyOf(string type, string value) =>
        BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{type}\n{value}")));
}
