using System.Security.Cryptography;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Intake;

namespace DingFlow.Alerts;

/// <summary>What kind of receiver a channel has.</summary>
public enum AlertChannelType
{
    /// <summary>An outgoing webhook after Standard Webhooks 1.0.0.</summary>
    Webhook,
}

/// <summary>Where alerts go besides the log (<c>Alerts:Channels:{name}</c>).</summary>
public sealed record AlertChannel
{
    /// <summary>Our name of it.</summary>
    public required string Name { get; init; }

    /// <summary>What kind of receiver it has.</summary>
    public required AlertChannelType Type { get; init; }

    /// <summary>The receiver: https, or the loopback. It may hold a token, so it is never logged.</summary>
    public required Uri Url { get; init; }

    /// <summary>The key that signs.</summary>
    public required ReadOnlyMemory<byte> Secret { get; init; }

    /// <summary>Changes when the receiver does: a channel that its receiver ended works again once it is configured anew.</summary>
    public string Fingerprint => Convert.ToHexStringLower(SHA256.HashData([.. Encoding.UTF8.GetBytes(Url.AbsoluteUri), .. Secret.Span]).AsSpan(0, 8));

    /// <summary>The name only: the record holds secrets.</summary>
    public override string ToString() => $"alert channel {Name}";
}

/// <summary>Settings of the alerts (<c>Alerts</c>).</summary>
public sealed record AlertOptions
{
    private const int MaxNameLength = 40;

    /// <summary>The channels.</summary>
    public IReadOnlyList<AlertChannel> Channels { get; init; } = [];

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static AlertOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Alerts", faults);
        var channels = new List<AlertChannel>();
        foreach (var name in reader.Children("Channels"))
        {
            if (ReadChannel(name, reader.Section($"Channels:{name}")) is { } channel)
            {
                channels.Add(channel);
            }
        }

        return new AlertOptions { Channels = channels };
    }

    private static AlertChannel? ReadChannel(string name, SettingsReader reader)
    {
        if (name.Length > MaxNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("Type", "the channel's name must be at most 40 letters, digits, '-' or '_'");
        }

        reader.Required("Type");
        var type = reader.Choice("Type", AlertChannelType.Webhook);
        var url = reader.Required("Url").Length > 0 ? reader.Address("Url") : null;
        if (url is { UserInfo.Length: > 0 })
        {
            reader.Fault("Url", "must not hold a user name or password");
        }

        var secretText = reader.Required("Secret");
        var secret = secretText.Length > 0 ? StandardWebhooks.DecodeSecret(secretText) : null;
        if (secretText.Length > 0 && secret is null)
        {
            reader.Fault("Secret", StandardWebhooks.SecretRule);
        }

        return url is null || secret is null ? null : new AlertChannel { Name = name.ToLowerInvariant(), Type = type, Url = url, Secret = secret };
    }
}
