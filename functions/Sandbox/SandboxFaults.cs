using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Sandbox;

/// <summary>A simulated system.</summary>
[JsonConverter(typeof(WordConverter<SandboxSystem>))]
public enum SandboxSystem
{
    /// <summary>The DingTalk Open Platform, both generations.</summary>
    DingTalk,

    /// <summary>Microsoft Graph.</summary>
    Graph,
}

/// <summary>What goes wrong. The answers are those of the system called.</summary>
[JsonConverter(typeof(WordConverter<SandboxFaultKind>))]
public enum SandboxFaultKind
{
    /// <summary>The call waits <see cref="SandboxFault.Delay"/> before it is looked at. Adds to any other fault.</summary>
    Latency,

    /// <summary>Busy: HTTP 500 <c>system.busy</c>, legacy <c>-1</c>, Graph HTTP 500. Nothing done.</summary>
    ServerError,

    /// <summary>HTTP 503; the legacy API's gateway answers HTML. Nothing done.</summary>
    Unavailable,

    /// <summary>Too many calls: DingTalk HTTP 403 with a QPS code, legacy 90018, Graph 429 with <c>Retry-After</c>. Nothing done.</summary>
    Throttled,

    /// <summary>DingTalk's ban of an IP address, which is no error body of the API. Nothing done. Graph: as throttled.</summary>
    IpBanned,

    /// <summary>DingTalk's monthly quota is used up. Nothing done. Graph: as throttled.</summary>
    QuotaExhausted,

    /// <summary>The token is refused; for the token calls, the credentials are. Nothing done.</summary>
    Unauthenticated,

    /// <summary>The app lacks the permission. Nothing done.</summary>
    Denied,

    /// <summary>The person is outside the app's contact scope (legacy 50002). Nothing done.</summary>
    OutOfScope,

    /// <summary>The connection is cut, and nothing was done.</summary>
    LostBefore,

    /// <summary>It was done, and the connection is cut before the answer.</summary>
    LostAfter,

    /// <summary>Success is answered and nothing was done.</summary>
    DoNothing,

    /// <summary>A read shows the person as though never frozen.</summary>
    WrongReadBack,

    /// <summary>It was done; the answer is JSON cut short.</summary>
    MalformedJson,

    /// <summary>It was done; the answer is <see cref="SandboxFault.Bytes"/> long.</summary>
    HugeBody,

    /// <summary>Nothing is done and nothing answered until the caller gives up.</summary>
    Hang,

    /// <summary>The answer given by <see cref="SandboxFault.Status"/> and <see cref="SandboxFault.Body"/>. Nothing done.</summary>
    Answer,
}

