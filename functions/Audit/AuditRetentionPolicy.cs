using System.Globalization;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>How long content is kept, and which removals of content the trail itself records.</summary>
public sealed class AuditRetentionPolicy(AuditOptions options, AuditSearch search)
{
    internal const string KindPrefix = "kind:";

    private readonly RecordedRemovals _known = new();
    private readonly AuditCursor _knownThrough = new();

    /// <summary>When the content of an entry may go; <see cref="DateTimeOffset.MaxValue"/> for never.</summary>
    internal DateTimeOffset DueAt(AuditEntry entry) =>
        // The records of removals are what makes removed content lawful: they stay.
        entry.Kind == AuditAudit.ContentExpired.Name ? DateTimeOffset.MaxValue : entry.RecordedAt + options.RetentionOf(entry.Kind, entry.Retention);

    /// <summary>The event that records a removal: which day, and by which retention.</summary>
    internal AuditEvent RemovalOf(string day, DateTimeOffset now, int count) => new()
    {
        Kind = AuditAudit.ContentExpired,
        Actor = AuditActor.System(nameof(ExpireAudit)),
        Payload = PayloadHash.None,
        On = new("day", day),
        OccurredAt = now,
        Reason = "The retention of the content has passed.",
        Details = new Dictionary<string, string>(options.Kinds.Take(20).Select(static kind => KeyValuePair.Create(KindPrefix + kind.Key, kind.Value.ToString("c", CultureInfo.InvariantCulture))))
        {
            ["day"] = day,
            ["count"] = count.ToString(CultureInfo.InvariantCulture),
            ["operational"] = options.Operational.ToString("c", CultureInfo.InvariantCulture),
            ["legal"] = options.Legal.ToString("c", CultureInfo.InvariantCulture),
        },
    };

    /// <summary>What may be gone, as the trail records it.</summary>
    internal async Task<IContentExpiry> ExpiryAsync(CancellationToken cancellationToken)
    {
        var removals = new RecordedRemovals();
        await ReadOnAsync(removals, new(), cancellationToken);
        return removals;
    }

    /// <summary>The same, read once and from then on only what is new. Not for concurrent use.</summary>
    internal async Task<IContentExpiry> KnownExpiryAsync(CancellationToken cancellationToken)
    {
        await ReadOnAsync(_known, _knownThrough, cancellationToken);
        return _known;
    }

    private async Task ReadOnAsync(RecordedRemovals removals, AuditCursor cursor, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var found in search.ReadAsync(new() { Kind = AuditAudit.ContentExpired.Name }, cursor, cancellationToken))
            {
                removals.Add(found.Entry.Kind, found.Content);
            }
        }
        catch (InvalidDataException)
        {
            // Something is damaged, which the verification names; what was read until there counts.
        }
    }
}

/// <summary>Removals of content as the trail records them, each with the retention that it followed.</summary>
internal sealed class RecordedRemovals : IContentExpiry
{
    private readonly Dictionary<string, List<(DateTimeOffset AsOf, IReadOnlyDictionary<string, string> Rules)>> _removals = new(StringComparer.Ordinal);

    /// <summary>Takes an entry's content into account, if it records a removal.</summary>
    public void Add(string kind, AuditContent? content)
    {
        if (kind != AuditAudit.ContentExpired.Name || content?.Details is not { } details || !details.TryGetValue("day", out var day))
        {
            return;
        }

        if (!_removals.TryGetValue(day, out var ofDay))
        {
            _removals[day] = ofDay = [];
        }

        ofDay.Add((content.OccurredAt, details));
    }

    /// <inheritdoc/>
    public bool MayBeGone(string day, AuditEntry entry) =>
        _removals.TryGetValue(day, out var ofDay) && ofDay.Any(removal => entry.RecordedAt + RetentionOf(removal.Rules, entry) <= removal.AsOf);

    private static TimeSpan RetentionOf(IReadOnlyDictionary<string, string> rules, AuditEntry entry)
    {
        // Without a rule nothing may be gone.
        var ofClass = Read(rules, entry.Retention == AuditRetention.Legal ? "legal" : "operational") ?? TimeSpan.FromDays(36_500);
        return Read(rules, AuditRetentionPolicy.KindPrefix + entry.Kind) is { } ofKind && ofKind > ofClass ? ofKind : ofClass;
    }

    private static TimeSpan? Read(IReadOnlyDictionary<string, string> rules, string name) =>
        rules.TryGetValue(name, out var text) && TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var value) ? value : null;
}
