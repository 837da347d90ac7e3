using System.Globalization;
using System.Net.Mail;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Alerts;

/// <summary>Settings of the alerts (<c>Alerts</c>).</summary>
public sealed record AlertOptions
{
    /// <summary>When thresholds are looked at unless <c>Alerts:Interval</c> says otherwise: every five minutes.</summary>
    public const string DefaultInterval = "0 */5 * * * *";

    private const int MaxNameLength = 40;
    private const int MaxUsers = 100;
    private const int MaxDepartments = 20;
    private const int MaxMailReceivers = 50;
    private const int MaxWebhookDocumentBytes = 8 * 1024 * 1024;
    private static readonly int[] DefaultLevels = [50, 80, 90, 95, 100];
    private static readonly TimeSpan PeopleGroupWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestGroupWait = TimeSpan.FromHours(1);

    /// <summary>The channels.</summary>
    public IReadOnlyList<AlertChannel> Channels { get; init; } = [];

    /// <summary><c>Alerts:Levels</c>: percentages of a limit at which people are warned, ascending; 100 is always among them.</summary>
    public IReadOnlyList<int> Levels { get; init; } = DefaultLevels;

    /// <summary><c>Alerts:Hysteresis</c>: percentage points by which a corrected count must fall below a level before it is armed again.</summary>
    public int Hysteresis { get; init; } = 5;

    /// <summary><c>Alerts:FilingLeadDays</c>: working days that a filing takes from its beginning.</summary>
    public int FilingLeadDays { get; init; } = 80;

    /// <summary>
    /// <c>Alerts:CertificationLeadDays</c>: working days before the end of a certificate from which people are told; that its renewal is asked for
    /// six months before is from memory.
    /// </summary>
    public int CertificationLeadDays { get; init; } = 120;

    /// <summary><c>Alerts:ContractLeadDays</c>: the same for contracts, for which the law names no time.</summary>
    public int ContractLeadDays { get; init; } = 60;

    /// <summary><c>Alerts:ReviewLeadDays</c>: working days before the next review of an impact assessment from which people are told.</summary>
    public int ReviewLeadDays { get; init; } = 20;

    /// <summary><c>Alerts:Repeat</c>: after this time an alert that nobody acknowledged is told again.</summary>
    public TimeSpan Repeat { get; init; } = TimeSpan.FromHours(24);

    /// <summary><c>Alerts:RetentionDays</c>: how long an alert is kept once it is acknowledged or over.</summary>
    public int RetentionDays { get; init; } = 1100;

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static AlertOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Alerts", faults);
        var channels = new List<AlertChannel>();
        foreach (var name in reader.Children("Channels"))
        {
            if (ReadChannel(name, reader.Section($"Channels:{name}"), configuration) is { } channel)
            {
                channels.Add(channel);
            }
        }

