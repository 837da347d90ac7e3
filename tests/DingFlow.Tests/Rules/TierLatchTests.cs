using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Rules;

public sealed class TierLatchTests
{
    private readonly FakeTimeProvider _time = LedgerScenario.Clock();
    private readonly LedgerMemoryStore _store = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private TierLatch Latch => new(_store, new TestTrail(_store), _time);

    [Fact]
    public async Task A_tier_is_latched_once_and_stays_when_the_count_is_corrected()
    {
        var first = await Latch.ObserveAsync(Standing(10_000), told: true, Token);
        var again = await Latch.ObserveAsync(Standing(10_001), told: true, Token);
        var corrected = await Latch.ObserveAsync(Standing(0), told: true, Token);

        Assert.Equal(["2026-cn-2024-SA"], first.Select(static tier => tier.Key));
        Assert.Empty(again);
        Assert.Empty(corrected);
        var latched = Assert.Single(await Latch.ListAsync(LedgerScenario.Exporter, Token));
        Assert.Equal(["CN24-SA-SPI"], latched.Rules);
        Assert.Null(latched.Review);
    }

    [Fact]
    public async Task Only_rules_of_the_tier_are_its_reason()
    {
        await Latch.ObserveAsync(Standing(1), told: true, Token);

        Assert.Equal(["CN24-SC-SPI"], Assert.Single(await Latch.ListAsync(LedgerScenario.Exporter, Token)).Rules);
    }

    [Fact]
    public async Task An_exemption_is_no_duty() => Assert.Empty(await Latch.ObserveAsync(Standing(0), told: true, Token));

    [Fact]
    public async Task A_review_is_kept_with_its_author_and_reason_and_the_first_stands()
    {
        await Latch.ObserveAsync(Standing(1), told: true, Token);

        Assert.Equal(TierReviewOutcome.Reviewed, await Latch.ReviewAsync(LedgerScenario.Exporter, "2026-cn-2024-SC_OR_CERT", "key:legal", "Filed as SC-2026-7.", Token));
        Assert.Equal(TierReviewOutcome.AlreadyReviewed, await Latch.ReviewAsync(LedgerScenario.Exporter, "2026-cn-2024-SC_OR_CERT", "key:other", "No.", Token));
        Assert.Equal(TierReviewOutcome.NotFound, await Latch.ReviewAsync(LedgerScenario.Exporter, "2026-cn-2024-SA", "key:legal", "None.", Token));
        Assert.Equal(TierReviewOutcome.NotFound, await Latch.ReviewAsync("another", "2026-cn-2024-SC_OR_CERT", "key:legal", "None.", Token));

        var review = Assert.Single(await Latch.ListAsync(LedgerScenario.Exporter, Token)).Review!;
        Assert.Equal(("key:legal", "Filed as SC-2026-7.", _time.GetUtcNow()), (review.By, review.Reason, review.At));
        // Reviewed is not forgotten: it is not latched anew within its year.
        Assert.Empty(await Latch.ObserveAsync(Standing(2), told: true, Token));
    }

    [Fact]
    public async Task The_next_year_latches_anew()
    {
        await Latch.ObserveAsync(Standing(1), told: true, Token);

        var next = await Latch.ObserveAsync(Standing(1, "2027-01-01T00:00:00+08:00"), told: true, Token);

        Assert.Equal(["2027-cn-2024-SC_OR_CERT"], next.Select(static tier => tier.Key));
    }

    [Fact]
    public async Task Two_observers_and_two_reviewers_at_once_agree()
    {
        var fresh = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Latch.ObserveAsync(Standing(1), told: true, Token), Token)));
        Assert.Single(fresh.SelectMany(static tiers => tiers));

        var reviews = await Task.WhenAll(Enumerable.Range(0, 8).Select(number => Task.Run(
            () => Latch.ReviewAsync(LedgerScenario.Exporter, "2026-cn-2024-SC_OR_CERT", $"key:{number}", "Filed.", Token), Token)));
        Assert.Single(reviews, static outcome => outcome == TierReviewOutcome.Reviewed);
    }

    [Fact]
    public async Task While_the_store_is_down_nothing_is_latched_and_the_next_look_makes_up_for_it()
    {
        var faulty = new LedgerFaultyStore(_store, static _ => StoreFault.Unavailable);

        await Assert.ThrowsAsync<EntityStoreException>(() => new TierLatch(faulty, new TestTrail(faulty), _time).ObserveAsync(Standing(1), told: true, Token));

        Assert.Single(await Latch.ObserveAsync(Standing(1), told: true, Token));
    }

    private static Thresholds Standing(long sensitive, string at = "2026-11-22T09:00:00+08:00") =>
        RuleEngine.Create(new TransfersOptions(), new SettingsFaults()).Evaluate(
            new Exporter { Id = LedgerScenario.Exporter }, new Dictionary<string, long> { ["cn.counted.sensitive"] = sensitive },
            DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture));
}
