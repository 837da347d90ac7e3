using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>How long the trail keeps what, and which systems the program acts on, for the trail itself.</summary>
internal static class AuditPolicy
{
    public static IEnumerable<PolicyStatement> Of(AuditOptions options, DingTalkOptions dingTalk, EntraOptions entra, AuditPseudonyms pseudonyms)
    {
        yield return PolicyStatement.Of(
            "audit",
            ("operational", options.Operational), ("legal", options.Legal),
            ("kinds", options.Kinds.Select(static kind => $"{kind.Key}: {kind.Value:c}")), ("timestampAuthority", options.TimestampUrl?.Host),
            ("archive", WordOf(options.Archive)), ("archivePlace", FingerprintOf(options.Archive)), ("anchor", WordOf(options.Anchor)), ("anchorPlace", FingerprintOf(options.Anchor)));
        foreach (var tenant in dingTalk.Tenants.Values)
        {
            yield return PolicyStatement.Of(
                $"dingTalkTenant/{tenant.Name}",
                ("corpId", tenant.CorpId), ("api", tenant.BaseUrl.Host),
                ("credentials", PolicyStatement.Fingerprint(pseudonyms, [tenant.AppKey, tenant.AppSecret, tenant.Token ?? "", tenant.AesKey ?? ""])));
        }

        if (entra.IsConfigured)
        {
            yield return PolicyStatement.Of("entra", ("tenantId", entra.TenantId), ("cloud", entra.Cloud), ("credential", entra.Credential), ("api", entra.BaseUrl.Host));
        }

        string FingerprintOf(AuditFileStore place) => PolicyStatement.Fingerprint(pseudonyms, place.IsNone ? [] : [place.Directory ?? place.ContainerUri!.ToString()]);
    }

    private static string WordOf(AuditFileStore place) => place.IsNone ? "none" : place.Directory is null ? "blob container" : "folder";
}
