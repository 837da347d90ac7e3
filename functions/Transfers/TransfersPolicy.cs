using DingFlow.Messaging;

namespace DingFlow.Transfers;

/// <summary>How persons are counted and for whom, for the audit trail.</summary>
internal static class TransfersPolicy
{
    public static IEnumerable<PolicyStatement> Of(TransfersOptions options, string keyId, AuditPseudonyms pseudonyms)
    {
        yield return PolicyStatement.Of(
            "transfers.counting",
            ("profile", options.Profile), ("overlap", options.Overlap), ("shards", options.Shards), ("keyId", keyId),
            ("countStatutoryDuty", options.CountStatutoryDuty), ("countGbaContract", options.CountGbaContract), ("retentionYears", options.RetentionYears),
            ("fieldMap", PolicyStatement.Fingerprint(pseudonyms, options.FieldMap.Select(static field => $"{field.Key}: {field.Value}"))));
        foreach (var one in options.Exporters.Values)
        {
            yield return PolicyStatement.Of(
                $"exporter/{one.Id}",
                ("name", one.Name), ("creditCode", one.CreditCode), ("ciio", one.Ciio), ("freeTradeZone", one.FreeTradeZone), ("importantData", one.ImportantData),
                ("processedPersons", one.ProcessedPersons), ("storedFaces", one.StoredFaces), ("city", one.City), ("corpId", one.CorpId),
                ("evidence", one.Evidence.Select(static evidence => $"{evidence.Key.Exemption} {evidence.Key.Kind}: {evidence.Value}")));
        }

        foreach (var one in options.Recipients.Values)
        {
            yield return PolicyStatement.Of(
                $"recipient/{one.Id}", ("name", one.Name), ("country", one.Country?.ToString()), ("city", one.City), ("onward", one.Onward));
        }
    }
}
