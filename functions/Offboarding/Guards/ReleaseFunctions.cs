using System.Text.Json.Serialization;
using DingFlow.Hosting;

namespace DingFlow.Offboarding.Guards;

/// <summary><c>POST /api/offboarding/{caseId}/release</c>: one person agrees to the release of one held case.</summary>
public sealed class ReleaseOffboardingCase(CaseStore cases, QuarantineRelease release, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await OperatorActions.ReadReasonAsync(context) is not { } reason)
        {
            return;
        }

        if (context.Request.RouteValues["caseId"] is not string caseId || await cases.FindAsync(caseId, context.RequestAborted) is not { } found)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such case.");
            return;
        }

        var (stored, outcome) = await release.ConsentAsync(found, context.ConsentOf(reason, time), context.RequestAborted);
        switch (outcome)
        {
            case ReleaseOutcome.NotHeld:
                await context.ProblemAsync(ProblemCode.Conflict, "The case is neither held by the brake nor waiting for its date.");
                break;
            case ReleaseOutcome.SamePrincipal:
                await context.ProblemAsync(
                    ProblemCode.Conflict, "You have agreed already: a second, different principal is needed, and one of the two must hold operations.approve.");
                break;
            default:
                await context.WriteJsonAsync(ReleaseView.Of(stored.Case, outcome), OffboardingJson.Default.ReleaseView, StatusCodes.Status202Accepted);
                break;
        }
    }
}

/// <summary>
/// <c>POST /api/offboarding/quarantine/release</c>: one person agrees to the release of several held cases, or of all. Those to which another
/// person has agreed before go on; those that came since wait for a second person, so nobody releases what the other has not seen.
/// </summary>
public sealed class ReleaseQuarantine(CaseStore cases, QuarantineRelease release, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 256 * 1024;
    private const int MaximumCases = 5000;

    /// <summary>Long before the request's own time runs out; the caller repeats the request for the rest.</summary>
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(45);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(OffboardingJson.Default.QuarantineReleaseRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (OperatorActions.ReasonOf(request.Reason) is not { } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, OperatorActions.ReasonRule);
            return;
        }

        if ((request.CaseIds is { Count: > 0 }) == request.All || request.CaseIds?.Count > MaximumCases)
        {
            await context.ProblemAsync(ProblemCode.Malformed, $"Name 1 to {MaximumCases} caseIds, or set all to true.");
            return;
        }

        var consent = context.ConsentOf(reason, time);
        var (released, awaiting, already, unknown, remaining) = (0, 0, 0, 0, 0);
        var until = time.GetTimestamp();
        await foreach (var held in HeldAsync(request, context.RequestAborted))
        {
            if (held is null)
            {
                unknown++;
                continue;
            }

            if (time.GetElapsedTime(until) > Budget)
            {
                remaining++;
                continue;
            }

            switch ((await release.ConsentAsync(held, consent, context.RequestAborted)).Outcome)
            {
                case ReleaseOutcome.Released:
                    released++;
                    break;
                case ReleaseOutcome.AwaitsSecond:
                    awaiting++;
                    break;
                case ReleaseOutcome.SamePrincipal:
                    already++;
                    break;
                default:
                    unknown++;
                    break;
            }
        }

        await context.WriteJsonAsync(
            new QuarantineReleaseView(released, awaiting, already, unknown, remaining), OffboardingJson.Default.QuarantineReleaseView,
            StatusCodes.Status202Accepted);
    }

    /// <summary>The cases that are meant; <see langword="null"/> for an id that is none.</summary>
    private async IAsyncEnumerable<StoredCase?> HeldAsync(
        QuarantineReleaseRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (request.CaseIds is { } ids)
        {
            foreach (var id in ids.Distinct(StringComparer.Ordinal))
            {
                yield return await cases.FindAsync(id, cancellationToken);
            }

            yield break;
        }

        var asked = time.GetUtcNow();
        await foreach (var active in cases.ActiveAsync(cancellationToken))
        {
            // Whoever is held after the person asked was not meant.
            if (active.Case is { State: CaseState.Quarantined, Quarantine.Since: var since } && since <= asked
                && (request.Source is null || active.Case.Signals[0].Source == request.Source))
            {
                yield return active;
            }
        }
    }
}

/// <summary>Body of a release of several cases.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record QuarantineReleaseRequest
{
    /// <summary>Why; kept with each case. 3 to 500 characters.</summary>
    public string? Reason { get; init; }

    /// <summary>The cases.</summary>
    public IReadOnlyList<string>? CaseIds { get; init; }

    /// <summary>Every case that is held now.</summary>
    public bool All { get; init; }

    /// <summary>With <see cref="All"/>: only those that this source (<c>hr/{source}</c>) opened.</summary>
    public string? Source { get; init; }
}

/// <summary>What became of a release of several cases.</summary>
/// <param name="Released">Two people have agreed; they go on.</param>
/// <param name="AwaitingSecond">This is the first consent; a second, different principal is needed.</param>
/// <param name="AlreadyConsented">The same principal had agreed before.</param>
/// <param name="NotHeld">Not held by the brake (any more), or no case at all.</param>
/// <param name="Remaining">Not reached in the time of one request: repeat it.</param>
public sealed record QuarantineReleaseView(int Released, int AwaitingSecond, int AlreadyConsented, int NotHeld, int Remaining);

/// <summary>Answer to a release: where the case stands and what is missing.</summary>
/// <param name="CaseId">The case.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Released">Two people have agreed.</param>
/// <param name="Awaits">What is missing.</param>
public sealed record ReleaseView(string CaseId, CaseState State, bool Released, string? Awaits)
{
    /// <summary>The view of a case after a consent.</summary>
    public static ReleaseView Of(OffboardingCase c, ReleaseOutcome outcome) => new(
        c.CaseId, c.State, outcome == ReleaseOutcome.Released,
        outcome == ReleaseOutcome.Released ? null
        : c.Consents.Any(k => k.MayApprove) ? "a second, different principal"
        : "a second, different principal with operations.approve");
}

/// <summary>The consent of a caller.</summary>
file static class Consents
{
    public static ReleaseConsent ConsentOf(this HttpContext context, string reason, TimeProvider time) =>
        new(time.GetUtcNow(), context.Principal()!, context.HasRole(Roles.OperationsApprove), reason);
}
