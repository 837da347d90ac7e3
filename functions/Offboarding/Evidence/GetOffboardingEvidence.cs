using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Evidence;

/// <summary>
/// <c>GET /api/offboarding/{caseId}/evidence?format=json|html|ocsf&amp;language=</c>: what can be shown of a case. Who took it is in the audit
/// trail.
/// </summary>
public sealed class GetOffboardingEvidence(CaseStore cases, OffboardingOptions options, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var format = context.Request.Query["format"].ToString();
        var language = context.Request.Query["language"].ToString();
        if (format is not ("" or "json" or "html" or "ocsf"))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "format must be json, html or ocsf.");
            return;
        }

        if (language.Length > 0 && !EvidenceHtml.Languages.Contains(language))
        {
            await context.ProblemAsync(ProblemCode.Malformed, $"language must be one of {string.Join(", ", EvidenceHtml.Languages)}.");
            return;
        }

        if (context.Request.RouteValues["caseId"] is not string caseId || await cases.FindAsync(caseId, context.RequestAborted) is not { } found)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such case.");
            return;
        }

        var pack = EvidencePack.Of(found.Case, CaseClock.TargetOf(found.Case, options), time.GetUtcNow());
        await trail.AppendAsync(
            new()
            {
                Kind = EvidenceAudit.Exported,
                Actor = AuditActor.Principal(context.Principal()!),
                Payload = PayloadHash.FromHex(pack.Hash.Value),
                On = new("case", caseId),
                CaseId = caseId,
                Details = new Dictionary<string, string> { ["format"] = format.Length == 0 ? "json" : format },
            },
            context.RequestAborted);
        context.Response.Headers.CacheControl = "no-store";
        switch (format)
        {
            case "html":
                context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'";
                await WriteAsync(context, "text/html; charset=utf-8", EvidenceHtml.Write(pack, language.Length > 0 ? language : EvidenceHtml.LanguageOf(context.Request.Headers.AcceptLanguage)));
                break;
            case "ocsf":
                await WriteAsync(context, "application/json", Text(EvidenceOcsf.Of(found.Case)));
                break;
            default:
                await context.WriteJsonAsync(pack, EvidenceJson.Default.EvidencePack);
                break;
        }
    }

    private static string Text(JsonArray events)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            events.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static async Task WriteAsync(HttpContext context, string contentType, string text)
    {
        var body = Encoding.UTF8.GetBytes(text);
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}

/// <summary>What the audit trail says of evidence.</summary>
internal static class EvidenceAudit
{
    /// <summary>The evidence of a case was taken.</summary>
    public static AuditKind Exported { get; } = new("offboarding.evidence_exported", AuditRetention.Legal, "The evidence of a case was taken.");
}

/// <summary>Wires the evidence pack.</summary>
internal static class EvidenceServices
{
    /// <summary>Adds the route.</summary>
    public static IServiceCollection AddEvidence(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults) => services
        .TryAddAuditTrail(configuration, faults)
        .AddFunction<GetOffboardingEvidence>(Roles.OperationsRead);
}
