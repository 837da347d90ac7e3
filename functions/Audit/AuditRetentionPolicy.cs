using System.Globalization;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>How long content is kept, and which removals of content the trail itself records.</summary>
public sealed class AuditRetentionPolicy(AuditOptions options, AuditSearch search, TimeProvider time)
{
    internal const string KindPrefix = "kind:";

    private readonly RecordedRemovals _known = new(time);
    private readonly AuditCursor _knownThrough = new();

    /// <summary>When the content of an entry may go; <see cref="DateTimeOffset.MaxValue"/> for never.</summary>
    internal DateTimeOffset DueAt(AuditEntry entry) =>
        // The records of removals are what makes removed content lawful: they stay.
        entry.Kind == AuditAudit.ContentExpired.Name ? DateTimeOffset.MaxValue : entry.RecordedAt + options.RetentionOf(entry.Kind, entry.Retention);

    /// <summary>The event that records a removal: which day, how many entries, and by which retention.</summary>
    /// <param name="day">The day.</param>
    /// <param name="now">When.</param>
    /// <param name="count">Entries that lose their content.</param>
    /// <param name="gone">Entries of the day without content once it is done, those that lost it before included: more than these is no removal of ours.</param>
    internal AuditEvent RemovalOf(string day, DateTimeOffset now, int count, int gone) => new()
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
            [RecordedRemovals.Gone] = gone.ToString(CultureInfo.InvariantCulture),
            ["operational"] = options.Operational.ToString("c", CultureInfo.InvariantCulture),
            ["legal"] = options.Legal.ToString("c", CultureInfo.InvariantCulture),
        },
    };

    /// <summary>What may be gone, as the trail records it.</summary>
    internal async Task<IContentExpiry> ExpiryAsync(CancellationToken cancellationToken)
    {
        var removals = new RecordedRemovals(time);
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
                removals.Add(found.Entry, found.Content);
            }
        }
        catch (InvalidDataException)
        {
            // Something is damaged, which the verification names; what was read until there counts.
        }
    }
}

/// <summary>
/// Removals of content as the trail records them, each with the retention that it followed. A record covers nothing that the law wants kept,
/// whatever it says, and nothing from before its time: whoever forges one gains no day.
/// </summary>
/// <param name="time">A removal that is recorded as of later than this clock shows is none. Without one nothing is known of the time.</param>
internal sealed class RecordedRemovals(TimeProvider? time = null) : IContentExpiry
{
    public const string Gone = "gone";

    /// <summary>Clocks of instances differ, and one may be set back while a run lasts: that is no forgery.</summary>
    private static readonly TimeSpan ClocksDiffer = TimeSpan.FromDays(1);

    private static readonly AuditOptions s_least = new();

    private readonly Dictionary<string, List<Removal>> _removals = new(StringComparer.Ordinal);

    /// <summary>Takes an entry into account, if it records a removal.</summary>
    public void Add(AuditEntry entry, AuditContent? content)
    {
        if (entry.Kind != AuditAudit.ContentExpired.Name || content?.Details is not { } details || !details.TryGetValue("day", out var day))
        {
            return;
        }

        if (!_removals.TryGetValue(day, out var ofDay))
        {
            _removals[day] = ofDay = [];
        }

        var latest = entry.RecordedAt + ClocksDiffer;
        ofDay.Add(new(content.OccurredAt < latest ? content.OccurredAt : latest, entry.RecordedAt, details));
    }

    /// <inheritdoc/>
    public bool MayBeGone(string day, AuditEntry entry) =>
        _removals.TryGetValue(day, out var ofDay)
        && ofDay.Any(removal => removal.AsOf - entry.RecordedAt >= RetentionOf(removal.Rules, entry) && (time is null || removal.AsOf <= time.GetUtcNow() + ClocksDiffer));

    /// <inheritdoc/>
    public long? MostGone(string day) =>
        _removals.TryGetValue(day, out var ofDay) && ofDay.Aggregate(static (last, next) => next.RecordedAt >= last.RecordedAt ? next : last) is var last && last.Rules.TryGetValue(Gone, out var text)
        && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var gone)
            ? gone
            : null;

    private static TimeSpan RetentionOf(IReadOnlyDictionary<string, string> rules, AuditEntry entry)
    {
        var isLegal = entry.Retention == AuditRetention.Legal;

        // Without a rule nothing may be gone.
        var ofClass = Read(rules, isLegal ? "legal" : "operational") ?? TimeSpan.FromDays(36_500);
        var least = isLegal ? s_least.Legal : s_least.Operational;
        ofClass = ofClass < least ? least : ofClass;
        return Read(rules, AuditRetentionPolicy.KindPrefix + entry.Kind) is { } ofKind && ofKind > ofClass ? ofKind : ofClass;
    }

    private static TimeSpan? Read(IReadOnlyDictionary<string, string> rules, string name) =>
        rules.TryGetValue(name, out var text) && TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var value) ? value : null;

    private sealed record Removal(DateTimeOffset AsOf, DateTimeOffset RecordedAt, IReadOnlyDictionary<string, string> Rules);
}