/// <summary>
/// A fault to come. It meets the calls that fit every condition given, first set first; a call meets every fitting latency and one other
/// fault.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxFault
{
    /// <summary>What goes wrong.</summary>
    public required SandboxFaultKind Kind { get; init; }

    /// <summary>Only calls of this system.</summary>
    public SandboxSystem? System { get; init; }

    /// <summary>Only calls of this operation, one of <see cref="SandboxOperations.All"/>.</summary>
    public string? Operation { get; init; }

    /// <summary>Only calls about this person.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Lets so many fitting calls pass first.</summary>
    public int Skip { get; init; }

    /// <summary>Meets so many calls and is gone; without it, until cleared.</summary>
    public int? Count { get; init; }

    /// <summary>How long <see cref="SandboxFaultKind.Latency"/> waits.</summary>
    public TimeSpan Delay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>What a throttled Graph call is told to wait, in whole seconds.</summary>
    public TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The permissions said to be missing; without them, those that the operation needs.</summary>
    public ImmutableArray<string> Scopes { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Length of a huge answer.</summary>
    public int Bytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>HTTP status of <see cref="SandboxFaultKind.Answer"/> and of the IP ban.</summary>
    public int Status { get; init; } = 200;

    /// <summary>Body of <see cref="SandboxFaultKind.Answer"/>.</summary>
    public string Body { get; init; } = "";

    /// <summary>Content type of <see cref="SandboxFaultKind.Answer"/>.</summary>
    public string ContentType { get; init; } = "application/json";
}

/// <summary>DingTalk's limit per app and API, and Graph's, when it is switched on.</summary>
/// <param name="CallsPerSecond">Calls of one operation within a second of the clock; above it they are throttled. 0: no limit.</param>
public sealed record SandboxThrottling(int CallsPerSecond);

/// <summary>The fault switches. Deterministic: no chance is involved. Safe from any thread.</summary>
public sealed class SandboxFaults(TimeProvider timeProvider)
{
    internal const int MaximumFaults = 1_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (long Second, int Calls)> _calls = [];
    private ImmutableArray<SandboxFault> _faults = [];
    private int _callsPerSecond;

    /// <summary>The faults still to come, with what is left of <see cref="SandboxFault.Skip"/> and <see cref="SandboxFault.Count"/>.</summary>
    public ImmutableArray<SandboxFault> All
    {
        get
        {
            lock (_lock)
            {
                return _faults;
            }
        }
    }

    /// <summary>Calls of one operation allowed within a second; 0, the default, sets no limit.</summary>
    public int CallsPerSecond
    {
        get
        {
            lock (_lock)
            {
                return _callsPerSecond;
            }
        }

        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            lock (_lock)
            {
                _callsPerSecond = value;
                _calls.Clear();
            }
        }
    }

    /// <summary>Adds a fault behind the others.</summary>
    /// <exception cref="ArgumentException">Its operation does not exist, a number is out of range, or there are too many faults.</exception>
    public void Add(SandboxFault fault)
    {
        Check(fault);
        lock (_lock)
        {
            if (_faults.Length >= MaximumFaults)
            {
                throw new ArgumentException("There are too many faults.", nameof(fault));
            }

            _faults = _faults.Add(fault);
        }
    }

    /// <summary>Replaces all faults.</summary>
    /// <exception cref="ArgumentException">As for <see cref="Add"/>; then nothing changes.</exception>
    public void Set(ImmutableArray<SandboxFault> faults)
    {
        if (faults.Length > MaximumFaults)
        {
            throw new ArgumentException("There are too many faults.", nameof(faults));
        }

        foreach (var fault in faults)
        {
            Check(fault);
        }

        lock (_lock)
        {
            _faults = faults;
        }
    }

    /// <summary>Removes all faults; calls that hang go on hanging until their caller gives up.</summary>
    public void Clear() => Set([]);

    /// <summary>What a call meets, and counts it.</summary>
    internal (TimeSpan Delay, SandboxFault? Fault) Meet(SandboxSystem system, string operation, string? employeeId)
    {
        lock (_lock)
        {
            var delay = TimeSpan.Zero;
            SandboxFault? met = null;
            var left = ImmutableArray.CreateBuilder<SandboxFault>(_faults.Length);
            foreach (var fault in _faults)
            {
                var fits = Fits(fault, system, operation, employeeId) && (fault.Kind == SandboxFaultKind.Latency || met is null);
                if (!fits)
                {
                    left.Add(fault);
                }
                else if (fault.Skip > 0)
                {
                    left.Add(fault with { Skip = fault.Skip - 1 });
                }
                else
                {
                    if (fault.Kind == SandboxFaultKind.Latency)
                    {
                        delay += fault.Delay;
                    }
                    else
                    {
                        met = fault;
                    }

                    if (fault.Count is not { } count)
                    {
                        left.Add(fault);
                    }
                    else if (count > 1)
                    {
                        left.Add(fault with { Count = count - 1 });
                    }
                }
            }

            _faults = left.DrainToImmutable();
            return (delay, met ?? Limit(operation));
        }
    }

    private SandboxFault? Limit(string operation)
    {
        if (_callsPerSecond == 0)
        {
            return null;
        }

        var second = timeProvider.GetUtcNow().ToUnixTimeSeconds();
        var calls = _calls.TryGetValue(operation, out var seen) && seen.Second == second ? seen.Calls + 1 : 1;
        _calls[operation] = (second, calls);
        return calls > _callsPerSecond
            ? new SandboxFault { Kind = SandboxFaultKind.Throttled, RetryAfter = TimeSpan.FromSeconds(1) }
            : null;
    }

    private static bool Fits(SandboxFault fault, SandboxSystem system, string operation, string? employeeId) =>
        (fault.System is null || fault.System == system)
        && (fault.Operation is null || fault.Operation == operation)
        && (fault.EmployeeId is null || fault.EmployeeId.Equals(employeeId, StringComparison.OrdinalIgnoreCase));

    private static void Check([NotNull] SandboxFault? fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        if (fault.Operation is { } operation && !SandboxOperations.All.Contains(operation))
        {
            throw new ArgumentException($"There is no operation {operation}.", nameof(fault));
        }

        if (fault.Skip < 0 || fault.Count <= 0 || fault.Delay < TimeSpan.Zero || fault.RetryAfter < TimeSpan.Zero
            || fault.Bytes is < 16 or > 1024 * 1024 * 1024 || fault.Status is < 200 or > 599)
        {
            throw new ArgumentException("A number of the fault is out of range.", nameof(fault));
        }
    }
}
