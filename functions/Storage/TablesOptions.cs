using DingFlow.Settings;

namespace DingFlow.Storage;

/// <summary>Where the tables are: by identity (<c>Storage:TableServiceUri</c>) or by connection string (<c>Storage:ConnectionString</c>).</summary>
public sealed record TablesOptions
{
    /// <summary>The address of the table service, reached with the identity of <see cref="Remote.AzureCredentials"/>.</summary>
    public Uri? ServiceUri { get; init; }

    /// <summary>A connection string, for Azurite and for accounts that still allow keys.</summary>
    public string? ConnectionString { get; init; }

    /// <summary>Transactions that <see cref="IEntityStore.SubmitManyAsync"/> has under way at once (<c>Storage:Parallelism</c>).</summary>
    public int Parallelism { get; init; } = 16;

    /// <summary>How long one attempt may take (<c>Storage:AttemptTimeout</c>).</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Reads the section <c>Storage</c>.</summary>
    public static TablesOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Storage", faults);
        var defaults = new TablesOptions();
        var options = new TablesOptions
        {
            ServiceUri = reader.Address("TableServiceUri"),
            ConnectionString = reader.Text("ConnectionString"),
            Parallelism = reader.Number("Parallelism", defaults.Parallelism, 1, 256),
            AttemptTimeout = reader.Duration("AttemptTimeout", defaults.AttemptTimeout),
        };
        var addressGiven = !string.IsNullOrWhiteSpace(configuration["Storage:TableServiceUri"]);
        var stringGiven = !string.IsNullOrWhiteSpace(configuration["Storage:ConnectionString"]);
        if (!addressGiven && !stringGiven)
        {
            reader.Fault("TableServiceUri", "is missing (or give Storage:ConnectionString)");
        }
        else if (addressGiven && stringGiven)
        {
            reader.Fault("ConnectionString", "must not be set together with Storage:TableServiceUri");
        }
        else if (options.ConnectionString is { } text && !IsConnectionString(text))
        {
            reader.Fault("ConnectionString", "must be a connection string of a storage account, or UseDevelopmentStorage=true");
        }
        else if (options.ServiceUri is { Scheme: "http" })
        {
            reader.Fault("TableServiceUri", "must be https, because a token goes there; for an emulator give Storage:ConnectionString");
        }

        return options;
    }

    /// <summary>Whether the SDK would take it, asked without loading the SDK.</summary>
    private static bool IsConnectionString(string text)
    {
        var parts = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var part in text.Split(';', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !parts.TryAdd(part[..equals].Trim(), part[(equals + 1)..].Trim()))
            {
                return false;
            }
        }

        return parts.ContainsKey("UseDevelopmentStorage")
            || parts.ContainsKey("SharedAccessSignature")
            || (parts.ContainsKey("AccountName") && parts.TryGetValue("AccountKey", out var key)
                && Convert.TryFromBase64String(key, new byte[key.Length], out _));
    }
}
