using System.Collections.Concurrent;
using DingFlow.Hosting;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// The ledger fits the settings: the number of shards and the key that it was begun with. Otherwise nothing is recorded or counted, ready
/// is red and the log says why; webhooks go on, since a freeze must not wait for a counter.
/// </summary>
internal sealed partial class LedgerReadiness(
    TransfersOptions options, Lazy<SubjectLedger> ledger, TimeProvider time, ILogger<LedgerReadiness> logger)
    : IReadinessCheck, IHostedLifecycleService, IDisposable
{
    /// <summary>The webhooks that a start was made for go first.</summary>
    private static readonly TimeSpan AfterStart = TimeSpan.FromSeconds(1);

    /// <summary>What fitted once fits as long as the program runs.</summary>
    private readonly ConcurrentDictionary<string, bool> _fits = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private Task _first = Task.CompletedTask;

    public string Name => "ledger";

    public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var exporter in options.Exporters.Values.Where(exporter => !_fits.ContainsKey(exporter.Id)))
        {
            try
            {
                await ledger.Value.CheckFitAsync(exporter.Id, cancellationToken);
                _fits[exporter.Id] = true;
            }
            catch (LedgerMismatchException exception)
            {
                return new(false, exception.Message);
            }
        }

        return new(true);
    }

    /// <summary>Says at the start what a person would otherwise learn from the first request.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _first = Task.Run(
            async () =>
            {
                try
                {
                    await Task.Delay(AfterStart, time, _stopping.Token);
                    if (await CheckAsync(_stopping.Token) is { IsReady: false, Detail: { } fault })
                    {
                        Log.DoesNotFit(logger, fault);
                    }
                }
                catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
                {
                    // Nobody waits for the answer any more.
                }
                catch (Exception exception) when (exception is EntityStoreException or OperationCanceledException or ObjectDisposedException)
                {
                    // The store's own check says so; ready asks again.
                    Log.NotChecked(logger, exception.GetType().Name);
                }
            },
            CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _first;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _stopping.Dispose();

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "No transfer is recorded or counted: {Fault}")]
        public static partial void DoesNotFit(ILogger logger, string fault);

        [LoggerMessage(2, LogLevel.Warning, "Whether the ledger fits the settings could not be found out yet ({Fault})")]
        public static partial void NotChecked(ILogger logger, string fault);
    }
}
