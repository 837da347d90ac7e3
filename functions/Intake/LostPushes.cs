using System.Globalization;
using System.Text;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Storage;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Intake;

/// <summary>
/// Fetches the pushes that DingTalk could not deliver, so that an outage of ours loses nothing: DingTalk tries a push again only twice.
/// Both generations of the list are read: the newer by time, again and again over the same span; the older gives each push once and
/// forgets it. A push that both show, or that came after all, has the same body here and is one delivery. Table <c>DingTalkPushes</c>.
/// </summary>
public sealed partial class LostPushes(
    DingTalkOptions options, DingTalkClients clients, IInbox inbox, IEntityStore store, IAlertSender alerts, TimeProvider time, ILogger<LostPushes> logger)
{
    /// <summary>Which key verified such a delivery: none, it was fetched with our own token.</summary>
    public const int Fetched = -1;

    private const string Table = "DingTalkPushes";
    private const string Row = "cursor";
    private const int MostPages = 200;

    /// <summary>A push shows up three to five minutes after its last try, 40 s after the event: look back well beyond that.</summary>
    private static readonly TimeSpan Overlap = TimeSpan.FromMinutes(30);

    /// <summary>How far back the first reading goes.</summary>
    private static readonly TimeSpan FirstReading = TimeSpan.FromDays(1);

    /// <summary>Neither list can be read for so long: people must know.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);

    /// <summary>Reads both lists of every tenant that pushes to us.</summary>
    public async Task ReadAsync(CancellationToken cancellationToken)
    {
        foreach (var tenant in options.Tenants.Values.Where(static t => t.Token is not null))
        {
            await ReadAsync(tenant, cancellationToken);
        }
    }

    private async Task ReadAsync(DingTalkTenant tenant, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var row = await store.GetAsync(Table, tenant.Name.ToLowerInvariant(), Row, cancellationToken)
            ?? new Entity(tenant.Name.ToLowerInvariant(), Row) { Properties = new() { ["ReadTo"] = now - FirstReading, ["HeardAt"] = now } };
        var readTo = row.Properties.Require<DateTimeOffset>("ReadTo");
        var tally = new Tally();

        // The list that forgets comes last: what it shows may be in the other one, too, if it is lost on the way here.
        var newer = await ReadNewerAsync(tenant, (readTo < now ? readTo : now) - Overlap, now, tally, cancellationToken);
        var older = await TakeOlderAsync(tenant, tally, cancellationToken);
        if (newer.IsOk || older.IsOk)
        {
            row.Properties["HeardAt"] = now;
        }

        if (newer.IsOk)
        {
            row.Properties["ReadTo"] = now;
        }

        // One timer runs at a time; should another have written meanwhile, the next reading goes over the same span once more.
        await store.SubmitAsync(
            EntityTransaction.Of(Table, row.ETag is null ? EntityOperation.Upsert(row) : EntityOperation.Replace(row)), cancellationToken);
        await TellAsync(tenant, tally, row.Properties.Require<DateTimeOffset>("HeardAt"), newer, older, cancellationToken);
    }

    private async Task<RemoteResult> ReadNewerAsync(
        DingTalkTenant tenant, DateTimeOffset from, DateTimeOffset to, Tally tally, CancellationToken cancellationToken)
    {
        for (var page = 0; page < MostPages; page++)
        {
            var read = await clients[tenant.Name].ReadFailedPushesAsync(from, to, cancellationToken);
            if (!read.IsOk)
            {
                return read;
            }

            await KeepAsync(tenant, read.Value!.Pushes, tally, cancellationToken);
            if (!read.Value.HasMore || read.Value.Pushes.Max(static p => p.EventTime) is not { } last)
            {
                return read;
            }

            // Several may have happened in the same millisecond, so it is read again; if it fills a page, it has to be left behind.
            if (last <= from)
            {
                tally.IsIncomplete = true;
                last = from.AddMilliseconds(1);
            }

            from = last;
        }

        tally.IsIncomplete = true;
        return new(RemoteStatus.Ok);
    }

    private async Task<RemoteResult> TakeOlderAsync(DingTalkTenant tenant, Tally tally, CancellationToken cancellationToken)
    {
        for (var page = 0; page < MostPages; page++)
        {
            var taken = await clients[tenant.Name].TakeFailedPushesAsync(cancellationToken);
            if (!taken.IsOk)
            {
                // The answer may have been lost on its way: DingTalk has then forgotten what it held.
                tally.MayHaveLost = taken.Status is RemoteStatus.Unavailable or RemoteStatus.Unexpected;
                return taken;
            }

            try
            {
                await KeepAsync(tenant, taken.Value!.Pushes, tally, cancellationToken);
            }
            catch (Exception exception) when (exception is EntityStoreException or MessageQueueException && taken.Value!.Pushes.Count > 0)
            {
                await TellGapAsync(tenant, taken.Value.Pushes.Min(static p => p.EventTime), CancellationToken.None);
                throw;
            }

            if (!taken.Value.HasMore)
            {
                return taken;
            }
        }

        return new(RemoteStatus.Ok);
    }

    private async Task KeepAsync(DingTalkTenant tenant, IReadOnlyList<DingTalkFailedPush> pushes, Tally tally, CancellationToken cancellationToken)
    {
        foreach (var push in pushes)
        {
            var body = BodyOf(push);
            var parsed = DingTalkCallbackEvent.Parse(body);
            if (parsed?.CorpId is { } corpId && corpId != tenant.CorpId)
            {
                Log.OtherOrganisation(logger, tenant.Name);
                continue;
            }

            var delivery = DingTalkDeliveries.Of(tenant, parsed ?? new() { Type = push.Tag, IsUnreadable = true, Time = push.EventTime }, body) with
            {
                SenderId = null, EventTime = push.EventTime, VerifiedBy = Fetched,
            };
            var receipt = await inbox.AcceptAsync(delivery, cancellationToken);
            if (receipt.Duplicate)
            {
                continue;
            }

            tally.Add(push, delivery.Events.Count);
            Log.Fetched(logger, receipt.DeliveryId, tenant.Name);
            if (parsed is null || parsed.IsUnreadable || push.Data is null)
            {
                await alerts.SendAsync(DingTalkDeliveries.Unreadable(delivery.Source, receipt.DeliveryId, time.GetUtcNow()), cancellationToken);
            }
        }
    }

    /// <summary>
    /// The push in the words of a callback. Both lists must give the same bytes for the same push, or it would be two deliveries: so its
    /// properties are sorted, their names in lower case and the organisation, which only one of them names, is left out.
    /// </summary>
    internal static ReadOnlyMemory<byte> BodyOf(DingTalkFailedPush push)
    {
        var json = new JObject { ["EventType"] = push.Tag };
        if (push.EventTime is { } at)
        {
            json["TimeStamp"] = at.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
        }

        foreach (var property in (push.Data?.Properties() ?? []).OrderBy(static p => p.Name.ToLowerInvariant(), StringComparer.Ordinal))
        {
            var name = property.Name.ToLowerInvariant();
            if (name is not ("corpid" or "eventtype" or "timestamp" or "eventtime" or "eventid"))
            {
                json[name] = property.Value;
            }
        }

        return Encoding.UTF8.GetBytes(json.ToString(Formatting.None));
    }

    private async Task TellAsync(
        DingTalkTenant tenant, Tally tally, DateTimeOffset heardAt, RemoteResult newer, RemoteResult older, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (tally.Count > 0)
        {
            await alerts.SendAsync(
                new()
                {
                    AlertId = string.Create(CultureInfo.InvariantCulture, $"intake.lost_pushes:{tenant.Name}:{tally.To.UtcTicks}:{tally.Count}"),
                    Type = "intake.lost_pushes",
                    Severity = tally.Leavers > 0 ? AlertSeverity.Warning : AlertSeverity.Information,
                    OccurredAt = now,
                    Summary = "DingTalk could not deliver pushes to this program; they were fetched and are being handled.",
                    About = $"dingtalk/{tenant.Name}",
                    Details = new Dictionary<string, string>
                    {
                        ["pushes"] = tally.Count.ToString(CultureInfo.InvariantCulture),
                        ["leavers"] = tally.Leavers.ToString(CultureInfo.InvariantCulture),
                        ["from"] = tally.From.ToString("O", CultureInfo.InvariantCulture),
                        ["to"] = tally.To.ToString("O", CultureInfo.InvariantCulture),
                    },
                },
                cancellationToken);
        }

        if (!newer.IsOk && !older.IsOk)
        {
            Log.NotRead(logger, tenant.Name, newer.Status, newer.Code, older.Status, older.Code);
        }

        // What the older list may have lost is in the newer one, if that could be read.
        if ((tally.MayHaveLost && !newer.IsOk) || tally.IsIncomplete || now - heardAt >= Patience)
        {
            await TellGapAsync(tenant, heardAt < now ? heardAt : now - Overlap, cancellationToken);
        }
    }

    private Task TellGapAsync(DingTalkTenant tenant, DateTimeOffset? since, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return alerts.SendAsync(
            new()
            {
                AlertId = string.Create(CultureInfo.InvariantCulture, $"intake.push_gap:{tenant.Name}:{now:yyyyMMddHH}"),
                Type = "intake.push_gap",
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = "Pushes of DingTalk may be lost: its list of failed pushes could not be read to its end. Reconcile.",
                About = $"dingtalk/{tenant.Name}",
                Details = new Dictionary<string, string> { ["since"] = (since ?? now).ToString("O", CultureInfo.InvariantCulture) },
            },
            cancellationToken);
    }

    /// <summary>What one reading of a tenant brought.</summary>
    private sealed class Tally
    {
        public int Count { get; private set; }

        public int Leavers { get; private set; }

        public DateTimeOffset From { get; private set; } = DateTimeOffset.MaxValue;

        public DateTimeOffset To { get; private set; } = DateTimeOffset.MinValue;

        public bool MayHaveLost { get; set; }

        public bool IsIncomplete { get; set; }

        public void Add(DingTalkFailedPush push, int events)
        {
            Count++;
            Leavers += events;
            From = push.EventTime < From ? push.EventTime.Value : From;
            To = push.EventTime > To ? push.EventTime.Value : To;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Delivery {DeliveryId} of DingTalk tenant {Tenant} was fetched from the list of failed pushes")]
        public static partial void Fetched(ILogger logger, string deliveryId, string tenant);

        [LoggerMessage(2, LogLevel.Error, "The failed pushes of DingTalk tenant {Tenant} cannot be read: newer list {Newer} {NewerCode}, older list {Older} {OlderCode}")]
        public static partial void NotRead(
            ILogger logger, string tenant, RemoteStatus newer, string? newerCode, RemoteStatus older, string? olderCode);

        [LoggerMessage(3, LogLevel.Warning, "A failed push of DingTalk tenant {Tenant} is about another organisation; it is left alone")]
        public static partial void OtherOrganisation(ILogger logger, string tenant);
    }
}

/// <summary>Every five minutes: fetches the pushes that DingTalk could not deliver.</summary>
public sealed class FetchLostPushes(LostPushes pushes) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => pushes.ReadAsync(cancellationToken);
}

