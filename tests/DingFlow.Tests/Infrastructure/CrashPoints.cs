using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Infrastructure;

/// <summary>How the store fails a process at one operation.</summary>
internal enum CrashMode
{
    /// <summary>The process dies before the operation.</summary>
    Before,

    /// <summary>The operation happens, and the process dies before it is answered.</summary>
    After,

    /// <summary>The operation happens, its answer is lost, and the process lives on.</summary>
    AnswerLost,
}

/// <summary>A change that a feature makes, and how its state and its entries are seen from outside.</summary>
internal sealed class CrashScenario
{
    /// <summary>What must be there before. Nothing fails meanwhile.</summary>
    public Func<CrashWorld, Task> Arrange { get; init; } = static _ => Task.CompletedTask;

    /// <summary>The change. It is asked for again after the failure, so asking twice must be allowed.</summary>
    public required Func<CrashWorld, Task> Act { get; init; }

    /// <summary>The changes that the state shows, each as often as it was made.</summary>
    public required Func<CrashWorld, Task<IEnumerable<string>>> State { get; init; }

    /// <summary>The changes of which the entries tell, in the words of <see cref="State"/>.</summary>
    public required Func<IReadOnlyList<ToldEntry>, IEnumerable<string>> Told { get; init; }

    /// <summary>How it must be once the change was asked for again and nothing failed.</summary>
    public required Func<CrashWorld, Task> Final { get; init; }

    public IReadOnlyDictionary<string, string?> Settings { get; init; } = new Dictionary<string, string?>();

    public bool WithRemotes { get; init; }
}

/// <summary>An entry of the trail and what it says.</summary>
internal sealed record ToldEntry(string Kind, AuditContent Said)
{
    /// <summary>A detail, or nothing.</summary>
    public string Detail(string name) => Said.Details?.GetValueOrDefault(name) ?? "";
}

/// <summary>
/// Runs a scenario again and again, the store failing at each of its operations in each way, until it passes unharmed. Each time another
/// process goes on with the same store; then what the state shows is what the trail tells, no more and no less, and asking once more gives
/// what was wanted.
/// </summary>
internal static class CrashPoints
{
    private const int MostOperations = 400;

    /// <summary>Returns how many times something failed.</summary>
    public static async Task<int> EveryAsync(CrashScenario scenario)
    {
        var failures = 0;
        foreach (var mode in Enum.GetValues<CrashMode>())
        {
            for (var operation = 0; await RunAsync(scenario, mode, operation); operation++)
            {
                failures++;
                Assert.True(operation < MostOperations, "It never passes unharmed.");
            }
        }

        Assert.True(failures > 0, "Nothing failed: the scenario does not use the store.");
        return failures;
    }

    /// <summary><see langword="false"/>: it passed unharmed.</summary>
    private static async Task<bool> RunAsync(CrashScenario scenario, CrashMode mode, int operation)
    {
        await using var world = await CrashWorld.StartAsync(scenario.Settings, scenario.WithRemotes);
        await scenario.Arrange(world);
        await world.Get<AuditTrail>().DrainAsync(TestContext.Current.CancellationToken);
        switch (mode)
        {
            case CrashMode.Before:
                world.Store.DieAfter(operation, loseAnswer: false);
                break;
            case CrashMode.After:
                world.Store.DieAfter(operation + 1, loseAnswer: true);
                break;
            default:
                world.Store.LoseAnswerAfter(operation);
                break;
        }

        var store = world.Store;
        try
        {
            await scenario.Act(world);
            await world.Get<AuditTrail>().DrainAsync(TestContext.Current.CancellationToken);
        }
        catch (EntityStoreException) when (store.HasFailed)
        {
            // The program answers 5xx, or nobody.
        }

        var hasFailed = store.HasFailed;
        store.Heal();
        if (mode != CrashMode.AnswerLost)
        {
            await world.RestartAsync();
        }

        await world.SweepTrailAsync();
        await CompareAsync(scenario, world, $"{mode} operation {operation}");
        await scenario.Act(world);
        await world.SweepTrailAsync();
        await CompareAsync(scenario, world, $"{mode} operation {operation}, asked again");
        await scenario.Final(world);
        return hasFailed;
    }

    private static async Task CompareAsync(CrashScenario scenario, CrashWorld world, string where)
    {
        var entries = (await world.EntriesAsync()).Select(static entry => new ToldEntry(entry.Kind, entry.Read()!)).ToList();
        var told = scenario.Told(entries).Order(StringComparer.Ordinal).ToList();
        var made = (await scenario.State(world)).Order(StringComparer.Ordinal).ToList();
        Assert.True(told.SequenceEqual(made, StringComparer.Ordinal), $"{where}: the trail tells [{string.Join(", ", told)}], the state shows [{string.Join(", ", made)}]");

        // Whatever was begun has an outcome, each its own.
        var begun = Changes(entries, isBegun: true);
        var ended = Changes(entries, isBegun: false);
        Assert.True(begun.SequenceEqual(ended, StringComparer.Ordinal), $"{where}: begun are [{string.Join(", ", begun)}], ended [{string.Join(", ", ended)}]");
    }

    /// <summary>The ids of changes. What a report on a permission calls its change is whether it was given.</summary>
    private static List<string> Changes(IReadOnlyList<ToldEntry> entries, bool isBegun) =>
    [
        .. entries.Where(entry => entry.Kind != "permissions.reported" && entry.Kind.EndsWith(".change_begun", StringComparison.Ordinal) == isBegun)
            .Select(static entry => entry.Detail("change")).Where(static change => change.Length > 0).Order(StringComparer.Ordinal),
    ];
}
