using System.Globalization;
using System.Security.Cryptography;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>
/// The documents of alerts in the table <c>Alerts</c>, in a partition per alert (<c>d|{key}</c>) that goes with it: <c>{sha256}|{part}</c>.
/// Named by their content, they may be kept again after a crash, and what another run made differently stays beside them.
/// </summary>
public sealed partial class AlertDocuments(IEntityStore store, ILogger<AlertDocuments> logger) : IAlertDocuments
{
    private const int PartBytes = 8 * EntityLimits.BinaryLength;
    private const int DeletedAtOnce = EntityLimits.OperationsPerTransaction;

    /// <inheritdoc/>
    public async Task<AlertDocument> KeepAsync(
        string alertId, string name, string mediaType, ReadOnlyMemory<byte> content, string source, CancellationToken cancellationToken)
    {
        var document = new AlertDocument(name, mediaType, content.Length, Convert.ToHexStringLower(SHA256.HashData(content.Span)), source);
        if (content.Length > IAlertDocuments.MaximumBytes)
        {
            Log.TooLarge(logger, name, content.Length);
            return document;
        }

        for (var part = 0; part * PartBytes < content.Length || part == 0; part++)
        {
            var row = new Entity(PartitionOf(AlertWork.KeyOf(alertId)), RowOf(document, part)) { Properties = { ["Schema"] = AlertStore.SchemaVersion } };
            InboxPayload.AddChunks(row.Properties, content.Slice(part * PartBytes, Math.Min(PartBytes, content.Length - (part * PartBytes))).ToArray());
            await store.SubmitAsync(EntityTransaction.Of(AlertStore.Table, EntityOperation.Upsert(row)), cancellationToken);
        }

        return document;
    }

    /// <inheritdoc/>
    public async Task<byte[]?> FindAsync(string alertId, AlertDocument document, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(document);
        if (document.Bytes > IAlertDocuments.MaximumBytes)
        {
            return null;
        }

        using var content = new MemoryStream((int)document.Bytes);
        for (var part = 0; (long)part * PartBytes < document.Bytes || part == 0; part++)
        {
            if (await store.GetAsync(AlertStore.Table, PartitionOf(AlertWork.KeyOf(alertId)), RowOf(document, part), cancellationToken) is not { } row)
            {
                return null;
            }

            content.Write(InboxPayload.JoinChunks(row.Properties));
        }

        if (Convert.ToHexStringLower(SHA256.HashData(content.GetBuffer().AsSpan(0, (int)content.Length))) == document.Sha256)
        {
            return content.ToArray();
        }

        Log.Damaged(logger, document.Name);
        return null;
    }

    /// <summary>Forgets the documents of an alert.</summary>
    internal static async Task RemoveAsync(IEntityStore store, string key, CancellationToken cancellationToken)
    {
        while (await store.QueryAsync(AlertStore.Table, PartitionOf(key), RowKeyRange.All, DeletedAtOnce, null, cancellationToken) is { Entities: { Count: > 0 } rows })
        {
            await store.SubmitAsync(
                EntityTransaction.Of(AlertStore.Table, [.. rows.Select(static row => EntityOperation.Delete(row.PartitionKey, row.RowKey))]), cancellationToken);
        }
    }

    private static string PartitionOf(string key) => $"d|{key}";

    private static string RowOf(AlertDocument document, int part) => string.Create(CultureInfo.InvariantCulture, $"{document.Sha256}|{part:D4}");

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The document {Name} has {Bytes} bytes: it is not sent with its alert, and is had at its source only")]
        public static partial void TooLarge(ILogger logger, string name, int bytes);

        [LoggerMessage(2, LogLevel.Error, "The document {Name} is not what its alert names; it is not sent")]
        public static partial void Damaged(ILogger logger, string name);
    }
}
