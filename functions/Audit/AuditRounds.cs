using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Verifies the older days again and again, a few with each run, from the first to the last and then anew: a change of what was sealed and
/// verified long ago is found within days, though nobody asks.
/// </summary>
public sealed class AuditRounds(IEntityStore store, AuditSeals seals, AuditVerifier verifier, AuditRetentionPolicy policy, TimeProvider time)
{
    /// <summary>Days of one run; with a run an hour three years go by in less than six days.</summary>
    internal const int DaysPerRun = 8;

    /// <summary>Entries after which a run takes no further day.</summary>
    private const long EntriesPerRun = 500_000;

    private const string Partition = "progress";
    private const string Row = "round";

    /// <summary>A short trail is not verified over and over: a round begins a day after the one before began.</summary>
    private static readonly TimeSpan BetweenRounds = TimeSpan.FromDays(1);

    /// <summary>Verifies the next days. Returns what was found, a result for each day; the range goes on behind them, also behind a fault.</summary>
    public async Task<IReadOnlyList<AuditVerification>> RunAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var row = await store.GetAsync(AuditRows.TrailTable, Partition, Row, cancellationToken);
        var (begun, through) = ReadProgress(row, now);
        var days = await NextAsync(through, cancellationToken);
        if (days.Count == 0 && (row is null || now - begun >= BetweenRounds))
        {
            (begun, through) = (now, "");
            days = await NextAsync(through, cancellationToken);
        }

        List<AuditVerification> results = [];
        for (var i = 0; i < days.Count && results.Sum(static result => result.Entries) < EntriesPerRun; i++)
        {
            results.Add(await verifier.VerifyAsync(days[i], days[i], policy.KnownExpiryAsync, cancellationToken));
            through = days[i];
        }

        if (results.Count > 0)
        {
            await store.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(new Entity(Partition, Row)
                {
                    Properties = { ["Schema"] = 1, ["BegunAt"] = begun, ["Day"] = through },
                })),
                cancellationToken);
        }

        return results;
    }

    /// <summary>A note that cannot be right is none: whoever writes that all is verified until the year 3000 does not end the rounds.</summary>
    private static (DateTimeOffset Begun, string Through) ReadProgress(Entity? row, DateTimeOffset now) =>
        row is not null && row.Properties.TryGetValue("BegunAt", out var at) && at is DateTimeOffset begun && begun <= now
        && row.Properties.TryGetValue("Day", out var day) && day is string through && AuditDay.IsValid(through)
            ? (begun, through)
            : (now, "");

    private async Task<List<string>> NextAsync(string through, CancellationToken cancellationToken)
    {
        List<string> days = [];
        await foreach (var day in seals.DaysAsync(through.Length == 0 ? null : AuditDay.Next(through), cancellationToken))
        {
            days.Add(day);
            if (days.Count == DaysPerRun)
            {
                break;
            }
        }

        return days;
    }
}
