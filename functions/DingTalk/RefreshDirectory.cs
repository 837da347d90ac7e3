using DingFlow.Hosting;

namespace DingFlow.DingTalk;

/// <summary>Refreshes every tenant's map of who is who, daily.</summary>
public sealed partial class RefreshDirectory(DingTalkClients clients, DingTalkDirectory directory, ILogger<RefreshDirectory> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        foreach (var tenant in clients.Tenants)
        {
            var result = await directory.RefreshAsync(tenant, cancellationToken);
            if (result.IsOk)
            {
                Log.Refreshed(logger, tenant, result.Value);
            }
            else
            {
                Log.Failed(logger, tenant, result.Status, result.Code);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The map of DingTalk tenant {Tenant} was refreshed: {People} people.")]
        public static partial void Refreshed(ILogger logger, string tenant, int people);

        [LoggerMessage(2, LogLevel.Error, "The map of DingTalk tenant {Tenant} could not be refreshed: {Status}, code {Code}.")]
        public static partial void Failed(ILogger logger, string tenant, Remote.RemoteStatus status, string? code);
    }
}
