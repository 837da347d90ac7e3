using System.Globalization;
using System.Text.Json;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// <c>GET /api/audit/verify?from=&amp;to=</c>: recomputes everything in a range of days, and when it has no end also what is not sealed yet.
/// 200 either way; <c>ok</c> says whether it is whole, <c>firstFault</c> what is wrong first. One at a time: it reads everything there is.
/// </summary>
public sealed class VerifyAudit(AuditVerifier verifier, IAuditTrail trail, TimeProvider time) : IHttpFunction, IDisposable
{
    private const string AskAgainAfterSeconds = "60";

    private readonly SemaphoreSlim _one = new(1);

    /// <inheritdoc/>
    public void Dispose() => _one.Dispose();

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var (from, to) = (context.Request.Query["from"].ToString(), context.Request.Query["to"].ToString());
        if ((from.Length > 0 && !AuditDay.IsValid(from)) || (to.Length > 0 && !AuditDay.IsValid(to))
            || (from.Length > 0 && to.Length > 0 && string.CompareOrdinal(from, to) > 0))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from and to must be days such as 2026-11-24, and from not after to.");
            return;
        }

        if (string.CompareOrdinal(from, AuditDay.Of(time.GetUtcNow())) > 0)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from must not be in the future.");
            return;
        }

        if (!await _one.WaitAsync(TimeSpan.Zero))
        {
            context.Response.Headers.RetryAfter = AskAgainAfterSeconds;
            await context.ProblemAsync(ProblemCode.Conflict, "Another verification is under way.");
            return;
        }

        try
        {
            context.Features.Get<RequestTimeLimit>()?.Lift();
            var result = await verifier.VerifyAsync(from.Length > 0 ? from : null, to.Length > 0 ? to : null, context.RequestAborted);
            await trail.AppendAsync(EventOf(context.AuditActor(), result), context.RequestAborted);
            await context.WriteJsonAsync(result, AuditApiJson.Default.AuditVerification);
        }
        catch (IOException)
        {
            await context.ProblemAsync(ProblemCode.Unavailable, "The archive or the anchors cannot be read.");
        }
        finally
        {
            _one.Release();
        }
    }

    internal static AuditEvent EventOf(AuditActor actor, AuditVerification result) => new()
    {
        Kind = AuditAudit.Verified,
        Actor = actor,
        Payload = result.Root is null ? PayloadHash.None : PayloadHash.FromHex(result.Root),
        Outcome = result.Ok ? AuditOutcome.Succeeded : AuditOutcome.Failed,
        On = new("trail", "entries"),
        Reason = result.FirstFault?.Detail,
        Details = new Dictionary<string, string>
        {
            ["from"] = result.From ?? "", ["to"] = result.To ?? "", ["entries"] = result.Entries.ToString(CultureInfo.InvariantCulture),
            ["firstFault"] = result.FirstFault is { } fault ? string.Create(CultureInfo.InvariantCulture, $"{fault.Kind} {fault.Day} {fault.Chain} {fault.Sequence}") : "",
        },
    };
}

/// <summary><c>GET /api/audit/{chain}/{sequence}/proof</c>: shows that an entry is in a sealed day, to be checked offline with <c>DingFlow audit check</c>.</summary>
public sealed class ProveAuditEntry(IEntityStore store, AuditSeals seals, AuditAnchors anchors, IAuditTrail trail) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        try
        {
            await ProveAsync(context);
        }
        catch (InvalidDataException)
        {
            await AuditQuery.DamagedAsync(context);
        }
    }

    private async Task ProveAsync(HttpContext context)
    {
        if (context.Request.RouteValues["chain"] is not string chain || !AuditTrailOptions.IsValid(chain)
            || context.Request.RouteValues["sequence"] is not string text
            || !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence) || sequence < 1
            || await FindAsync(chain, sequence, context.RequestAborted) is not { } entry || !MaySee(context, entry))
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such entry.");
            return;
        }

        var (seal, index) = await SealOfAsync(chain, sequence, context.RequestAborted);
        if (seal is null)
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The day of the entry is not sealed yet; ask again tomorrow.");
            return;
        }

        var leaves = await seals.LeavesAsync(seal, context.RequestAborted);
        if (leaves.Length == 0)
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The day's list of hashes is not complete; verify the trail.");
            return;
        }

        await trail.AppendAsync(
            new()
            {
                Kind = AuditAudit.Proved,
                Actor = context.AuditActor(),
                Payload = PayloadHash.FromHex(Convert.ToHexStringLower(entry.Hash.Span)),
                On = new("entry", string.Create(CultureInfo.InvariantCulture, $"{chain}/{sequence}")),
            },
            context.RequestAborted);
        await context.WriteJsonAsync(
            AuditProof.Of(entry, seal, leaves, index, await anchors.ReadAsync(seal.Day, context.RequestAborted)), AuditApiJson.Default.AuditProof);
    }

    private static bool MaySee(HttpContext context, AuditEntry entry)
    {
        try
        {
            return new AuditFilter { ConfinedTo = context.ConfinedExporters() }.MatchesContent(entry.Read());
        }
        catch (JsonException)
        {
            return context.ConfinedExporters() is null; // Damaged: what it was about nobody knows.
        }
    }

    private async Task<AuditEntry?> FindAsync(string chain, long sequence, CancellationToken cancellationToken)
    {
        await foreach (var entry in AuditChainReader.ReadIntactAsync(store, chain, sequence, sequence, cancellationToken))
        {
            return entry;
        }

        return null;
    }

    private async Task<(AuditSeal? Seal, int Index)> SealOfAsync(string chain, long sequence, CancellationToken cancellationToken)
    {
        await foreach (var seal in seals.ReadAsync(null, null, cancellationToken))
        {
            var before = 0L;
            foreach (var part in seal.Chains)
            {
                if (part.Chain == chain && sequence >= part.First && sequence <= part.Last)
                {
                    return (seal, (int)(before + sequence - part.First));
                }

                before += part.Count;
            }
        }

        return (null, 0);
    }
}
