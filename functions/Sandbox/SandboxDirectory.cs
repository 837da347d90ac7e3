using System.Collections.Immutable;
using System.Text.Json;

namespace DingFlow.Sandbox;

/// <summary>
/// The imaginary organisation: employees <c>E1001</c> … <c>E1025</c> and the former employee <c>E0901</c>, in DingTalk and in Entra.
/// With a file it is written through on every change, so that a killed and restarted program finds the accounts as it left them.
/// </summary>
public sealed class SandboxDirectory
{
    /// <summary>The employee who never becomes the last administrator, because never an administrator.</summary>
    public const string NeverAdministrator = "E1001";

    internal const int MaximumPeople = 10_000;

    private readonly Lock _lock = new();
    private readonly string? _file;
    private ImmutableArray<SandboxRoleChange> _roleChanges = [];
    private SandboxState? _state;

    /// <summary>A directory that lives in <paramref name="file"/>, or in memory alone. The file is read on first use.</summary>
    public SandboxDirectory(string? file = null) => _file = file;

    /// <summary>A call changed somebody: the operation, the person before and after. Raised within the change, in its order.</summary>
    internal event Action<string, SandboxPerson, SandboxPerson>? Mutated;

    /// <summary>Everybody the directory ever knew, in the order of their employee ids, the former employee included.</summary>
    public ImmutableArray<SandboxPerson> People => State.People;

    /// <summary>The departments; they do not change.</summary>
    public static ImmutableArray<SandboxDepartment> Departments => SandboxSeed.Departments;

    /// <summary>The roles; they do not change.</summary>
    public static ImmutableArray<SandboxRole> Roles => SandboxSeed.Roles;

    /// <summary>Who left, oldest first.</summary>
    public ImmutableArray<SandboxLeaveRecord> LeaveRecords => State.LeaveRecords;

    /// <summary>Events that could not be pushed, oldest first; none by default.</summary>
    public ImmutableArray<SandboxFailedPush> FailedPushes => State.FailedPushes;

    /// <summary>Changes of directory roles, oldest first; in memory.</summary>
    public ImmutableArray<SandboxRoleChange> RoleChanges
    {
        get
        {
            lock (_lock)
            {
                return _roleChanges;
            }
        }
    }

    /// <summary>Notes a change of a directory role for the directory's audit.</summary>
    public void Note(SandboxRoleChange change)
    {
        lock (_lock)
        {
            _roleChanges = [.. _roleChanges.TakeLast(999), change];
        }
    }

    /// <summary>The person with that employee number.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public SandboxPerson this[string employeeId] =>
        Find(employeeId) ?? throw new KeyNotFoundException($"The sandbox has no person {employeeId}.");

    private SandboxState State
    {
        get
        {
            lock (_lock)
            {
                return _state ??= Load();
            }
        }
    }

    /// <summary>The person with that employee number, or <see langword="null"/>.</summary>
    public SandboxPerson? Find(string employeeId) =>
        State.People.FirstOrDefault(person => Same(person.EmployeeId, employeeId));

    /// <summary>The person with that DingTalk user id, a member or not, or <see langword="null"/>.</summary>
    public SandboxPerson? FindByUserId(string userId) =>
        State.People.FirstOrDefault(person => person.DingTalk?.UserId.Equals(userId, StringComparison.Ordinal) == true);

    /// <summary>The person with that Entra object id or user principal name, deleted or not, or <see langword="null"/>.</summary>
    public SandboxPerson? FindInEntra(string idOrName) => State.People.FirstOrDefault(person => person.Entra is { } account
        && (account.ObjectId.Equals(idOrName, StringComparison.OrdinalIgnoreCase)
            || account.UserPrincipalName.Equals(idOrName, StringComparison.OrdinalIgnoreCase)));

    /// <summary>Changes a person by hand: counted as nobody's call.</summary>
    /// <exception cref="KeyNotFoundException">There is no such person.</exception>
    public SandboxPerson Change(string employeeId, Func<SandboxPerson, SandboxPerson> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        lock (_lock)
        {
            return Put(change(this[employeeId]));
        }
    }

