using System.Collections.Immutable;

namespace DingFlow.Sandbox;

/// <summary>One call that the sandbox received.</summary>
/// <param name="Number">Counts from 1.</param>
/// <param name="At">When it arrived.</param>
/// <param name="System">The system called.</param>
/// <param name="Operation">One of <see cref="SandboxOperations.All"/>, or <see langword="null"/> for an unknown path.</param>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Path template, never with a person's identifier in it.</param>
/// <param name="EmployeeId">Whom it is about, when that is one known person.</param>
/// <param name="Status">HTTP status; 0 when the connection was cut; <see langword="null"/> while under way.</param>
/// <param name="Code">The error code in the body, such as <c>user.not.exist</c> or <c>60121</c>.</param>
/// <param name="Fault">The fault it met; a latency only when nothing else.</param>
/// <param name="Changed">Whether it changed anything.</param>
public sealed record SandboxJournalEntry(
    long Number,
    DateTimeOffset At,
    SandboxSystem System,
    string? Operation,
    string Method,
    string Path,
    string? EmployeeId,
    int? Status,
    string? Code,
    SandboxFaultKind? Fault,
    bool Changed);

/// <summary>The last calls, for tests and inspection. In memory; the counts per person live in the directory.</summary>
public sealed class SandboxJournal
{
    internal const int Capacity = 2_000;

    private readonly Lock _lock = new();
    private ImmutableList<SandboxJournalEntry> _entries = [];
    private long _last;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The last calls, oldest first.</summary>
    public ImmutableArray<SandboxJournalEntry> Entries
    {
        get
        {
            lock (_lock)
            {
                return [.. _entries];
            }
        }
    }

    /// <summary>The first entry that fits, now or as soon as there is one. An entry is offered when it arrives and when it ends.</summary>
    public async Task<SandboxJournalEntry> WaitForAsync(Func<SandboxJournalEntry, bool> fits, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fits);
        while (true)
        {
            Task changed;
            ImmutableList<SandboxJournalEntry> entries;
            lock (_lock)
            {
                changed = _changed.Task;
                entries = _entries;
            }

            if (entries.Find(entry => fits(entry)) is { } found)
            {
                return found;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    internal SandboxJournalEntry Begin(DateTimeOffset at, SandboxSystem system, string? operation, string method, string path, string? employeeId)
    {
        lock (_lock)
        {
            var entry = new SandboxJournalEntry(++_last, at, system, operation, method, path, employeeId, null, null, null, false);
            _entries = _entries.Count < Capacity ? _entries.Add(entry) : _entries.RemoveAt(0).Add(entry);
            Signal();
            return entry;
        }
    }

    internal void End(SandboxJournalEntry ended)
    {
        lock (_lock)
        {
            var index = _entries.FindLastIndex(entry => entry.Number == ended.Number);
            if (index >= 0)
            {
                _entries = _entries.SetItem(index, ended);
                Signal();
            }
        }
    }

    internal void Clear()
    {
        lock (_lock)
        {
            _entries = [];
            Signal();
        }
    }

    private void Signal()
    {
        var changed = _changed;
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.SetResult();
    }
}
