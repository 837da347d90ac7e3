using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Audit;

/// <summary>Where files go: a folder or a blob container.</summary>
/// <param name="Directory">A folder.</param>
/// <param name="ContainerUri">A blob container, reached with the identity of <see cref="Remote.AzureCredentials"/>.</param>
/// <param name="ConnectionString">For an emulator: the storage account of <see cref="ContainerUri"/>'s container by connection string.</param>
public sealed record AuditFileStore(string? Directory, Uri? ContainerUri, string? ConnectionString)
{
    /// <summary>Nowhere.</summary>
    public bool IsNone => Directory is null && ContainerUri is null;
}

/// <summary>Settings of the audit trail (<c>Audit</c>).</summary>
public sealed record AuditOptions
{
    private const string RetentionSection = "Retention";

    /// <summary>How long operational content is kept (<c>Audit:Retention:Operational</c>); the Cybersecurity Law, article 23, wants six months.</summary>
    public TimeSpan Operational { get; init; } = TimeSpan.FromDays(180);

    /// <summary>How long legal content is kept (<c>Audit:Retention:Legal</c>); PIPL article 56 wants three years.</summary>
    public TimeSpan Legal { get; init; } = TimeSpan.FromDays(1096);

    /// <summary>How long the content of single kinds is kept (<c>Audit:Retention:Kinds:{kind}</c>), never less than its class says.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Kinds { get; init; } = new Dictionary<string, TimeSpan>();

    /// <summary>Where sealed days are archived (<c>Audit:Archive</c>); the data directory's <c>audit</c> when standalone.</summary>
    public AuditFileStore Archive { get; init; } = new(null, null, null);

    /// <summary>Where the roots of days are anchored (<c>Audit:Anchor</c>): a place that the writer of the trail cannot change afterwards.</summary>
    public AuditFileStore Anchor { get; init; } = new(null, null, null);

    /// <summary>A time stamping authority after RFC 3161 (<c>Audit:Anchor:TimestampUrl</c>).</summary>
    public Uri? TimestampUrl { get; init; }

    /// <summary>Where people reach the management routes (<c>Audit:PublicUrl</c>): alerts then lead to the report on permissions.</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>How long the content of an entry is kept.</summary>
    public TimeSpan RetentionOf(string kind, AuditRetention retention)
    {
        var ofClass = retention == AuditRetention.Legal ? Legal : Operational;
        return Kinds.TryGetValue(kind, out var ofKind) && ofKind > ofClass ? ofKind : ofClass;
    }

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static AuditOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Audit", faults);
        var defaults = new AuditOptions();
        var standalone = HostingOptions.ModeOf(configuration) == HostMode.Standalone;
        var retention = reader.Section(RetentionSection);
        var options = defaults with
        {
            Operational = retention.Duration("Operational", defaults.Operational),
            Legal = retention.Duration("Legal", defaults.Legal),
            Kinds = ReadKinds(retention),
            Archive = ReadStore(reader.Section("Archive"), standalone ? Path.Combine(HostingOptions.DataDirectoryOf(configuration), "audit") : null),
            Anchor = ReadStore(reader.Section("Anchor"), null),
            PublicUrl = reader.Address("PublicUrl"),
            TimestampUrl = reader.Section("Anchor").Address("TimestampUrl"),
        };
        if (options.Operational < TimeSpan.FromDays(180))
        {
            retention.Fault("Operational", "must be at least 180.00:00:00, the six months of the Cybersecurity Law, article 23");
        }

        if (options.Legal < TimeSpan.FromDays(1096))
        {
            retention.Fault("Legal", "must be at least 1096.00:00:00, the three years of the Personal Information Protection Law, article 56");
        }

        return options;
    }

    private static Dictionary<string, TimeSpan> ReadKinds(SettingsReader retention)
    {
        var kinds = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        foreach (var kind in retention.Children("Kinds"))
        {
            if (!AuditKind.IsValid(kind))
            {
                retention.Fault($"Kinds:{kind}", "is not the name of a kind");
                continue;
            }

            kinds[kind] = retention.Section("Kinds").Duration(kind, TimeSpan.FromDays(1));
        }

        return kinds;
    }

    private static AuditFileStore ReadStore(SettingsReader reader, string? defaultDirectory)
    {
        var (directory, container) = (reader.Text("Directory"), reader.Address("ContainerUri"));
        var connectionString = reader.Text("ConnectionString");
        if (directory is not null && container is not null)
        {
            reader.Fault("ContainerUri", "must not be set together with Directory");
        }

        if (container is { Scheme: "http" } && connectionString is null)
        {
            reader.Fault("ContainerUri", "must be https, because a token goes there; for an emulator give ConnectionString as well");
        }

        return new(directory ?? (container is null ? defaultDirectory : null), container, connectionString);
    }
}
