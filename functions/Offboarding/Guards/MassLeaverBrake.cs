using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Offboarding.Guards;

/// <summary>What the brake says of a case.</summary>
/// <param name="Admitted">The case may freeze accounts.</param>
/// <param name="Quarantine">Why it may not.</param>
public sealed record BrakeVerdict(bool Admitted, CaseQuarantine? Quarantine = null);

/// <summary>How many people a source's roster holds; <see langword="null"/> without one.</summary>
public interface IRosterSizes
{
    /// <summary>People on the roster of a source (<c>hr/{source}</c>) in force.</summary>
    Task<int?> SizeOfAsync(string source, CancellationToken cancellationToken);
}

/// <summary>
/// The mass-leaver brake: counts the leavers that are about to be frozen and holds those that are too many for the window. Each case is
/// counted once, when its person is known, so several words about one person count as one leaver.
/// </summary>
/// <remarks>
/// The count is a row with an ETag: of two instances that count at the same time one reads again what the other wrote. A case that was
/// counted finds itself in the window, so a process that dies after counting and before acting does not count it twice, and the verdict
/// stays the same. People are told before the case is held: a message that is delivered again tells them again, under the same id.
/// </remarks>
public sealed partial class MassLeaverBrake(
    IEntityStore store, BrakeOptions options, IRosterSizes rosters, IAlertSender alerts, TimeProvider time, ILogger<MassLeaverBrake> logger)
    : IDisposable
{
    private const string Everybody = "all";

    /// <summary>Cases of this process wait here instead of conflicting in the store.</summary>
    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>Counts a case that is about to freeze its first account and says whether it may.</summary>
    public async Task<BrakeVerdict> JudgeAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var limits = await LimitsAsync(@case, cancellationToken);
        if (limits.Count == 0)
        {
            return new(true);
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var now = time.GetUtcNow();
                var windows = new List<LeaverWindow>();
                foreach (var (row, limit) in limits)
                {
                    var entity = await store.GetAsync(LeaverWindow.Table, LeaverWindow.Partition, row, cancellationToken);
                    windows.Add(LeaverWindow.Read(row, entity, limit, options.Window, now));
                }

                if (windows.Select(w => w.VerdictOn(@case.CaseId)).FirstOrDefault(v => v is not null) is { } known)
                {
                    return known ? new(true) : await HoldAsync(@case, windows, cancellationToken);
                }

                var admitted = windows.TrueForAll(w => !w.IsFull);
                var counted = windows.ConvertAll(w => w.With(@case.CaseId, admitted, now));
                var written = await store.SubmitAsync(
                    new(LeaverWindow.Table, counted.ConvertAll(w => w.ToOperation())), cancellationToken);
                if (written.Committed)
                {
                    return admitted ? new(true) : await HoldAsync(@case, counted, cancellationToken);
                }
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private async Task<List<(string Row, int Limit)>> LimitsAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var limits = new List<(string, int)>();
        if (options.Count > 0)
        {
            limits.Add((Everybody, options.Count));
        }

        var source = @case.Signals[0].Source;
        if (options.Percent > 0 && await rosters.SizeOfAsync(source, cancellationToken) is { } people)
        {
            var share = (int)Math.Min((long)people * options.Percent / 100, BrakeOptions.LargestCount);
            limits.Add(("source|" + PersonKey.Escape(source), Math.Max(share, 1)));
        }

        return limits;
    }

    private async Task<BrakeVerdict> HoldAsync(OffboardingCase @case, List<LeaverWindow> windows, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var window = windows.Find(w => w.IsFull) ?? windows[0];
        var byCount = window.Row == Everybody;
        var source = @case.Signals[0].Source;
        var since = window.PulledAt ?? now;
        var limit = window.Limit.ToString(CultureInfo.InvariantCulture);
        Log.Held(logger, @case.CaseId, window.Limit, options.Window);
        await alerts.SendAsync(
            new()
            {
                AlertId = string.Create(CultureInfo.InvariantCulture, $"offboarding/brake/{window.Row}/{since.UtcTicks}"),
                Type = "offboarding.brake_pulled",
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = byCount
                    ? $"More than {limit} leavers within {options.Window}: the rest is held until two people release it."
                    : $"More than {options.Percent} % of the roster of {source} within {options.Window}: the rest is held until two people release it.",
                About = source,
                Details = new Dictionary<string, string>
                {
                    ["limit"] = limit,
                    ["window"] = options.Window.ToString(),
                    ["since"] = since.ToString("O", CultureInfo.InvariantCulture),
                    ["caseId"] = @case.CaseId,
                },
            },
            cancellationToken);
        return new(false, new CaseQuarantine
        {
            Since = now, Reason = byCount ? QuarantineReason.Count : QuarantineReason.Percent, Limit = window.Limit, Window = options.Window,
        });
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "Case {CaseId} is held: more than {Limit} leavers within {Window}.")]
        public static partial void Held(ILogger logger, string caseId, int limit, TimeSpan window);
    }
}
