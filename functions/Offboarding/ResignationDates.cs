using DingFlow.DingTalk;
using DingFlow.Messaging;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>
/// An agreed resignation names no day: DingTalk's HR is asked for the last working day. Where it knows none, the usual notice is assumed,
/// and a person is asked on that date; nobody is frozen on it.
/// </summary>
public sealed partial class ResignationDates(DingTalkClients clients, DingTalkOptions options, TimeProvider time, ILogger<ResignationDates> logger)
{
    /// <summary>DingTalk HR's word for somebody who has left.</summary>
    private const int HasLeft = 2;

    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMinutes(1);

    /// <summary>After this the date is assumed; HR's or DingTalk's next word corrects it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(6);

    /// <summary>The event with its date; or how long to wait before DingTalk is asked again.</summary>
    public async Task<(PersonEvent Event, TimeSpan? Wait)> DateAsync(PersonEvent personEvent, DateTimeOffset receivedAt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(personEvent);
        var tenant = options.Tenants[personEvent.Source["dingtalk/".Length..]];
        var agreedAt = personEvent.OccurredAt ?? receivedAt;
        var answer = await clients[tenant.Name].GetDismissionAsync(personEvent.DingTalkUserId!, cancellationToken);
        if (answer is { IsOk: true, Value: { LastWorkDay: { } lastWorkDay } known })
        {
            var lastDay = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(lastWorkDay, tenant.TimeZone).Date);
            return (personEvent with { EffectiveAt = BeginOf(lastDay.AddDays(1), tenant.TimeZone), Immediate = known.Status == HasLeft }, null);
        }

        if (answer.IsTransient && time.GetUtcNow() - receivedAt < Patience)
        {
            return (personEvent, AskAgainAfter);
        }

        if (!answer.IsOk)
        {
            Log.NotTold(logger, tenant.Name, answer.Status, answer.Code);
        }

        return (personEvent with { EffectiveAt = agreedAt + tenant.ResignationNotice, DateAssumed = true }, null);
    }

    private static DateTimeOffset BeginOf(DateOnly day, TimeZoneInfo zone) => new Hosting.LocalDays { Zone = zone }.MomentOf(day).ToUniversalTime();

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "DingTalk tenant {Tenant} does not tell the last working day ({Status} {Code}); the usual notice is assumed.")]
        public static partial void NotTold(ILogger logger, string tenant, RemoteStatus status, string? code);
    }
}
