using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>
/// A tier that was reached in a calendar year. It stands until a person has reviewed it, also when the window has restarted or the
/// count has been corrected: a duty that arose does not lapse with the counter.
/// </summary>
/// <param name="Key">Names it within its exporter, also in addresses: year, rule set and tier, such as <c>2026-cn-2024-SA</c>.</param>
/// <param name="Year">The calendar year, in Asia/Shanghai.</param>
/// <param name="RuleSet">Under which rules.</param>
/// <param name="Tier">Which tier.</param>
/// <param name="Rules">The rules that were reached when it was first seen.</param>
/// <param name="ReachedAt">When it was first seen.</param>
/// <param name="Review">The review; <see langword="null"/> while it is open.</param>
public sealed record LatchedTier(
    string Key, int Year, string RuleSet, Tier Tier, IReadOnlyList<string> Rules, DateTimeOffset ReachedAt, TierReview? Review);

/// <summary>What a person decided on a tier that was reached.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal.</param>
/// <param name="Reason">Why it needs nothing more: the filing's number, or why there is no duty.</param>
public sealed record TierReview(DateTimeOffset At, string By, string Reason);

/// <summary>How a review ended.</summary>
public enum TierReviewOutcome
{
    /// <summary>It is recorded.</summary>
    Reviewed,

    /// <summary>Somebody else was first.</summary>
    AlreadyReviewed,

    /// <summary>Nothing of that key was reached.</summary>
    NotFound,
}

/// <summary>Keeps tiers that were reached until a person has reviewed them.</summary>
public sealed class TierLatch(IEntityStore store, IAuditTrail trail, TimeProvider timeProvider)
{
    private const string Table = "TierLatches";
    private const int PageSize = 1000;

    /// <summary>The longest reason of a review.</summary>
    public const int ReasonLength = 2000;

    /// <summary>
    /// Those of the tiers that an evaluation reached of which people were not told: nobody saw them yet, or only somebody who asked how the
    /// exporter stands.
    /// </summary>
    public async Task<IReadOnlyList<Tier>> UntoldAsync(Thresholds thresholds, string ruleSet, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(thresholds);
        return thresholds.Tiers.GetValueOrDefault(ruleSet) is var tier && tier >= Tier.ScOrCert
            && await store.GetAsync(Table, thresholds.Exporter, KeyOf(LegalTime.YearOf(thresholds.AsOf), ruleSet, tier), cancellationToken) is var known
            && (known is null || !IsTold(known)) ? [tier] : [];
    }

    /// <summary>Latches what an evaluation reached. Returns the tiers that were not latched before.</summary>
    /// <param name="thresholds">The evaluation.</param>
    /// <param name="told">People were told of what it reached: an alert is on its way.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<LatchedTier>> ObserveAsync(Thresholds thresholds, bool told, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(thresholds);
        var fresh = new List<LatchedTier>();
        var year = LegalTime.YearOf(thresholds.AsOf);
        foreach (var (ruleSet, tier) in thresholds.Tiers)
        {
            if (tier < Tier.ScOrCert)
            {
                continue;
            }

            var key = KeyOf(year, ruleSet, tier);
            if (await store.GetAsync(Table, thresholds.Exporter, key, cancellationToken) is { } known)
            {
                if (told && !IsTold(known))
                {
                    // Whoever reviews it meanwhile keeps the word; the next look notes it.
                    known.Properties["Told"] = true;
                    await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(known, known.ETag)), cancellationToken);
                }

                continue;
            }

            var rules = thresholds.Rules.Where(rule => rule.RuleSet == ruleSet && rule.Reached && rule.Tier == tier).Select(rule => rule.Rule);
            var latched = new LatchedTier(key, year, ruleSet, tier, [.. rules], LegalTime.Of(timeProvider.GetUtcNow()), null);
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(Table, EntityOperation.Insert(EntityOf(thresholds.Exporter, latched, told))),
                [RulesAudit.Reached(thresholds.Exporter, latched)], cancellationToken);
            if (result.Committed)
            {
                fresh.Add(latched);
            }
        }

        return fresh;
    }

    /// <summary>Everything that an exporter ever reached, by year.</summary>
    public async Task<IReadOnlyList<LatchedTier>> ListAsync(string exporter, CancellationToken cancellationToken)
    {
        var latched = new List<LatchedTier>();
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, exporter, AuditOutbox.RowsBefore(), PageSize, continuation, cancellationToken);
            latched.AddRange(page.Entities.Select(LatchedOf));
            continuation = page.Continuation;
        }
        while (continuation is not null);

        return latched;
    }

    /// <summary>Records a review.</summary>
    /// <param name="exporter">Whose.</param>
    /// <param name="key">Which (<see cref="LatchedTier.Key"/>).</param>
    /// <param name="by">The principal.</param>
    /// <param name="reason">1 to 2000 characters.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<TierReviewOutcome> ReviewAsync(string exporter, string key, string by, string reason, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(by);
        ArgumentException.ThrowIfNullOrWhiteSpace(reason);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(reason.Length, ReasonLength, nameof(reason));
        if (await store.GetAsync(Table, exporter, key, cancellationToken) is not { } entity)
        {
            return TierReviewOutcome.NotFound;
        }

        var latched = LatchedOf(entity);
        if (latched.Review is not null)
        {
            return TierReviewOutcome.AlreadyReviewed;
        }

        var reviewed = latched with { Review = new(timeProvider.GetUtcNow(), by, reason) };
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Replace(EntityOf(exporter, reviewed, IsTold(entity)), entity.ETag)),
            [RulesAudit.Reviewed(exporter, reviewed, by, reason)], cancellationToken);
        return result.Committed ? TierReviewOutcome.Reviewed : TierReviewOutcome.AlreadyReviewed;
    }

    private static string KeyOf(int year, string ruleSet, Tier tier) =>
        string.Create(CultureInfo.InvariantCulture, $"{year:D4}-{ruleSet}-{(tier == Tier.Sa ? "SA" : "SC_OR_CERT")}");

    /// <summary>Rows from before this was noted were written once people had been told, or nearly so.</summary>
    private static bool IsTold(Entity entity) => !entity.Properties.TryGetValue("Told", out var told) || told is not false;

    private static Entity EntityOf(string exporter, LatchedTier latched, bool told) => new(exporter, latched.Key)
    {
        Properties = new()
        {
            ["Version"] = 1,
            ["Year"] = latched.Year,
            ["RuleSet"] = latched.RuleSet,
            ["Tier"] = latched.Tier.ToString(),
            ["Rules"] = string.Join(',', latched.Rules),
            ["ReachedAt"] = latched.ReachedAt,
            ["Told"] = told,
            ["ReviewedAt"] = latched.Review?.At,
            ["ReviewedBy"] = latched.Review?.By,
            ["Reason"] = latched.Review?.Reason,
        },
    };

    private static LatchedTier LatchedOf(Entity entity)
    {
        var properties = entity.Properties;
        return new(
            entity.RowKey,
            properties.Require<int>("Year"),
            properties.Require<string>("RuleSet"),
            Enum.Parse<Tier>(properties.Require<string>("Tier")),
            properties.Require<string>("Rules").Split(',', StringSplitOptions.RemoveEmptyEntries),
            LegalTime.Of(properties.Require<DateTimeOffset>("ReachedAt")),
            properties.Get<string>("ReviewedBy") is { } by
                ? new(LegalTime.Of(properties.Require<DateTimeOffset>("ReviewedAt")), by, properties.Get<string>("Reason") ?? "")
                : null);
    }
}
