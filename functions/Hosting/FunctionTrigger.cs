using NCrontab;

namespace DingFlow.Hosting;

/// <summary>What starts a function, as its <c>function.json</c> says.</summary>
public abstract record FunctionTrigger
{
    private FunctionTrigger() { }

    /// <summary>A request to <paramref name="Route"/> (below the route prefix) by one of the methods, in capitals; none means any.</summary>
    public sealed record Http(string Route, IReadOnlyList<string> Methods) : FunctionTrigger;

    /// <summary>A message of a queue.</summary>
    /// <param name="Binding">The name under which the host passes the message.</param>
    /// <param name="QueueName">The queue.</param>
    /// <param name="IsSessionsEnabled">Messages arrive in order within their session.</param>
    /// <param name="Batched">The host passes an array of messages (<c>cardinality: many</c>).</param>
    public sealed record Queue(string Binding, string QueueName, bool IsSessionsEnabled, bool Batched) : FunctionTrigger
    {
        /// <summary>What follows the queue's name in the address of its dead letters, as Service Bus has it.</summary>
        public const string DeadLetterSuffix = "/$DeadLetterQueue";

        /// <summary>The messages that <see cref="QueueName"/> gave up, instead of those that it delivers. They have no sessions.</summary>
        public bool IsDeadLetters { get; init; }
    }

    /// <summary>A schedule in UTC.</summary>
    /// <param name="Binding">The name under which the host passes the firing.</param>
    /// <param name="Schedule">When.</param>
    public sealed record Timer(string Binding, Schedule Schedule) : FunctionTrigger;
}

/// <summary>An NCRONTAB schedule of six fields, seconds first, in UTC.</summary>
public sealed class Schedule
{
    private readonly CrontabSchedule _crontab;

    private Schedule(string expression, CrontabSchedule crontab) => (Expression, _crontab) = (expression, crontab);

    /// <summary>As written.</summary>
    public string Expression { get; }

    /// <summary>Reads six fields; <see langword="null"/> when they are no schedule, or one that never comes.</summary>
    public static Schedule? TryParse(string expression)
    {
        var crontab = CrontabSchedule.TryParse(expression, new CrontabSchedule.ParseOptions { IncludingSeconds = true });
        return crontab is null || crontab.GetNextOccurrence(DateTime.UnixEpoch, Last) >= Last ? null : new Schedule(expression, crontab);
    }

    /// <summary>The first occurrence after the moment.</summary>
    public DateTimeOffset NextAfter(DateTimeOffset moment) => new(_crontab.GetNextOccurrence(moment.UtcDateTime), TimeSpan.Zero);

    /// <summary>It occurs more often than once a minute: the Functions host keeps no record of when such a timer last ran.</summary>
    public bool IsUnderAMinute(DateTimeOffset from)
    {
        var first = NextAfter(from);
        return NextAfter(first) - first < TimeSpan.FromMinutes(1);
    }

    /// <inheritdoc/>
    public override string ToString() => Expression;

    /// <summary>30 February never comes; the next leap day does within these years.</summary>
    private static readonly DateTime Last = DateTime.UnixEpoch.AddYears(30);
}
