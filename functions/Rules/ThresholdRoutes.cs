using DingFlow.Hosting;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary><c>GET thresholds?exporter=</c>: how an exporter stands against every rule, with what was latched.</summary>
public sealed class GetThresholds(TransfersOptions options, ThresholdReader reader, TierLatch latch) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is not { } exporter)
        {
            return;
        }

        var thresholds = await reader.ReadAsync(exporter, context.RequestAborted);
        // Whoever asks before the timer has looked must not be told less than the timer will latch.
        await latch.ObserveAsync(thresholds, told: false, context.RequestAborted);
        var latched = await latch.ListAsync(exporter.Id, context.RequestAborted);
        await context.WriteJsonAsync(thresholds with { Latched = latched }, RulesJson.Default.Thresholds);
    });
}

/// <summary><c>GET thresholds/{exporter}/tiers</c>: every tier that the exporter ever reached, and who reviewed it.</summary>
public sealed class ListLatchedTiers(TransfersOptions options, TierLatch latch) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ExporterAsync(options, context.Request.RouteValues["exporter"] as string) is { } exporter)
        {
            await context.WriteJsonAsync(
                new LatchedTierList(await latch.ListAsync(exporter.Id, context.RequestAborted)), RulesJson.Default.LatchedTierList);
        }
    }
}

/// <summary>
/// <c>POST thresholds/{exporter}/tiers/{tier}/review</c>: a person says why a tier that was reached needs nothing more. The first review
/// stands.
/// </summary>
public sealed class ReviewTier(TransfersOptions options, TierLatch latch) : IHttpFunction
{
    private const int MaximumBody = 16 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ExporterAsync(options, context.Request.RouteValues["exporter"] as string) is not { } exporter
            || await context.ReadJsonAsync(RulesJson.Default.TierReviewRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= TierLatch.ReasonLength } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, $"reason must have 3 to {TierLatch.ReasonLength} characters.");
            return;
        }

        var key = context.Request.RouteValues["tier"] as string ?? "";
        var outcome = IsKey(key)
            ? await latch.ReviewAsync(exporter.Id, key, context.Principal()!, reason, context.RequestAborted)
            : TierReviewOutcome.NotFound;
        switch (outcome)
        {
            case TierReviewOutcome.Reviewed:
                await context.WriteJsonAsync(
                    new LatchedTierList([.. (await latch.ListAsync(exporter.Id, context.RequestAborted)).Where(tier => tier.Key == key)]),
                    RulesJson.Default.LatchedTierList);
                return;
            case TierReviewOutcome.AlreadyReviewed:
                await context.ProblemAsync(ProblemCode.Conflict, "The tier has been reviewed.");
                return;
            default:
                await context.ProblemAsync(ProblemCode.NotFound, "The exporter has reached no such tier.");
                return;
        }
    }

    private static bool IsKey(string key) => key.Length is > 0 and <= 100 && key.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}

/// <summary>What a person says about a tier.</summary>
internal sealed record TierReviewRequest(string? Reason);

/// <summary>Tiers that were reached.</summary>
internal sealed record LatchedTierList(IReadOnlyList<LatchedTier> Items);
