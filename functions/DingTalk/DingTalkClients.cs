using System.Collections.Frozen;

namespace DingFlow.DingTalk;

/// <summary>One client per configured tenant.</summary>
public sealed class DingTalkClients
{
    private readonly FrozenDictionary<string, DingTalkClient> _clients;

    /// <summary>Creates the clients; nothing is opened before the first call.</summary>
    public DingTalkClients(DingTalkOptions options, TimeProvider time, ILogger<DingTalkClient> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        var bans = new DingTalkBans(time);
        _clients = options.Tenants.Values.ToFrozenDictionary(
            static tenant => tenant.Name,
            tenant => new DingTalkClient(tenant, new DingTalkTransport(tenant, bans, time, logger)),
            StringComparer.OrdinalIgnoreCase);
        Tenants = [.. options.Tenants.Values.Select(static tenant => tenant.Name).Order(StringComparer.Ordinal)];
    }

    /// <summary>The client of a tenant, whose name may be in any case.</summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public DingTalkClient this[string tenant] => _clients[tenant];

    /// <summary>The names of all tenants.</summary>
    public IReadOnlyList<string> Tenants { get; }
}
