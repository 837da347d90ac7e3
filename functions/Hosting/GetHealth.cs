using System.Text.Json.Serialization;

namespace DingFlow.Hosting;

/// <summary>
/// Answers probes. <c>/api/health</c> and <c>/api/health/live</c> are red only when webhooks cannot be accepted durably;
/// <c>/api/health/ready</c> is red when any dependency fails, and tells details to callers with <c>operations.read</c>.
/// </summary>
internal sealed class GetHealth(HealthState health, BearerAuthentication authentication) : IHttpFunction
{
    public Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return (context.Request.RouteValues["probe"] as string) switch
        {
            null or "live" => LiveAsync(context),
            "ready" => ReadyAsync(context),
            _ => context.ProblemAsync(ProblemCode.NotFound),
        };
    }

    private async Task LiveAsync(HttpContext context)
    {
        var state = await health.LiveAsync();
        await AnswerAsync(context, state.Ready, dependencies: null);
    }

    private async Task ReadyAsync(HttpContext context)
    {
        var states = await health.ReadyAsync();
        var mayKnow = await authentication.AuthenticateAsync(context) == AuthenticationOutcome.Accepted && context.HasRole(Roles.OperationsRead);
        await AnswerAsync(context, states.All(state => state.Ready), mayKnow ? states : null);
    }

    private static Task AnswerAsync(HttpContext context, bool healthy, IReadOnlyList<DependencyHealth>? dependencies) => context.WriteJsonAsync(
        new HealthAnswer(healthy ? "ok" : "unavailable", dependencies), HealthJson.Default.HealthAnswer,
        healthy ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
}

/// <summary>The answer of a probe.</summary>
internal sealed record HealthAnswer(string Status, IReadOnlyList<DependencyHealth>? Dependencies);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HealthAnswer))]
internal sealed partial class HealthJson : JsonSerializerContext;
