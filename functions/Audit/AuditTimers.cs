using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Every hour: seals the days that are over, archives and anchors them, and verifies the new ones and some of the older.</summary>
public sealed partial class SealAudit(
    AuditSealer sealer, AuditSeals seals, AuditArchive archive, AuditAnchors anchors, AuditVerifier verifier, AuditRounds rounds, IEntityStore store,
    IAuditTrail trail, IAlertSender alerts, TimeProvider time, ILogger<SealAudit> logger) : ITimerFunction
{
    internal const string ProgressPartition = "progress";
    internal const string Archive = "archive";
    internal const string Anchor = "anchor";

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        await SealAsync(cancellationToken);
        if (!archive.IsNone)
        {
            await CatchUpAsync(Archive, archive.LastDayAsync, async seal => await archive.PutAsync(seal, cancellationToken), cancellationToken);
        }

        if (!anchors.IsNone)
        {
            await CatchUpAsync(Anchor, anchors.LastDayAsync, seal => anchors.PutAsync(seal, cancellationToken), cancellationToken);
            await AnchorHeadsAsync(cancellationToken);
        }

        var again = await rounds.RunAsync(cancellationToken);
        foreach (var broken in again.Where(static result => !result.Ok))
        {
            await TellAsync(broken, cancellationToken);
        }

        if (again.Count > 0 && again.All(static result => result.Ok))
        {
            await TellAsync(
                again[^1] with { From = again[0].From, Days = again.Sum(static day => day.Days), Entries = again.Sum(static day => day.Entries) }, cancellationToken);
        }
    }

    /// <summary>Seals and verifies what it sealed. Where something is so damaged that no day can be sealed, people are told no less.</summary>
    private async Task SealAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<AuditSeal> made;
        try
        {
            made = await sealer.SealAsync(cancellationToken);
        }
        catch (InvalidDataException exception)
        {
            Log.NotSealed(logger, exception);
            var result = await verifier.VerifyAsync(null, null, cancellationToken);
            await TellAsync(result.Ok ? result with { Ok = false, FirstFault = new(AuditFaultKind.SealBroken, null, null, null, exception.Message) } : result, cancellationToken);
            return;
        }

        if (made.Count > 0)
        {
            await TellAsync(await verifier.VerifyAsync(made[0].Day, null, cancellationToken), cancellationToken);
        }
    }

    /// <summary>Puts into the trail what a verification found, and tells people when something is wrong.</summary>
    private async Task TellAsync(AuditVerification result, CancellationToken cancellationToken)
    {
        await trail.AppendAsync(VerifyAudit.EventOf(AuditActor.System(nameof(SealAudit)), result), cancellationToken);
        if (result.FirstFault is { } fault)
        {
            await alerts.SendAsync(AuditAlerts.Broken(fault, time.GetUtcNow()), cancellationToken);
        }
    }

    /// <summary>The ends of the chains, so that of the newest entries something outside remembers, too.</summary>
    private async Task AnchorHeadsAsync(CancellationToken cancellationToken)
    {
        try
        {
            await anchors.PutHeadsAsync(await seals.HeadsAsync(cancellationToken), cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            var day = AuditDay.Of(time.GetUtcNow());
            Log.Failed(logger, "anchor", day, exception);
            await alerts.SendAsync(AuditAlerts.NotKept("anchor", day, time.GetUtcNow()), cancellationToken);
        }
    }

    /// <summary>
    /// Does for each day what has not been done for it; a day that fails is tried again with the next run, and people are told. How far it
    /// was done is noted; a note that cannot be right is not believed, and what was done once is not done again where it has gone: the
    /// verification names that.
    /// </summary>
    private async Task CatchUpAsync(
        string what, Func<CancellationToken, Task<string?>> lastThere, Func<AuditSeal, Task> act, CancellationToken cancellationToken)
    {
        var day = AuditDay.Of(time.GetUtcNow());
        try
        {
            var noted = await store.GetAsync(AuditRows.TrailTable, ProgressPartition, what, cancellationToken) is { } row
                && row.Properties.TryGetValue("Day", out var value) && value is string text && AuditDay.IsValid(text) && string.CompareOrdinal(text, day) < 0 ? text : null;
            var done = noted ?? await lastThere(cancellationToken);
            if (noted is null && done is not null)
            {
                await NoteAsync(what, done, cancellationToken);
            }

            await foreach (var seal in seals.ReadAsync(done is null ? null : AuditDay.Next(done), null, cancellationToken))
            {
                day = seal.Day;
                await act(seal);
                await NoteAsync(what, seal.Day, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            Log.Failed(logger, what, day, exception);
            await alerts.SendAsync(AuditAlerts.NotKept(what, day, time.GetUtcNow()), cancellationToken);
        }
    }

    private Task<TransactionResult> NoteAsync(string what, string day, CancellationToken cancellationToken) => store.SubmitAsync(
        EntityTransaction.Of(
            AuditRows.TrailTable, EntityOperation.Upsert(new Entity(ProgressPartition, what) { Properties = { ["Schema"] = 1, ["Day"] = day } })),
        cancellationToken);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The {What} of {Day} could not be written; the next run tries again")]
        public static partial void Failed(ILogger logger, string what, string day, Exception exception);

        [LoggerMessage(2, LogLevel.Critical, "No day can be sealed: something in the audit trail is damaged")]
        public static partial void NotSealed(ILogger logger, Exception exception);
    }
}

/// <summary>Every day: removes content whose retention has passed.</summary>
public sealed class ExpireAudit(AuditExpiry expiry) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => expiry.RunAsync(cancellationToken);
}

/// <summary>The alerts of the feature.</summary>
internal static class AuditAlerts
{
    public static AlertMessage Broken(AuditFault fault, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"audit.trail_broken:{fault.Day}:{fault.Chain}:{fault.Sequence}"),
        Type = "audit.trail_broken",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = "The audit trail is not as it was written.",
        About = fault.Chain,
        Details = new Dictionary<string, string>
        {
            ["fault"] = fault.Kind.ToString(), ["day"] = fault.Day ?? "", ["sequence"] = fault.Sequence?.ToString(CultureInfo.InvariantCulture) ?? "", ["detail"] = fault.Detail,
        },
    };

    public static AlertMessage NotKept(string what, string day, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"audit.day_not_kept:{what}:{now:yyyyMMdd}"),
        Type = "audit.day_not_kept",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"A sealed day of the audit trail could not be written to its {what}.",
        About = what,
        Details = new Dictionary<string, string> { ["day"] = day },
    };
}
