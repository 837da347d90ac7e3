using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary><c>GET alerts?state=&amp;type=&amp;exporter=&amp;language=&amp;limit=&amp;next=</c>: alerts, the newest first.</summary>
public sealed class ListAlerts(AlertStore alerts) : IHttpFunction
{
    private const int DefaultPage = 50;
    private const int LargestPage = 200;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var query = context.Request.Query;
        if (await context.QueryWordAsync<AlertState>("state") is not { IsRead: true, Value: var state }
            || await context.PageLimitAsync(DefaultPage, LargestPage) is not { } limit
            || await context.PageStartAsync(static parts => parts is [var row] && IsRow(row) ? row : null) is not { IsRead: true, Value: var after }
            || await AlertAccess.LanguageAsync(context) is not { } language)
        {
            return;
        }

        await context.RecordReadAsync(AlertAudit.Read);
        var (type, exporter) = (query["type"].ToString(), query["exporter"].ToString());
        var page = await alerts.ListAsync(
            alert => context.MaySee(alert)
                && (state is null || alert.State == state)
                && (type.Length == 0 || alert.Alert.Type.StartsWith(type, StringComparison.Ordinal))
                && (exporter.Length == 0 || exporter.Equals(AlertAccess.ExporterOf(alert), StringComparison.OrdinalIgnoreCase)),
            limit, after, context.RequestAborted);
        await context.WriteJsonAsync(
            new AlertListView([.. page.Alerts.Select(alert => AlertView.Of(alert, language))], page.Next is null ? null : Paging.Next(page.Next)),
            AlertViewJson.Default.AlertListView);
    }

    private static bool IsRow(string text) =>
        text.StartsWith("t|", StringComparison.Ordinal) && text.All(static c => char.IsAsciiLetterOrDigit(c) || c == '|');
}

/// <summary><c>GET alerts/{id}</c>: one alert, and how far it has come on each channel.</summary>
public sealed class GetAlert(AlertStore alerts, IEntityStore store) : IHttpFunction
{
    private readonly AlertNotices _notices = new(store);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await AlertAccess.LanguageAsync(context) is not { } language || await context.AlertAsync(alerts) is not { } alert)
        {
            return;
        }

        await context.RecordReadAsync(AlertAudit.Read, new("alert", alert.Key));
        var notices = await _notices.OfAlertAsync(alert.Key, alerts, context.RequestAborted);
        await context.WriteJsonAsync(
            AlertView.Of(alert, language) with
            {
                Deliveries = [.. notices.Select(static notice => new AlertDeliveryView(notice.Channel, notice.State, notice.Attempts, notice.NextAt, notice.Alerts.Count))],
            },
            AlertViewJson.Default.AlertView);
    }
}

/// <summary><c>POST alerts/{id}/acknowledge</c>: a person takes note; the alert is not told again. The first acknowledgement stands.</summary>
public sealed class AcknowledgeAlert(AlertStore alerts, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        AlertAcknowledgement? request = new(null);
        if (context.Request.ContentLength is not 0 && context.Request.ContentType is not null
            && (request = await context.ReadJsonAsync(AlertViewJson.Default.AlertAcknowledgement, MaximumBody)) is null)
        {
            return;
        }

        if (request.Reason is { Length: > 500 })
        {
            await context.ProblemAsync(ProblemCode.Malformed, "reason may have 500 characters.");
            return;
        }

        if (await context.AlertAsync(alerts) is not { } found)
        {
            return;
        }

        var action = new AlertAction(time.GetUtcNow(), context.Principal()!, request.Reason?.Trim());
        var updated = await alerts.UpdateAsync(
            found.Key,
            alert => alert.State switch
            {
                AlertState.Open => alert with { State = AlertState.Acknowledged, Acknowledged = action },
                AlertState.Acknowledged => alert,
                _ => null,
            },
            context.RequestAborted);
        await (updated is null
            ? context.ProblemAsync(ProblemCode.Conflict, "The alert is over.")
            : context.WriteJsonAsync(AlertView.Of(updated, AlertLanguage.English), AlertViewJson.Default.AlertView));
    }
}

/// <summary><c>POST alerts/{id}/silence</c>: the alert is not told until a moment; after that it is, unless somebody acknowledged it.</summary>
public sealed class SilenceAlert(AlertStore alerts, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;
    private static readonly TimeSpan Longest = TimeSpan.FromDays(90);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(AlertViewJson.Default.AlertSilence, MaximumBody) is not { } request)
        {
            return;
        }

        var now = time.GetUtcNow();
        if (request.Until is not { } until || until <= now || until > now + Longest)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "until must be a moment within the next 90 days.");
            return;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= 500 } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
            return;
        }

        if (await context.AlertAsync(alerts) is not { } found)
        {
            return;
        }

        var action = new AlertAction(now, context.Principal()!, reason);
        var updated = await alerts.UpdateAsync(
            found.Key, alert => alert.State == AlertState.Open ? alert with { Silenced = action, SilencedUntil = until.ToUniversalTime() } : null,
            context.RequestAborted);
        await (updated is null
            ? context.ProblemAsync(ProblemCode.Conflict, "The alert is acknowledged or over.")
            : context.WriteJsonAsync(AlertView.Of(updated, AlertLanguage.English), AlertViewJson.Default.AlertView));
    }
}

