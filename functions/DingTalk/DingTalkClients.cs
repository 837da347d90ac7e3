using System.Collections.Frozen;

namespace DingFlow.DingTalk;

/// <summary>One client per configured tenant.</summary>
public sealed class DingTalkClients
{
    private readonly FrozenDictionary<string, DingTalkClient> _clients;

    /// <summary>Creates the clients; nothing is opened before the first call.</summary>
    public DingTalkClients(DingTalkOptions options)
    {
        _clients = options.Tenants.Values.ToFrozenDictionary(
            static tenant => tenant.Name, static tenant => new DingTalkClient(tenant), StringComparer.OrdinalIgnoreCase);
        Tenants = [.. options.Tenants.Values.Select(static tenant => tenant.Name)];
    }

    /// <summary>The client of a tenant, whose name may be in any case.</summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public DingTalkClient this[string tenant] => _clients[tenant];

    /// <summary>The names of all tenants.</summary>
    public IReadOnlyList<string> Tenants { get; }
}
