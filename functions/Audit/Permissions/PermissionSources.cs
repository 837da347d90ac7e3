using System.Globalization;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Remote;

namespace DingFlow.Audit;

/// <summary>Somebody may do something.</summary>
/// <param name="Who">A key (<c>key:ops</c>), an Entra object id (<c>entra:{id}</c>), or the pseudonym of a DingTalk account.</param>
/// <param name="Permission">What: a role of DingFlow, a directory role, an administrator's level.</param>
public sealed record PermissionHolding(string Who, string Permission);

/// <summary>What one system says of who may do what; <see langword="null"/> when it could not be read.</summary>
internal sealed record PermissionReading(string Source, IReadOnlyList<PermissionHolding>? Holdings, string? Fault)
{
    /// <summary>Which part of a source that is read in parts; each is compared with the same part before.</summary>
    public string? Part { get; init; }

    /// <summary>What people call permissions whose names may change.</summary>
    public IReadOnlyDictionary<string, string> Names { get; init; } = new Dictionary<string, string>();
}

/// <summary>Who may do what: DingFlow's own keys, DingTalk's administrators and holders of roles, Entra's directory roles.</summary>
public sealed class PermissionSources(AuthOptions auth, DingTalkClients dingTalk, EntraDirectory entra, AuditPseudonyms pseudonyms)
{
    /// <summary>How the holders of directory roles begin.</summary>
    internal const string EntraPrefix = "entra:";

    private const string MainAdministrator = "main administrator";
    private const string SubAdministrator = "sub-administrator";
    private const int PageOfMembers = 100;

    /// <summary>Roles of DingTalk's default group that only repeat the list of administrators, which is read by itself.</summary>
    private static readonly HashSet<string?> s_administratorRoles = ["主管理员", "子管理员"];

    /// <summary>Reads every source.</summary>
    internal async IAsyncEnumerable<PermissionReading> ReadAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return new("dingflow", Sorted(auth.ApiKeys.SelectMany(static key => key.Roles.Select(role => new PermissionHolding($"key:{key.Name}", role)))), null);
        foreach (var tenant in dingTalk.Tenants)
        {
            var list = await dingTalk[tenant].ListAdministratorsAsync(cancellationToken);
            yield return list.Value is { Count: 0 } ? Nobody($"dingtalk/{tenant}") : list.Value is { } administrators
                ? new($"dingtalk/{tenant}", Sorted(administrators.Select(one => new PermissionHolding(
                    PermissionEvents.AccountOf(pseudonyms, tenant, one.UserId), one.IsMain ? MainAdministrator : SubAdministrator))), null)
                : Unread($"dingtalk/{tenant}", list);
            foreach (var reading in await ReadRolesAsync(tenant, cancellationToken))
            {
                yield return reading;
            }
        }

        if (entra.IsConfigured)
        {
            var roles = await entra.ListRoleAssignmentsAsync(cancellationToken);
            yield return roles.Value is { Count: 0 } ? Nobody("entra") : roles.Value is { } assignments
                ? new("entra", Sorted(assignments.Select(static role => new PermissionHolding(
                    $"{EntraPrefix}{role.Data["principal"]}", role.Data["scope"] == "/" ? role.Name ?? role.Data["definition"] : $"{role.Name ?? role.Data["definition"]} in {role.Data["scope"]}"))), null)
                : Unread("entra", roles);
        }
    }

    /// <summary>
    /// Who holds which role of an organisation, in sixteen parts by the pseudonym, so that each fits into a row. A role that could not be
    /// read leaves the whole reading out: the others' members would look as if nothing else had changed, and its own as if they had lost it.
    /// </summary>
    private async Task<IReadOnlyList<PermissionReading>> ReadRolesAsync(string tenant, CancellationToken cancellationToken)
    {
        const string digits = "0123456789abcdef";
        var source = $"dingtalk/{tenant}";
        var client = dingTalk[tenant];
        var roles = await client.ListRolesAsync(cancellationToken);
        if (roles.Value is not { } known)
        {
            return [Unread(source, roles)];
        }

        if (known.Count == 0)
        {
            return [Nobody(source)]; // Every organisation has the roles that DingTalk gives it.
        }

        List<PermissionHolding> holdings = [];
        foreach (var role in known.Where(static role => !s_administratorRoles.Contains(role.Name)))
        {
            var members = await client.ListRoleMembersAsync(role.Id, PageOfMembers, cancellationToken);
            if (members.Value is not { } userIds)
            {
                return [Unread(source, members)];
            }

            holdings.AddRange(userIds.Select(userId => new PermissionHolding(PermissionEvents.AccountOf(pseudonyms, tenant, userId), PermissionEvents.RoleOf(Text(role.Id)))));
        }

        var names = known.DistinctBy(static role => role.Id).ToDictionary(static role => PermissionEvents.RoleOf(Text(role.Id)), static role => role.Name ?? "", StringComparer.Ordinal);
        var parts = holdings.ToLookup(static one => digits.Contains(one.Who[0], StringComparison.Ordinal) ? one.Who[0] : digits[0]);
        return [.. digits.Select(digit => new PermissionReading(source, Sorted(parts[digit]), null) { Part = $"roles-{digit}", Names = names })];
    }

    /// <summary>No organisation is without anybody who administers it: an answer that says so is wrong, and is not taken for what it says.</summary>
    private static PermissionReading Nobody(string source) => new(source, null, "An empty answer.");

    private static string Text(long id) => id.ToString(CultureInfo.InvariantCulture);

    private static PermissionReading Unread(string source, RemoteResult result) => new(source, null, $"{result.Status} {result.Code}".TrimEnd());

    private static List<PermissionHolding> Sorted(IEnumerable<PermissionHolding> holdings) =>
        [.. holdings.Distinct().OrderBy(static one => one.Who, StringComparer.Ordinal).ThenBy(static one => one.Permission, StringComparer.Ordinal)];
}