/// <summary>What an event of DingTalk is as a delivery, whichever way it came.</summary>
internal static class DingTalkDeliveries
{
    /// <summary>The delivery of an event.</summary>
    public static InboxDelivery Of(DingTalkTenant tenant, DingTalkCallbackEvent callbackEvent, ReadOnlyMemory<byte> body)
    {
        var source = $"dingtalk/{tenant.Name}";
        return new()
        {
            Source = source,
            SenderId = callbackEvent.EventId,
            EventTime = callbackEvent.Time,
            Body = body,
            RoleChanges = [.. callbackEvent.RoleHolders.Select(userId => new ReportedRoleChange(callbackEvent.Type, tenant.Name, userId, callbackEvent.OperatorId)
            {
                AreGiven = callbackEvent.AreGiven,
                Permissions = callbackEvent.RoleIds.Count > 0 ? [.. callbackEvent.RoleIds.Select(PermissionEvents.RoleOf)] : [PermissionEvents.Administrator],
            })],
            Events = callbackEvent.IsUnreadable ? [] :
            [
                .. callbackEvent.Leavers.Select(userId => Event(callbackEvent.IsRecordedInHr ? PersonEventKind.LeaveRecorded : PersonEventKind.LeftOrganisation, userId)),
                .. callbackEvent.Resigned.Select(userId => Event(PersonEventKind.ResignationAgreed, userId)),
                .. (tenant.StoresAbroad || tenant.ArrivesAbroad ? callbackEvent.Arrivals : []).Select(userId => Event(PersonEventKind.SeenInOrganisation, userId)),
            ],
        };

        PersonEvent Event(PersonEventKind kind, string userId) => new()
        {
            Kind = kind, Source = source, DingTalkUserId = userId, Tenants = [tenant.Name], OccurredAt = callbackEvent.Time,
        };
    }

    /// <summary>It tells of leavers, and who they are cannot be read.</summary>
    public static AlertMessage Unreadable(string source, string deliveryId, DateTimeOffset now) => new()
    {
        AlertId = $"intake.unreadable_event:{deliveryId}",
        Type = "intake.unreadable_event",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"{source} reported leavers in a form that cannot be read; nobody was frozen. Look at the delivery.",
        About = source,
        Details = new Dictionary<string, string> { ["deliveryId"] = deliveryId },
    };
}
