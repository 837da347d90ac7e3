using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Which entries are asked for; what is <see langword="null"/> asks for nothing.</summary>
public sealed record AuditFilter
{
    /// <summary>Recorded at or after this.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Recorded before this.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>The kind; one that ends with <c>.</c> or <c>*</c> asks for all kinds that begin so.</summary>
    public string? Kind { get; init; }

    /// <summary>The case.</summary>
    public string? CaseId { get; init; }

    /// <summary>The pseudonym of the data subject.</summary>
    public string? Subject { get; init; }

    /// <summary>The doer's id: a principal, a source, a function.</summary>
    public string? Principal { get; init; }

    /// <summary>The exporter.</summary>
    public string? Exporter { get; init; }

    /// <summary>Only what is about one of these exporters, whatever else is asked for: a key may be confined to them.</summary>
    public IReadOnlySet<string>? ConfinedTo { get; init; }

    /// <summary>The parts that the index knows.</summary>
    internal IEnumerable<(string Type, string Value)> IndexedParts
    {
        get
        {
            if (Kind is { } kind && KindPrefix is null)
            {
                yield return (AuditKeys.Kind, kind);
            }

            foreach (var (type, value) in new[] { (AuditKeys.Case, CaseId), (AuditKeys.Subject, Subject), (AuditKeys.Principal, Principal), (AuditKeys.Exporter, Exporter) })
            {
                if (value is not null)
                {
                    yield return (type, value);
                }
            }
        }
    }

    private string? KindPrefix => Kind is { Length: > 0 } kind && kind[^1] is '.' or '*' ? Kind!.TrimEnd('*') : null;

    /// <summary>Whether the entry is asked for, as far as its head tells.</summary>
    internal bool MatchesHead(AuditEntry entry) =>
        (From is null || entry.RecordedAt >= From) && (To is null || entry.RecordedAt < To)
        && (Kind is null || (KindPrefix is { } prefix ? entry.Kind.StartsWith(prefix, StringComparison.Ordinal) : entry.Kind == Kind));

    /// <summary>Whether the entry is asked for. One whose content is gone is found by time and kind only.</summary>
    internal bool MatchesContent(AuditContent? content) =>
        (CaseId is null || content?.CaseId == CaseId) && (Subject is null || content?.Subject == Subject)
        && (Principal is null || content?.Actor.Id == Principal) && (Exporter is null || content?.Exporter == Exporter)
        && (ConfinedTo is null || (content?.Exporter is { } exporter && ConfinedTo.Contains(exporter)));

    /// <summary>Something other than time and kind is asked for.</summary>
    internal bool NeedsContent => CaseId is not null || Subject is not null || Principal is not null || Exporter is not null || ConfinedTo is not null;
}
