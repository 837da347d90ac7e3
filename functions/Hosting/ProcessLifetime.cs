using System.Runtime.InteropServices;
using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>
/// Ends the program when it is told to by a signal, and knows whether it was. The Functions host never starts a custom handler again
/// that ended with exit code 0.
/// </summary>
internal sealed class ProcessLifetime(IHostApplicationLifetime application) : IHostLifetime, IDisposable
{
    private readonly List<PosixSignalRegistration> _registrations = [];
    private PosixSignal? _signal;

    /// <summary>The settings are wrong (EX_CONFIG).</summary>
    public const int SettingsExitCode = 78;

    /// <summary>The program failed (EX_SOFTWARE).</summary>
    public const int FailureExitCode = 70;

    /// <summary>
    /// What to end with: standalone 0 after a signal; under the Functions host never 0, because the host may live on and would leave
    /// every later call to a process that is gone.
    /// </summary>
    public int ExitCode(HostMode mode) => (_signal, mode) switch
    {
        (null, _) => FailureExitCode,
        (_, HostMode.Standalone) => 0,
        (PosixSignal.SIGINT, _) => 128 + 2,
        (PosixSignal.SIGQUIT, _) => 128 + 3,
        _ => 128 + 15,
    };

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT])
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                _signal ??= context.Signal;
                application.StopApplication();
            }));
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }
    }
}
