using DingFlow.DingTalk;
using DingFlow.Messaging;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>
/// An agreed resignation names no day, and neither does a leave that DingTalk's HR recorded: it is asked for the last working day. Where it
/// knows none, the usual notice is assumed after a resignation, and a person is asked on that date; nobody is frozen on it. A recorded leave
/// then begins now, or asks a person, as the tenant's <c>LeaveWithoutDay</c> says.
/// </summary>
public sealed partial class ResignationDates(DingTalkClients clients, DingTalkOptions options, TimeProvider time, ILogger<ResignationDates> logger)
{
    /// <summary>DingTalk HR's word for somebody who has left.</summary>
    private const int HasLeft = 2;

    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMinutes(1);

    /// <summary>After this the date is assumed; HR's or DingTalk's next word corrects it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(6);

    /// <summary>A leave that is recorded may be today's: it does not wait long for a system that does not answer.</summary>
    private static readonly TimeSpan ShortPatience = TimeSpan.FromMinutes(5);

    /// <summary>The event with its date; or how long to wait before DingTalk is asked again.</summary>
    public async Task<(PersonEvent Event, TimeSpan? Wait)> DateAsync(PersonEvent personEvent, DateTimeOffset receivedAt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(personEvent);
        var tenant = options.Tenants[personEvent.Source["dingtalk/".Length..]];
        var agreedAt = personEvent.OccurredAt ?? receivedAt;
        var answer = await clients[tenant.Name].GetDismissionAsync(personEvent.DingTalkUserId!, cancellationToken);
        var isRecorded = personEvent.Kind == PersonEventKind.LeaveRecorded;
        if (isRecorded && answer is { IsOk: true, Value.Status: HasLeft })
        {
            return (personEvent with { Immediate = true }, null);
        }

        if (answer is { IsOk: true, Value: { LastWorkDay: { } lastWorkDay } known })
        {
            var lastDay = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(lastWorkDay, tenant.TimeZone).Date);
            return (personEvent with { EffectiveAt = BeginOf(lastDay.AddDays(1), tenant.TimeZone), Immediate = known.Status == HasLeft }, null);
        }

        if (answer.IsTransient && time.GetUtcNow() - receivedAt < (isRecorded ? ShortPatience : Patience))
        {
            return (personEvent, AskAgainAfter);
        }

        if (!answer.IsOk)
        {
            Log.NotTold(logger, tenant.Name, answer.Status, answer.Code);
        }

        if (isRecorded)
        {
            return (tenant.LeaveWithoutDay == LeaveWithoutDay.Freeze ? personEvent with { Immediate = true } : personEvent with { EffectiveAt = receivedAt, DateAssumed = true }, null);
        }

        return (personEvent with { EffectiveAt = agreedAt + tenant.ResignationNotice, DateAssumed = true }, null);
    }

    private static DateTimeOffset BeginOf(DateOnly day, TimeZoneInfo zone) => new Hosting.LocalDays { Zone = zone }.MomentOf(day).ToUniversalTime();

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "DingTalk tenant {Tenant} does not tell the last working day ({Status} {Code}); the usual notice is assumed, or the leave begins now.")]
        public static partial void NotTold(ILogger logger, string tenant, RemoteStatus status, string? code);
    }
}
