using System.Globalization;
using DingFlow.Entra;
using DingFlow.Remote;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>
/// What the tenant's subscriptions mean for the steps of the plans, by <c>subscribedSkus</c>, which names nobody. Every step works without a
/// premium edition of Entra; what depends on one is a part of what people may hold, so a tenant without it lacks nothing there.
/// </summary>
internal static class LiveLicences
{
    /// <summary>Service plans of Microsoft Entra ID P1 and P2 (Microsoft's list of products and service plans for licensing).</summary>
    private const string P1 = "AAD_PREMIUM";
    private const string P2 = "AAD_PREMIUM_P2";

    /// <summary>What the plans' steps for Entra meet in this tenant.</summary>
    public static IEnumerable<LiveFinding> Of(OffboardingPlans plans, RemoteResult<IReadOnlyList<EntraHolding>> subscriptions)
    {
        var steps = plans.All.SelectMany(static plan => plan.Steps).Select(static step => step.Step.Id).ToHashSet(StringComparer.Ordinal);
        if (!steps.Overlaps(["entra.groups", "entra.directoryRoles", "entra.licenses"]))
        {
            yield break;
        }

        if (!subscriptions.IsOk)
        {
            var verdict = subscriptions.Status == RemoteStatus.Denied ? LiveVerdict.NotProvable : LiveVerdict.Unreachable;
            yield return Finding("subscriptions", [.. steps.Intersect(["entra.groups", "entra.directoryRoles", "entra.licenses"])], verdict, $"The subscriptions could not be read: {RemoteText.Of(subscriptions)}.");
            yield break;
        }

        var active = subscriptions.Value!.Where(static s => s.Data!["status"] is "Enabled" or "Warning").ToList();
        var (hasP1, hasP2) = (active.Exists(static s => Plans(s).Contains(P1) || Plans(s).Contains(P2)), active.Exists(static s => Plans(s).Contains(P2)));
        if (steps.Contains("entra.groups"))
        {
            yield return Finding(
                "Microsoft Entra ID P1 or P2", ["entra.groups"], hasP1 ? LiveVerdict.Granted : LiveVerdict.Missing,
                hasP1 ? "The tenant may have role-assignable and dynamic groups: the step takes people out of the first and leaves the second to their rules."
                    : "Without it there are no role-assignable and no dynamic groups; the step works on all others.");
        }

        if (steps.Contains("entra.directoryRoles"))
        {
            yield return Finding(
                "Microsoft Entra ID P2", ["entra.directoryRoles"], hasP2 ? LiveVerdict.Granted : LiveVerdict.Missing,
                hasP2 ? "The tenant may have eligible roles (Privileged Identity Management): the step does not touch those; end them by hand."
                    : "Without it there are no eligible roles; the step takes every role that there can be.");
        }

        foreach (var full in steps.Contains("entra.licenses") ? active : [])
        {
            var (enabled, consumed) = (Number(full, "enabled"), Number(full, "consumed"));
            yield return Finding(
                full.Name ?? full.Id, ["entra.licenses"], consumed < enabled ? LiveVerdict.Granted : LiveVerdict.NotProvable,
                string.Create(CultureInfo.InvariantCulture, $"{consumed} of {enabled} licences are in use{(consumed < enabled ? "." : ": whether one that was taken away can be given back shows only then.")}"));
        }
    }

    /// <summary>A licence that is missing matters only where a step cannot work without it.</summary>
    private static LiveFinding Finding(string licence, IReadOnlyList<string> steps, LiveVerdict verdict, string detail) => new("entra", licence, steps, verdict, detail);

    private static string[] Plans(EntraHolding subscription) => subscription.Data!["plans"].Split(',');

    private static int Number(EntraHolding subscription, string name) => int.Parse(subscription.Data![name], CultureInfo.InvariantCulture);
}