/// <summary>Which alerts a caller may see.</summary>
internal static class AlertAccess
{
    private const int KeyLength = 32;

    /// <summary>The exporter that an alert is about.</summary>
    public static string? ExporterOf(StoredAlert alert) => alert.Alert.Details.GetValueOrDefault("exporter");

    /// <summary>A key that is confined to exporters sees the alerts about them and no others.</summary>
    public static bool MaySee(this HttpContext context, StoredAlert alert) => context.MayUseExporter(ExporterOf(alert) ?? "");

    /// <summary>The alert of the address; otherwise 404 is answered, also for one that the caller may not see.</summary>
    public static async Task<StoredAlert?> AlertAsync(this HttpContext context, AlertStore alerts)
    {
        var id = context.Request.RouteValues["id"] as string ?? "";
        if (id.Length == KeyLength && id.All(char.IsAsciiHexDigitLower)
            && await alerts.FindAsync(id, context.RequestAborted) is { } alert && context.MaySee(alert))
        {
            return alert;
        }

        await context.ProblemAsync(ProblemCode.NotFound, "There is no such alert.");
        return null;
    }

    /// <summary>The language that is asked for (<c>?language=</c>), English unless one is; otherwise 400 is answered.</summary>
    public static async Task<AlertLanguage?> LanguageAsync(HttpContext context)
    {
        var tag = context.Request.Query["language"].ToString();
        if (tag.Length == 0)
        {
            return AlertLanguage.English;
        }

        if (AlertLanguages.TryParse(tag, out var language))
        {
            return language;
        }

        await context.ProblemAsync(ProblemCode.Malformed, $"language must be one of {string.Join(", ", AlertLanguages.All.Select(static known => known.Tag()))}.");
        return null;
    }
}

/// <summary>An alert as the API shows it.</summary>
internal sealed record AlertView
{
    public required string Id { get; init; }

    public required string AlertId { get; init; }

    public required string Type { get; init; }

    public required AlertSeverity Severity { get; init; }

    public required AlertState State { get; init; }

    public required DateTimeOffset OccurredAt { get; init; }

    public required string Summary { get; init; }

    public required AlertText Text { get; init; }

    public string? About { get; init; }

    public string? Exporter { get; init; }

    public required IReadOnlyDictionary<string, string> Details { get; init; }

    public required int Occurrence { get; init; }

    public required DateTimeOffset ToldAt { get; init; }

    public AlertAction? Acknowledged { get; init; }

    public AlertAction? Silenced { get; init; }

    public DateTimeOffset? SilencedUntil { get; init; }

    public DateTimeOffset? ResolvedAt { get; init; }

    /// <summary>The documents that go with it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<AlertDocument>? Documents { get; init; }

    /// <summary>Only for one alert.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<AlertDeliveryView>? Deliveries { get; init; }

    public static AlertView Of(StoredAlert stored, AlertLanguage language) => new()
    {
        Id = stored.Key,
        AlertId = stored.Alert.AlertId,
        Type = stored.Alert.Type,
        Severity = stored.Alert.Severity,
        State = stored.State,
        OccurredAt = stored.Alert.OccurredAt,
        Summary = stored.Alert.Summary,
        Text = AlertTexts.Default.Render(stored.Alert, language),
        About = stored.Alert.About,
        Exporter = AlertAccess.ExporterOf(stored),
        Details = stored.Alert.Details,
        Documents = stored.Alert.Documents.Count == 0 ? null : stored.Alert.Documents,
        Occurrence = stored.Occurrence,
        ToldAt = stored.ToldAt,
        Acknowledged = stored.Acknowledged,
        Silenced = stored.Silenced,
        SilencedUntil = stored.SilencedUntil,
        ResolvedAt = stored.ResolvedAt,
    };
}

/// <summary>How far an alert has come on a channel.</summary>
internal sealed record AlertDeliveryView(string Channel, NoticeState State, int Attempts, DateTimeOffset? NextAt, int AlertsInMessage);

/// <summary>A page of alerts.</summary>
internal sealed record AlertListView(IReadOnlyList<AlertView> Items, string? Next);

/// <summary>The body of an acknowledgement.</summary>
internal sealed record AlertAcknowledgement(string? Reason);

/// <summary>The body of a silence.</summary>
internal sealed record AlertSilence(DateTimeOffset? Until, string? Reason);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    Converters = [typeof(WordConverter<AlertSeverity>), typeof(WordConverter<AlertState>), typeof(WordConverter<NoticeState>)])]
[JsonSerializable(typeof(AlertView))]
[JsonSerializable(typeof(AlertListView))]
[JsonSerializable(typeof(AlertAcknowledgement))]
[JsonSerializable(typeof(AlertSilence))]
internal sealed partial class AlertViewJson : JsonSerializerContext;