    /// <summary>Adds or replaces a person by hand, all or nothing.</summary>
    /// <param name="person">The person.</param>
    /// <param name="lastAdministrator">Make them DingTalk's main administrator, and nobody else any administrator.</param>
    /// <exception cref="ArgumentException">
    /// <see cref="NeverAdministrator"/> would become an administrator, somebody outside DingTalk would, or the directory is full.
    /// </exception>
    public SandboxPerson Put(SandboxPerson person, bool lastAdministrator = false)
    {
        ArgumentNullException.ThrowIfNull(person);
        if (lastAdministrator)
        {
            person = person.DingTalk is { Member: true }
                ? person.WithDingTalk(account => account with { Administrator = SandboxAdministrator.Main })
                : throw new ArgumentException($"{person.EmployeeId} is not in DingTalk.", nameof(person));
        }

        if (Same(person.EmployeeId, NeverAdministrator) && person.DingTalk is { Administrator: not SandboxAdministrator.None })
        {
            throw new ArgumentException($"{NeverAdministrator} is never an administrator.", nameof(person));
        }

        lock (_lock)
        {
            var others = State.People.Where(other => !Same(other.EmployeeId, person.EmployeeId));
            if (lastAdministrator)
            {
                others = others.Select(other => other.DingTalk is null
                    ? other
                    : other.WithDingTalk(account => account with { Administrator = SandboxAdministrator.None }));
            }

            var people = others.Append(person).OrderBy(other => other.EmployeeId, StringComparer.OrdinalIgnoreCase).ToImmutableArray();
            if (people.Length > MaximumPeople)
            {
                throw new ArgumentException("The sandbox is full.", nameof(person));
            }

            Save(State with { People = people });
            return person;
        }
    }

    /// <summary>Adds an event to the failed-push list.</summary>
    public void AddFailedPush(SandboxFailedPush push)
    {
        ArgumentNullException.ThrowIfNull(push);
        lock (_lock)
        {
            Save(State with { FailedPushes = [.. State.FailedPushes.TakeLast(999), push] });
        }
    }

    /// <summary>Takes the oldest failed pushes that nobody has taken yet.</summary>
    internal (ImmutableArray<SandboxFailedPush> Pushes, bool HasMore) TakeFailedPushes(int maximum, bool forget)
    {
        lock (_lock)
        {
            var waiting = State.FailedPushes.Where(push => !push.Taken).ToImmutableArray();
            var taken = waiting.Take(maximum).ToImmutableArray();
            if (forget && taken.Length > 0)
            {
                Save(State with
                {
                    FailedPushes = [.. State.FailedPushes.Select(push => taken.Contains(push) ? push with { Taken = true } : push)],
                });
            }

            return (taken, waiting.Length > taken.Length);
        }
    }

    /// <summary>Puts everything back as it was at first.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            Save(SandboxSeed.State());
        }
    }

    /// <summary>Changes a person on behalf of a call, and counts it.</summary>
    internal SandboxPerson Mutate(string employeeId, string operation, Func<SandboxPerson, SandboxPerson> change, SandboxLeaveRecord? leave = null)
    {
        lock (_lock)
        {
            var before = this[employeeId];
            var after = change(before) with
            {
                Mutations = before.Mutations.SetItem(operation, before.Mutations.GetValueOrDefault(operation) + 1),
            };
            var state = State;
            Save(state with
            {
                People = state.People.Replace(before, after),
                LeaveRecords = leave is null ? state.LeaveRecords : state.LeaveRecords.Add(leave),
            });
            Mutated?.Invoke(operation, before, after);
            return after;
        }
    }

    /// <summary>Reads the file now, so that a fault in it shows before the first call.</summary>
    internal void EnsureLoaded() => _ = State;

    private static bool Same(string employeeId, string other) => employeeId.Equals(other, StringComparison.OrdinalIgnoreCase);

    private SandboxState Load()
    {
        if (_file is null)
        {
            return SandboxSeed.State();
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(_file))!);
        if (!File.Exists(_file))
        {
            return SandboxSeed.State();
        }

        try
        {
            using var stream = File.OpenRead(_file);
            return JsonSerializer.Deserialize(stream, SandboxJson.Default.SandboxState) is { Version: SandboxState.CurrentVersion } state
                ? state
                : throw new InvalidDataException("The sandbox's state file is of a version that this program does not know; remove it.");
        }
        catch (JsonException fault)
        {
            throw new InvalidDataException("The sandbox's state file is not readable; remove it to start afresh.", fault);
        }
    }

    private void Save(SandboxState state)
    {
        if (_file is not null)
        {
            // No flush to the disk: what must survive is the death of the process, and the page cache does.
            var draft = _file + ".new";
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using (var stream = new FileStream(draft, options))
            {
                JsonSerializer.Serialize(stream, state, SandboxJson.Default.SandboxState);
            }

            File.Move(draft, _file, overwrite: true);
        }

        _state = state;
    }
}
