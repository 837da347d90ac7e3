using System.Globalization;
using System.IO.Compression;
using System.Text;
using DingFlow.Entra;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// The permission-change log: a nightly reading of who may do what is compared with the one before, and each difference becomes an entry of
/// the trail in the same transaction as the new reading. Entra's own reports on role changes are taken over beside it; DingTalk's come as
/// events.
/// </summary>
public sealed partial class PermissionLog(
    PermissionSources sources, EntraDirectory entra, IEntityStore store, IAuditTrail trail, TimeProvider time, ILogger<PermissionLog> logger)
{
    private const string Partition = "permissions";
    private const string ReportsRow = "reports|entra";

    /// <summary>Changes that one transaction describes; more are written in steps, each a reading between the two.</summary>
    private const int ChangesAtOnce = 60;

    /// <summary>Entra keeps its audit for 7 to 30 days, by edition.</summary>
    private static readonly TimeSpan Lookback = TimeSpan.FromDays(7);

    /// <summary>Entra shows an activity minutes after it happened, some of them hours after; so far back it is asked again.</summary>
    private static readonly TimeSpan Late = TimeSpan.FromDays(1);

    /// <summary>Reads every source and writes down what changed. Returns how many changes.</summary>
    public async Task<int> SnapshotAsync(CancellationToken cancellationToken)
    {
        await TakeOverReportsAsync(cancellationToken);
        var changes = 0;
        await foreach (var reading in sources.ReadAsync(cancellationToken))
        {
            if (reading.Holdings is null)
            {
                Log.Unread(logger, reading.Source, reading.Fault);
                await trail.AppendAsync(
                    EventOf(PermissionAudit.SnapshotTaken, reading.Source, PayloadHash.None) with { Outcome = AuditOutcome.Failed, Reason = reading.Fault }, cancellationToken);
                continue;
            }

            changes += await StoreAsync(reading, reading.Holdings, cancellationToken);
        }

        return changes;
    }

    private static string RowOf(PermissionReading reading) => $"reading|{reading.Source.Replace('/', '|')}{(reading.Part is null ? "" : "|" + reading.Part)}";

    private static byte[] Pack(IEnumerable<PermissionHolding> holdings) =>
        Encoding.UTF8.GetBytes(string.Join('\n', holdings.Select(static one => $"{one.Who}\t{one.Permission}")));

    private static HashSet<PermissionHolding> Unpack(Entity row) =>
    [
        .. Encoding.UTF8.GetString(Decompress(InboxPayload.JoinChunks(row.Properties))).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('\t')).Select(static parts => new PermissionHolding(parts[0], parts[1])),
    ];

    private static AuditEvent EventOf(AuditKind kind, string source, PayloadHash payload) => new()
    {
        Kind = kind, Actor = AuditActor.System(nameof(SnapshotPermissions)), Payload = payload, On = new("permissions", source),
    };

    private static AuditEvent ChangeOf(AuditKind kind, PermissionReading reading, PermissionHolding holding, PayloadHash payload) => EventOf(kind, reading.Source, payload) with
    {
        Details = new Dictionary<string, string>
        {
            ["source"] = reading.Source, ["who"] = holding.Who, ["permission"] = holding.Permission, ["name"] = reading.Names.GetValueOrDefault(holding.Permission, ""),
        },
    };

    private async Task<int> StoreAsync(PermissionReading reading, IReadOnlyList<PermissionHolding> now, CancellationToken cancellationToken)
    {
        var (row, source) = (RowOf(reading), reading.Source);
        if (await store.GetAsync(AuditRows.TrailTable, Partition, row, cancellationToken) is not { } known)
        {
            var bytes = Pack(now);
            await trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(RowWith(row, bytes))),
                [EventOf(PermissionAudit.SnapshotTaken, source, PayloadHash.Of(bytes)) with { Details = new Dictionary<string, string> { ["holdings"] = $"{now.Count}" } }],
                cancellationToken);
            return 0;
        }

        var (before, etag) = (Unpack(known), known.ETag);
        var changes = now.Where(one => !before.Contains(one)).Select(static one => (Kind: PermissionAudit.Gained, One: one))
            .Concat(before.Except(now).Select(static one => (Kind: PermissionAudit.Lost, One: one)))
            .OrderBy(static change => change.One.Who, StringComparer.Ordinal).ToList();
        foreach (var step in changes.Chunk(ChangesAtOnce))
        {
            foreach (var (kind, one) in step)
            {
                _ = kind == PermissionAudit.Gained ? before.Add(one) : before.Remove(one);
            }

            var bytes = Pack(before.OrderBy(static one => one.Who, StringComparer.Ordinal).ThenBy(static one => one.Permission, StringComparer.Ordinal));
            var payload = PayloadHash.Of(bytes);
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Replace(RowWith(row, bytes), etag)),
                [.. step.Select(change => ChangeOf(change.Kind, reading, change.One, payload))], cancellationToken);
            if (!result.Committed)
            {
                return 0; // Another instance reads at the same time; its comparison counts.
            }

            etag = result.ETags[0];
        }

        return changes.Count;
    }

    /// <summary>Entra's reports on role changes since the last one that was taken over; each once, by its id.</summary>
    private async Task TakeOverReportsAsync(CancellationToken cancellationToken)
    {
        if (!entra.IsConfigured)
        {
            return;
        }

        var known = await store.GetAsync(AuditRows.TrailTable, Partition, ReportsRow, cancellationToken);
        var now = time.GetUtcNow();
        var since = (known?.Properties.Get<DateTimeOffset?>("Through") ?? now - Lookback) - (known is null ? TimeSpan.Zero : Late);
        var seen = ReadIds(known);
        var reports = await entra.ListRoleChangesAsync(since, cancellationToken);
        if (reports.Value is not { } found)
        {
            Log.Unread(logger, "entra/directoryAudits", $"{reports.Status} {reports.Code}");
            return;
        }

        var fresh = found.Where(report => !seen.ContainsKey(report.Id)).DistinctBy(static report => report.Id)
            .Select(static report => (Report: report, At: DateTimeOffset.Parse(report.Data["at"], CultureInfo.InvariantCulture)))
            .OrderBy(static one => one.At).ThenBy(static one => one.Report.Id, StringComparer.Ordinal).ToList();
        var etag = known?.ETag;
        foreach (var step in fresh.Chunk(ChangesAtOnce))
        {
            foreach (var (report, at) in step)
            {
                seen[report.Id] = at;
            }

            var through = seen.Values.Max();
            foreach (var forgotten in seen.Where(one => one.Value < through - Late - Late).Select(static one => one.Key).ToList())
            {
                seen.Remove(forgotten);
            }

            var entity = new Entity(Partition, ReportsRow) { ETag = etag, Properties = { ["Schema"] = 2, ["Through"] = through } };
            InboxPayload.AddChunks(entity.Properties, Compress(Encoding.UTF8.GetBytes(string.Join('\n', seen.Select(static one => $"{one.Key}\t{one.Value:O}")))));
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, etag is null ? EntityOperation.Insert(entity) : EntityOperation.Replace(entity)),
                [.. step.Select(static one => EventOf(one.Report, one.At))], cancellationToken);
            if (!result.Committed)
            {
                return; // Another instance takes them over at the same time.
            }

            etag = result.ETags[0];
        }
    }

    /// <summary>The reports that were taken over of late, by id, and when what they report happened.</summary>
    private static Dictionary<string, DateTimeOffset> ReadIds(Entity? row)
    {
        if (row is null)
        {
            return new(StringComparer.Ordinal);
        }

        if (row.Properties.Get<string>("Ids") is { } ids)
        {
            // As it was written at first: those of the last moment only.
            var through = row.Properties.Require<DateTimeOffset>("Through");
            return ids.Split(',', StringSplitOptions.RemoveEmptyEntries).ToDictionary(static id => id, _ => through, StringComparer.Ordinal);
        }

        return Encoding.UTF8.GetString(Decompress(InboxPayload.JoinChunks(row.Properties))).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('\t'))
            .ToDictionary(static parts => parts[0], static parts => DateTimeOffset.Parse(parts[1], CultureInfo.InvariantCulture), StringComparer.Ordinal);
    }

    private static AuditEvent EventOf(EntraHolding report, DateTimeOffset at) => PermissionEvents.Event(
        "entra", $"{report.Name} {report.Data["role"]}".Trim(), $"entra:{report.Data["target"]}", report.Data["by"],
        PayloadHash.Of(string.Join('\n', report.Data.OrderBy(static part => part.Key, StringComparer.Ordinal).Select(static part => part.Value))),
        at, report.Id, report.Data["role"].Length > 0 ? [report.Data["role"]] : [], DirectionOf(report.Name));

    /// <summary>Activities are named "Add member to role", "Remove eligible member from role in PIM completed (permanent)" and the like.</summary>
    private static bool? DirectionOf(string? activity) =>
        activity?.StartsWith("Add ", StringComparison.OrdinalIgnoreCase) == true ? true
        : activity?.StartsWith("Remove ", StringComparison.OrdinalIgnoreCase) == true ? false
        : null;

    private static Entity RowWith(string row, byte[] bytes)
    {
        var entity = new Entity(Partition, row) { Properties = { ["Schema"] = 1 } };
        InboxPayload.AddChunks(entity.Properties, Compress(bytes));
        return entity;
    }

    // A row has 1 MiB: some 25 000 holdings as text compressed, of which a large organisation has more than half as many in one part.
    private static byte[] Compress(byte[] bytes)
    {
        using var compressed = new MemoryStream();
        using (var zip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            zip.Write(bytes);
        }

        return compressed.ToArray();
    }

    private static byte[] Decompress(byte[] compressed)
    {
        using var zip = new GZipStream(new MemoryStream(compressed), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        zip.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Who may do what in {Source} could not be read: {Fault}")]
        public static partial void Unread(ILogger logger, string source, string? fault);
    }
}
