using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.DingTalk;
using DingFlow.Remote;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Alerts;

/// <summary>
/// Sends to custom robots of DingTalk groups: signed, with an id (<see cref="RobotChannel.IdField"/>) that stays the same with every attempt so that
/// DingTalk recognises a repetition. Source: "Custom robot" of the DingTalk Open Platform.
/// </summary>
public sealed class AlertRobot(TimeProvider timeProvider) : IAlertChannelSender, IDisposable
{
    /// <summary>Too many messages within a minute: DingTalk takes none for ten minutes.</summary>
    private const string TooFast = "410100";

    /// <summary>There is no such robot, or its group is gone.</summary>
    private static readonly string[] GoneCodes = ["400101", "400013"];

    private const int TextBytes = 8 * 1024;
    private static readonly TimeSpan Ban = TimeSpan.FromMinutes(10);

    private readonly Lazy<HttpClient> _client = new(static () => RemoteHttp.CreateClient());

    /// <inheritdoc/>
    public AlertChannelType Type => AlertChannelType.Robot;

    /// <inheritdoc/>
    public bool Serves(AlertChannel channel) => channel is RobotChannel;

    /// <inheritdoc/>
    public Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(notice);
        return AlertHttp.AttemptAsync(
            _client.Value, () => CreateRequest((RobotChannel)channel, notice), async response =>
                Judge(DingTalkErrors.Read(response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken))),
            HttpCompletionOption.ResponseHeadersRead, timeProvider, cancellationToken);
    }

    /// <summary>The signature: HMAC-SHA-256 under the secret over <c>timestamp\nsecret</c>, in base64.</summary>
    public static string Sign(string secret, long timestamp) => Convert.ToBase64String(HMACSHA256.HashData(
        Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{timestamp}\n{secret}"))));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_client.IsValueCreated)
        {
            _client.Value.Dispose();
        }
    }

    private HttpRequestMessage CreateRequest(RobotChannel channel, AlertNotice notice)
    {
        var text = AlertWording.Of(notice, channel.Language);
        var timestamp = timeProvider.GetUtcNow().ToUnixTimeMilliseconds();
        var body = new JObject
        {
            ["msgtype"] = "markdown",
            ["markdown"] = new JObject { ["title"] = AlertWording.Title(text), ["text"] = AlertWording.Markdown(text, TextBytes) },
        };
        if (channel.IdField is { } field)
        {
            // With the channel's name: two channels of one robot say the same in two languages.
            body[field] = $"{notice.Id}.{channel.Name}";
        }

        var query = string.Create(
            CultureInfo.InvariantCulture,
            $"?access_token={Uri.EscapeDataString(channel.AccessToken)}&timestamp={timestamp}&sign={Uri.EscapeDataString(Sign(channel.Secret, timestamp))}");
        return new(HttpMethod.Post, new Uri(channel.Url.AbsoluteUri + query))
        {
            Content = new StringContent(body.ToString(Formatting.None), Encoding.UTF8, "application/json"),
        };
    }

    private static AlertAttempt Judge(DingTalkAnswer answer)
    {
        var result = answer.Result;
        return result.IsOk ? new(AlertAttemptOutcome.Delivered, "ok")
            : GoneCodes.Contains(result.Code) ? new(AlertAttemptOutcome.Gone, $"{result.Code}")
            : new(AlertAttemptOutcome.Failed, $"{result.Status} {result.Code}", result.Code == TooFast ? Ban : result.RetryAfter);
    }
}
