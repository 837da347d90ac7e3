using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using DingFlow.Hosting;

namespace DingFlow.Transfers;

/// <summary>
/// Threads of its own for reading imports and merging what they bring. On the thread pool that work would keep every thread busy for tens
/// of milliseconds at a time, and webhooks would wait behind it; here the operating system shares the processors, and gives webhooks the
/// larger share. What is awaited on it goes on on it.
/// </summary>
/// <remarks>
/// A larger share of the processors is not all: what an import writes is synced by the disk that webhooks wait for, and what it leaves to
/// the garbage collector stops everybody. So while many requests arrive (<see cref="RequestRate"/>) one thread works at a time, and rests
/// after each task for a multiple of what that took. Alone an import has all threads, without a rest.
/// </remarks>
public sealed class BulkScheduler : TaskScheduler, IDisposable
{
    /// <summary>Niceness of the threads (0 is that of all others, 19 the lowest claim).</summary>
    private const int Niceness = 10;

    /// <summary>How much longer a thread rests than it worked, while many requests arrive.</summary>
    private const int Rest = 4;

    /// <summary>The longest rest: somebody may wait for what comes next.</summary>
    private static readonly TimeSpan LongestRest = TimeSpan.FromMilliseconds(100);

    private readonly BlockingCollection<Task> _tasks = [];
    private readonly Lazy<IReadOnlyList<Thread>> _threads;
    private readonly RequestRate _requests;
    private readonly Lock _turn = new();
    private readonly ManualResetEventSlim _closing = new();

    /// <summary>Creates the scheduler; threads are started with the first task.</summary>
    /// <param name="requests">What arrives beside the work.</param>
    public BulkScheduler(RequestRate requests)
    {
        _requests = requests;
        _threads = new(() =>
        {
            List<Thread> threads = [];
            for (var i = 0; i < MaximumConcurrencyLevel; i++)
            {
                var thread = new Thread(Run) { IsBackground = true, Name = "bulk" };
                thread.Start();
                threads.Add(thread);
            }

            return threads;
        });
    }

    /// <inheritdoc/>
    public override int MaximumConcurrencyLevel { get; } = Math.Max(2, Environment.ProcessorCount);

    /// <summary>Runs something on these threads.</summary>
    public Task<T> RunAsync<T>(Func<Task<T>> action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    /// <summary>Ends the threads when their tasks are done.</summary>
    public void Dispose()
    {
        _tasks.CompleteAdding();
        _closing.Set();
        if (_threads.IsValueCreated)
        {
            foreach (var thread in _threads.Value)
            {
                thread.Join();
            }
        }

        _tasks.Dispose();
        _closing.Dispose();
    }

    /// <inheritdoc/>
    protected override void QueueTask(Task task)
    {
        _ = _threads.Value;
        _tasks.Add(task);
    }

    /// <inheritdoc/>
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && Current == this && TryExecuteTask(task);

    /// <inheritdoc/>
    protected override IEnumerable<Task> GetScheduledTasks() => [.. _tasks];

    private void Run()
    {
        if (OperatingSystem.IsLinux())
        {
            // On Linux this is of the calling thread alone. That it fails changes nothing but the share.
            _ = SetPriority(which: 0, who: 0, Niceness);
        }

        foreach (var task in _tasks.GetConsumingEnumerable())
        {
            if (_requests.IsHigh)
            {
                lock (_turn)
                {
                    var started = Stopwatch.GetTimestamp();
                    TryExecuteTask(task);
                    var rest = Stopwatch.GetElapsedTime(started) * Rest;
                    _closing.Wait(rest < LongestRest ? rest : LongestRest);
                }
            }
            else
            {
                TryExecuteTask(task);
            }
        }
    }

    [DllImport("libc", EntryPoint = "setpriority")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetPriority(int which, uint who, int priority);
}
