using System.Globalization;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Compares what rules the program with what ruled it when it was started last, and writes down each difference: the new state and its
/// entry in one transaction. Settings are changed outside the program, so a start is when it learns of them; who changed them stands in the
/// log of the deployment.
/// </summary>
/// <remarks>Table <c>AuditTrail</c>, partition <c>policies</c>, a row for each statement. Many instances that start at once write one entry: the row decides.</remarks>
public sealed class PolicyLog(IEnumerable<PolicySource> sources, AuditSeals seals, IAuditTrail trail)
{
    private const string Partition = "policies";

    /// <summary>Values that an entry has room for.</summary>
    private const int MostValues = 24;

    private bool _isDone;

    /// <summary>Records what has changed, once in the life of the process. Returns how many entries it wrote.</summary>
    public async Task<int> RecordOnceAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _isDone))
        {
            return 0;
        }

        var written = await RecordAsync(cancellationToken);
        Volatile.Write(ref _isDone, true);
        return written;
    }

    /// <summary>Records what has changed. Returns how many entries it wrote.</summary>
    internal async Task<int> RecordAsync(CancellationToken cancellationToken)
    {
        var known = new Dictionary<string, Entity>(StringComparer.Ordinal);
        await foreach (var row in seals.RowsAsync(Partition, AuditOutbox.RowsBefore(), cancellationToken))
        {
            known[row.RowKey] = row;
        }

        var written = 0;
        var stated = sources.SelectMany(static source => source.Read()).ToDictionary(static one => RowOf(one.Name), StringComparer.Ordinal);
        foreach (var (row, statement) in stated.OrderBy(static one => one.Key, StringComparer.Ordinal))
        {
            var before = known.GetValueOrDefault(row);
            if (before is null || TextOf(before) != statement.Text)
            {
                written += await WriteAsync(
                    before is null ? EntityOperation.Insert(ToEntity(row, statement, null)) : EntityOperation.Replace(ToEntity(row, statement, before.ETag)),
                    EventOf(before is null ? PolicyAudit.Stated : PolicyAudit.Changed, statement.Name, before is null ? null : TextOf(before), statement.Text),
                    cancellationToken);
            }
        }

        foreach (var gone in known.Where(one => !stated.ContainsKey(one.Key)).Select(static one => one.Value).OrderBy(static row => row.RowKey, StringComparer.Ordinal))
        {
            written += await WriteAsync(
                EntityOperation.Delete(Partition, gone.RowKey, gone.ETag),
                EventOf(PolicyAudit.Withdrawn, gone.Properties.Require<string>("Name"), TextOf(gone), null), cancellationToken);
        }

        return written;
    }

    private static string RowOf(string name) => name.Replace('/', '|');

    private static Entity ToEntity(string row, PolicyStatement statement, string? etag)
    {
        var entity = new Entity(Partition, row) { ETag = etag, Properties = { ["Schema"] = 1, ["Name"] = statement.Name } };
        InboxPayload.AddChunks(entity.Properties, Encoding.UTF8.GetBytes(statement.Text));
        return entity;
    }

    private static string TextOf(Entity row) => Encoding.UTF8.GetString(InboxPayload.JoinChunks(row.Properties));

    private static AuditEvent EventOf(AuditKind kind, string name, string? before, string? after)
    {
        var (old, now) = (Parse(before), Parse(after));
        var details = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["hashBefore"] = before is null ? "none" : PayloadHash.Of(before).ToString(),
            ["hashAfter"] = after is null ? "none" : PayloadHash.Of(after).ToString(),
        };
        var changed = old.Keys.Union(now.Keys, StringComparer.Ordinal).Where(key => old.GetValueOrDefault(key) != now.GetValueOrDefault(key))
            .Order(StringComparer.Ordinal).ToList();
        foreach (var key in changed.Take(MostValues))
        {
            details[$"value.{key}"] = before is null ? now[key] : after is null ? old[key] : $"{old.GetValueOrDefault(key, "none")} -> {now.GetValueOrDefault(key, "none")}";
        }

        if (changed.Count > MostValues)
        {
            details["moreValues"] = (changed.Count - MostValues).ToString(CultureInfo.InvariantCulture);
        }

        return new()
        {
            Kind = kind,
            Actor = AuditActor.System(nameof(PolicyLog)),
            Payload = after is null ? PayloadHash.None : PayloadHash.Of(after),
            On = new("policy", name),
            Reason = "Found at a start; settings are changed by a deployment.",
            Details = details,
        };
    }

    private static Dictionary<string, string> Parse(string? text) => (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(static line => line.Split('=', 2)).Where(static parts => parts.Length == 2)
        .ToDictionary(static parts => parts[0], static parts => parts[1], StringComparer.Ordinal);

    /// <summary>Refused: another instance that starts has written the same.</summary>
    private async Task<int> WriteAsync(EntityOperation operation, AuditEvent auditEvent, CancellationToken cancellationToken) =>
        (await trail.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, operation), [auditEvent], cancellationToken)).Committed ? 1 : 0;
}
