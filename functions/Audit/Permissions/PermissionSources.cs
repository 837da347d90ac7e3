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
internal sealed record PermissionReading(string Source, IReadOnlyList<PermissionHolding>? Holdings, string? Fault);

/// <summary>Who may do what: DingFlow's own keys, DingTalk's administrators, Entra's directory roles.</summary>
public sealed class PermissionSources(AuthOptions auth, DingTalkClients dingTalk, EntraDirectory entra, AuditPseudonyms pseudonyms)
{
    private const string MainAdministrator = "main administrator";
    private const string SubAdministrator = "sub-administrator";

    /// <summary>Reads every source.</summary>
    internal async IAsyncEnumerable<PermissionReading> ReadAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return new("dingflow", Sorted(auth.ApiKeys.SelectMany(static key => key.Roles.Select(role => new PermissionHolding($"key:{key.Name}", role)))), null);
        foreach (var tenant in dingTalk.Tenants)
        {
            var list = await dingTalk[tenant].ListAdministratorsAsync(cancellationToken);
            yield return list.Value is { } administrators
                ? new($"dingtalk/{tenant}", Sorted(administrators.Select(one => new PermissionHolding(
                    PermissionEvents.AccountOf(pseudonyms, tenant, one.UserId), one.IsMain ? MainAdministrator : SubAdministrator))), null)
                : Unread($"dingtalk/{tenant}", list);
        }

        if (entra.IsConfigured)
        {
            var roles = await entra.ListRoleAssignmentsAsync(cancellationToken);
            yield return roles.Value is { } assignments
                ? new("entra", Sorted(assignments.Select(static role => new PermissionHolding(
                    $"entra:{role.Data["principal"]}", role.Data["scope"] == "/" ? role.Name ?? role.Data["definition"] : $"{role.Name ?? role.Data["definition"]} in {role.Data["scope"]}"))), null)
                : Unread("entra", roles);
        }
    }

    private static PermissionReading Unread(string source, RemoteResult result) => new(source, null, $"{result.Status} {result.Code}".TrimEnd());

    private static List<PermissionHolding> Sorted(IEnumerable<PermissionHolding> holdings) =>
        [.. holdings.Distinct().OrderBy(static one => one.Who, StringComparer.Ordinal).ThenBy(static one => one.Permission, StringComparer.Ordinal)];
}
