using DingFlow.Hosting;
using DingFlow.Remote;

namespace DingFlow.DingTalk;

/// <summary>
/// Ready while every tenant answers a small contact call, which DingTalk does not count against the monthly quota. A success is
/// remembered for some minutes, so that probes cost a tenant next to nothing.
/// </summary>
public sealed class DingTalkReadiness(DingTalkClients clients, TimeProvider time) : IReadinessCheck
{
    private const long RootDepartment = 1;

    private readonly RecentSuccess _recent = new(time);

    /// <inheritdoc/>
    public string Name => "dingtalk";

    /// <inheritdoc/>
    public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var tenant in clients.Tenants)
        {
            if (_recent.Has(tenant))
            {
                continue;
            }

            var answer = await clients[tenant].ListSubDepartmentsAsync(RootDepartment, cancellationToken);
            if (!answer.IsOk)
            {
                return new(false, $"tenant {tenant}: {answer.Status} {answer.Code}".TrimEnd());
            }

            _recent.Add(tenant);
        }

        return new(true);
    }
}
