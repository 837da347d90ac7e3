using DingFlow.Hosting;
using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>Ready while Microsoft Graph answers the search for an employee who does not exist: credentials, permission and network work.</summary>
public sealed class EntraReadiness(EntraDirectory directory, TimeProvider time) : IReadinessCheck
{
    private const string Nobody = "dingflow-readiness-probe";

    private readonly RecentSuccess _recent = new(time);

    /// <inheritdoc/>
    public string Name => "entra";

    /// <inheritdoc/>
    public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
    {
        if (!directory.IsConfigured || _recent.Has(Name))
        {
            return new(true, directory.IsConfigured ? null : "not configured");
        }

        var answer = await directory.FindAsync(Nobody, null, cancellationToken);
        if (!answer.IsOk)
        {
            return new(false, $"{answer.Status} {answer.Code}".TrimEnd());
        }

        _recent.Add(Name);
        return new(true);
    }
}