        return new AlertOptions
        {
            Channels = channels,
            Levels = ReadLevels(reader),
            Hysteresis = reader.Number("Hysteresis", 5, 0, 50),
            FilingLeadDays = reader.Number("FilingLeadDays", 80, 0, 250),
            CertificationLeadDays = reader.Number("CertificationLeadDays", 120, 0, 500),
            ContractLeadDays = reader.Number("ContractLeadDays", 60, 0, 500),
            ReviewLeadDays = reader.Number("ReviewLeadDays", 20, 0, 250),
            Repeat = reader.Duration("Repeat", TimeSpan.FromHours(24)),
            RetentionDays = reader.Number("RetentionDays", 1100, 30, 36500),
        };
    }

    private static int[] ReadLevels(SettingsReader reader)
    {
        var levels = new SortedSet<int> { 100 };
        foreach (var text in reader.List("Levels"))
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var level) && level is >= 1 and <= 100)
            {
                levels.Add(level);
            }
            else
            {
                reader.Fault("Levels", "must be whole percentages from 1 to 100");
            }
        }

        return levels.Count == 1 && reader.List("Levels").Count == 0 ? DefaultLevels : [.. levels];
    }

    private static AlertChannel? ReadChannel(string name, SettingsReader reader, IConfiguration configuration)
    {
        if (name.Length > MaxNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("Type", "the channel's name must be at most 40 letters, digits, '-' or '_'");
        }

        reader.Required("Type");
        var type = reader.Choice("Type", AlertChannelType.Webhook);
        AlertChannel? channel = type switch
        {
            AlertChannelType.Robot => ReadRobot(name, reader),
            AlertChannelType.WorkNotice => ReadWorkNotice(name, reader, configuration),
            AlertChannelType.Mail => ReadMail(name, reader, configuration),
            _ => ReadWebhook(name, reader),
        };
        var wait = reader.Text("GroupWait") == "00:00:00"
            ? TimeSpan.Zero
            : reader.Duration("GroupWait", type == AlertChannelType.Webhook ? TimeSpan.Zero : PeopleGroupWait);
        if (wait > LongestGroupWait)
        {
            reader.Fault("GroupWait", "must be at most an hour");
        }

        var severity = reader.Choice("Severity", AlertSeverity.Information);
        var language = AlertLanguage.English;
        if (reader.Text("Language") is { } tag && !AlertLanguages.TryParse(tag, out language))
        {
            reader.Fault("Language", $"must be one of {string.Join(", ", AlertLanguages.All.Select(static known => known.Tag()))}");
        }

        var areas = reader.List("Areas");
        var known = AlertTexts.Areas;
        foreach (var area in areas.Where(area => !known.Contains(area)))
        {
            reader.Fault("Areas", $"{area} is none of {string.Join(", ", known.Order(StringComparer.Ordinal))}");
        }

        return channel is null ? null : channel with { Severity = severity, Language = language, GroupWait = wait, Areas = areas };
    }

    private static WebhookChannel? ReadWebhook(string name, SettingsReader reader)
    {
        var url = reader.Required("Url").Length > 0 ? reader.Address("Url") : null;
        CheckAddress(reader, url);
        var secretText = reader.Required("Secret");
        var secret = secretText.Length > 0 ? StandardWebhooks.DecodeSecret(secretText) : null;
        if (secretText.Length > 0 && secret is null)
        {
            reader.Fault("Secret", StandardWebhooks.SecretRule);
        }

        var documents = reader.Number("DocumentBytes", WebhookChannel.DefaultDocumentBytes, 0, MaxWebhookDocumentBytes);
        return url is null || secret is null ? null : new() { Name = name.ToLowerInvariant(), Url = url, Secret = secret, DocumentBytes = documents };
    }

    private static RobotChannel? ReadRobot(string name, SettingsReader reader)
    {
        var url = reader.IsSet("Url") ? reader.Address("Url") : RobotChannel.DefaultUrl;
        CheckAddress(reader, url);
        if (url is { Query.Length: > 0 })
        {
            reader.Fault("Url", "must not hold a query: the robot's token is AccessToken");
        }

        var (token, secret) = (reader.Required("AccessToken"), reader.Required("Secret"));
        if (secret.Length > 0 && !secret.StartsWith("SEC", StringComparison.Ordinal))
        {
            reader.Fault("Secret", "must be the robot's SEC… secret; switch on the guard \"signature\"");
        }

        return url is null || token.Length == 0 || secret.Length == 0
            ? null
            : new() { Name = name.ToLowerInvariant(), Url = url, AccessToken = token, Secret = secret, IdField = ReadIdField(reader) };
    }

    private static string? ReadIdField(SettingsReader reader)
    {
        var field = reader.Text("IdField") ?? RobotChannel.DefaultIdField;
        if (!field.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_') || field is "msgtype" or "markdown" or "at")
        {
            reader.Fault("IdField", "must be the name of a property of letters, digits and '_', or none");
        }

        return field.Equals("none", StringComparison.OrdinalIgnoreCase) ? null : field;
    }

    private static WorkNoticeChannel? ReadWorkNotice(string name, SettingsReader reader, IConfiguration configuration)
    {
        var tenant = reader.Required("Tenant");
        if (tenant.Length > 0 && !configuration.GetSection($"DingTalk:Tenants:{tenant}").Exists())
        {
            reader.Fault("Tenant", "is none of DingTalk:Tenants");
        }

        var agent = reader.Required("AgentId");
        if (agent.Length > 0 && !long.TryParse(agent, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            reader.Fault("AgentId", "must be the app's number");
            agent = "";
        }

        var (users, departments) = (reader.List("UserIds"), new List<long>());
        foreach (var text in reader.List("DepartmentIds"))
        {
            if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var department))
            {
                departments.Add(department);
            }
            else
            {
                reader.Fault("DepartmentIds", "must be numbers");
            }
        }

        if (users.Count == 0 && departments.Count == 0)
        {
            reader.Fault("UserIds", "is missing, and so is DepartmentIds");
        }

        if (users.Count > MaxUsers || departments.Count > MaxDepartments)
        {
            reader.Fault(users.Count > MaxUsers ? "UserIds" : "DepartmentIds", "are more than DingTalk takes at once (100 users, 20 departments)");
        }

        return tenant.Length == 0 || agent.Length == 0
            ? null
            : new()
            {
                Name = name.ToLowerInvariant(), Tenant = tenant, AgentId = long.Parse(agent, CultureInfo.InvariantCulture), UserIds = users,
                DepartmentIds = departments,
            };
    }

    private static MailChannel? ReadMail(string name, SettingsReader reader, IConfiguration configuration)
    {
        if (string.IsNullOrWhiteSpace(configuration["Entra:TenantId"]))
        {
            reader.Fault("Type", "mail goes through Microsoft Graph, and Entra:TenantId is missing");
        }

        var (from, to) = (reader.Required("From"), reader.List("To"));
        if (to.Count == 0)
        {
            reader.Fault("To", "is missing");
        }

        if (to.Count > MaxMailReceivers || to.Any(static address => !MailAddress.TryCreate(address, out _)))
        {
            reader.Fault("To", "must be at most 50 e-mail addresses");
        }

        var documents = reader.Number("DocumentBytes", MailChannel.MaximumDocumentBytes, 0, MailChannel.MaximumDocumentBytes);
        return from.Length == 0
            ? null
            : new() { Name = name.ToLowerInvariant(), From = from, To = to, SendOnly = reader.Boolean("SendOnly", false), DocumentBytes = documents };
    }

    private static void CheckAddress(SettingsReader reader, Uri? url)
    {
        if (url is { UserInfo.Length: > 0 })
        {
            reader.Fault("Url", "must not hold a user name or password");
        }
    }
}
