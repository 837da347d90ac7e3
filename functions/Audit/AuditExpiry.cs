using System.Buffers;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Removes content whose retention has passed: the heads and hashes of the entries stay, so that everything can still be verified. The
/// removal is recorded before it is done, and the archive of the day is written anew once the record is archived. A hold that was confirmed
/// holds, also while content is being removed: whoever places one changes a row in each chain, and that row is a condition of each removal.
/// </summary>
public sealed partial class AuditExpiry(
    IEntityStore store, IAuditTrail trail, AuditSeals seals, AuditHolds holds, AuditRetentionPolicy policy, AuditArchive archive, TimeProvider time,
    ILogger<AuditExpiry> logger)
{
    private const string Partition = "expiry";
    private const string NextDue = "NextDue";
    private const string ArchiveOwed = "ArchiveOwed";

    /// <summary>Holds that change while content is removed make a run look again, this often; then the next run does.</summary>
    private const int MostLooks = 5;

    private static readonly DateTimeOffset s_never = new(9999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Runs over all sealed days. Returns how many entries lost their content.</summary>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var view = await holds.ViewAsync(cancellationToken);
        var removed = 0;
        await foreach (var (day, read) in seals.ReadAllAsync(cancellationToken))
        {
            if (read is not { Count: > 0 } seal)
            {
                continue; // A seal that is damaged the verification names.
            }

            var progress = await ProgressAsync(day, cancellationToken);
            try
            {
                if (progress.NextDue <= now)
                {
                    (var count, progress, view) = await ExpireAsync(seal, progress, view, now, cancellationToken);
                    removed += count;
                }

                await ForgetArchivedAsync(seal, progress, cancellationToken);
            }
            catch (Exception exception) when (exception is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                // One damaged day, or an archive that cannot be written, does not keep the content of all others. The next run tries again.
                Log.Failed(logger, day, exception);
            }
        }

        return removed;
    }

    private async Task<(int Removed, Progress Progress, HeldView View)> ExpireAsync(
        AuditSeal seal, Progress progress, HeldView view, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var removed = 0;
        for (var look = 0; look < MostLooks; look++)
        {
            var found = await LookAsync(seal, view.Held, now, cancellationToken);
            if (found.Due == 0)
            {
                progress = progress with { NextDue = found.Next };
                await StoreAsync(seal.Day, progress, cancellationToken);
                return (removed, progress, view);
            }

            // Before it is done: whatever dies behind this, the archive is owed.
            progress = progress with { ArchiveOwed = archive.IsNone ? null : AuditDay.Of(now) };
            await StoreAsync(seal.Day, progress, cancellationToken);
            await trail.AppendAsync(policy.RemovalOf(seal.Day, now, found.Due, found.Gone + found.Due), cancellationToken);
            var (done, isWhole) = await RemoveAsync(seal, view, now, cancellationToken);
            removed += done;
            if (done > 0)
            {
                Log.Expired(logger, seal.Day, done);
            }

            if (!isWhole)
            {
                view = await holds.ViewAsync(cancellationToken);
            }
        }

        return (removed, progress, view);
    }

    /// <summary>
    /// Writes the archive of a day anew once the record of the removal is itself archived: until then the archive could not say that the
    /// content went lawfully, and would be taken for damaged.
    /// </summary>
    private async Task ForgetArchivedAsync(AuditSeal seal, Progress progress, CancellationToken cancellationToken)
    {
        if (progress.ArchiveOwed is not { } since || string.CompareOrdinal(await archive.LastDayAsync(cancellationToken), since) <= 0)
        {
            return;
        }

        if (!await archive.PutAsync(seal, cancellationToken))
        {
            // It stays owed: a policy ends, and then somebody must write it.
            Log.ArchiveStays(logger, seal.Day);
            return;
        }

        await StoreAsync(seal.Day, progress with { ArchiveOwed = null }, cancellationToken);
    }

    private async Task<Progress> ProgressAsync(string day, CancellationToken cancellationToken) =>
        await store.GetAsync(AuditRows.TrailTable, Partition, day, cancellationToken) is { } row
            ? new(row.Properties.Require<DateTimeOffset>(NextDue), row.Properties.Get<string>(ArchiveOwed))
            : new(DateTimeOffset.MinValue, null);

    private Task<TransactionResult> StoreAsync(string day, Progress progress, CancellationToken cancellationToken)
    {
        var row = new Entity(Partition, day)
        {
            Properties = { ["Schema"] = 1, [NextDue] = progress.NextDue < DateTimeOffset.UnixEpoch ? DateTimeOffset.UnixEpoch : progress.NextDue },
        };
        if (progress.ArchiveOwed is { } since)
        {
            row.Properties[ArchiveOwed] = since;
        }

        return store.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(row)), cancellationToken);
    }

    /// <summary>How many entries lose their content now, how many have lost it, and when the next one might.</summary>
    private async Task<(int Due, int Gone, DateTimeOffset Next)> LookAsync(AuditSeal seal, HeldEntries held, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (due, gone, next) = (0, 0, s_never);
        foreach (var part in seal.Chains)
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                if (entry.Content is null)
                {
                    gone++;
                }
                else if (IsDue(entry, held, now))
                {
                    due++;
                }
                else
                {
                    // One that is held is looked at again with the next run.
                    var at = policy.DueAt(entry);
                    next = at < next ? at : next;
                }
            }
        }

        return (due, gone, next);
    }

    private bool IsDue(AuditEntry entry, HeldEntries held, DateTimeOffset now) =>
        entry.Content is not null && policy.DueAt(entry) <= now && !held.Covers(ContentOf(entry));

    private static AuditContent? ContentOf(AuditEntry entry)
    {
        try
        {
            return entry.Read();
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException("The content of an entry is damaged.", exception);
        }
    }

    /// <summary>Takes the content away, row by row. Not whole: the holds have changed meanwhile, and must be looked at again.</summary>
    private async Task<(int Removed, bool IsWhole)> RemoveAsync(AuditSeal seal, HeldView view, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var removed = 0;
        foreach (var part in seal.Chains)
        {
            await foreach (var row in AuditChainReader.RowsAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                var lines = new ArrayBufferWriter<byte>();
                var changed = 0;
                foreach (var entry in AuditRows.ReadEntries(row))
                {
                    var isDue = entry.Sequence >= part.First && entry.Sequence <= part.Last && IsDue(entry, view.Held, now);
                    changed += isDue ? 1 : 0;
                    AuditLines.Write(lines, isDue ? entry with { Content = null } : entry);
                }

                if (changed == 0)
                {
                    continue;
                }

                // The row is sealed: nobody needs what stood beside its lines.
                var result = await store.SubmitAsync(
                    EntityTransaction.Of(
                        AuditRows.EntriesTable,
                        [
                            EntityOperation.Replace(AuditRows.Entries(part.Chain, AuditRows.FirstOf(row.RowKey), lines.WrittenSpan), row.ETag),
                            view.Condition(part.Chain),
                        ]),
                    cancellationToken);
                if (!result.Committed)
                {
                    return (removed, false); // A hold was placed; or another instance does the same.
                }

                view.Follow(part.Chain, result.ETags[1]!);
                removed += changed;
            }
        }

        return (removed, true);
    }

    /// <summary>How far a day is: when to look at it next, and since when its archive holds more than it may (the day of the removal's record).</summary>
    private sealed record Progress(DateTimeOffset NextDue, string? ArchiveOwed);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The content of {Count} entries of {Day} has been removed; their hashes stay")]
        public static partial void Expired(ILogger logger, string day, int count);

        [LoggerMessage(3, LogLevel.Error, "The retention of {Day} could not be carried out; the next run tries again")]
        public static partial void Failed(ILogger logger, string day, Exception exception);

        [LoggerMessage(2, LogLevel.Warning, "The archive of {Day} may not be changed: removed content stays there until its immutability policy ends")]
        public static partial void ArchiveStays(ILogger logger, string day);
    }
}
