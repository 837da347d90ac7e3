using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DingFlow.Sandbox;

/// <summary>
/// A simulated DingTalk Open Platform and Microsoft Graph inside the program, on the loopback, for the first run, rehearsals and tests.
/// Clients reach it over HTTP through their ordinary base addresses. The fault switches listen on a Unix socket that only the owner may
/// open, never on TCP.
/// </summary>
/// <remarks>
/// The servers are bare Kestrel, without a host of their own: quicker to start, and their calls do not appear in the program's traces and
/// metrics as though they were its own.
/// </remarks>
public sealed partial class SandboxServer : IHostedLifecycleService, IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SandboxListener _listener;
    private readonly SandboxControlSocket? _control;
    private readonly ILogger<SandboxServer> _logger;
    private readonly SandboxWorld _world;
    private readonly List<KestrelServer> _servers = [];
    private Task _starting = Task.CompletedTask;
    private bool _disposed;

    /// <summary>A sandbox that will serve the listener. Nothing is opened or read before the start.</summary>
    public SandboxServer(SandboxListener listener, SandboxOptions options, TimeProvider timeProvider, ILogger<SandboxServer> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        _listener = listener;
        _logger = logger;
        Directory = new SandboxDirectory(options.DataDirectory is null ? null : Path.Combine(options.DataDirectory, "sandbox.json"));
        Faults = new SandboxFaults(timeProvider);
        Tokens = new SandboxTokens(timeProvider);
        Outbox = new SandboxOutbox(timeProvider);
        _world = new SandboxWorld(Directory, Tokens, Outbox, timeProvider);
        _control = options.DataDirectory is null ? null : new SandboxControlSocket(options.DataDirectory);
    }

    /// <summary>The imaginary organisation.</summary>
    public SandboxDirectory Directory { get; }

    /// <summary>The fault switches.</summary>
    public SandboxFaults Faults { get; }

    /// <summary>The last calls.</summary>
    public SandboxJournal Journal { get; } = new();

    /// <summary>The messages that people got.</summary>
    public SandboxOutbox Outbox { get; }

    /// <summary>The access token in circulation.</summary>
    public SandboxTokens Tokens { get; }

    /// <summary>Base address of DingTalk's newer interface.</summary>
    public Uri DingTalk => _listener.DingTalk;

    /// <summary>Base address of DingTalk's older interface.</summary>
    public Uri DingTalkLegacy => _listener.DingTalkLegacy;

    /// <summary>Base address of Microsoft Graph, its version included.</summary>
    public Uri Graph => _listener.Graph;

    /// <summary>
    /// Where the control socket lies once started; under the temporary path when the data directory's path is too long for a socket, with
    /// a link to it in the data directory. <see langword="null"/> without a data directory.
    /// </summary>
    public string? ControlSocketPath => _control?.Path;

    /// <summary>Ends when both interfaces are served; fails when they cannot be.</summary>
    public Task Started => _started.Task;

    /// <summary>Starts a sandbox on its own, for tests.</summary>
    public static async Task<SandboxServer> StartNewAsync(
        SandboxOptions? options = null, TimeProvider? timeProvider = null, CancellationToken cancellationToken = default)
    {
        var server = new SandboxServer(
            SandboxListener.Open(), options ?? new SandboxOptions(), timeProvider ?? TimeProvider.System, NullLogger<SandboxServer>.Instance);
        try
        {
            server.Serve();
            await server.Started.WaitAsync(cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Nothing: the program's own start comes first.</summary>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Nothing: the program's own start comes first.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Begins to serve in the background, now that the program itself serves. Earlier callers wait in the listener's backlog.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        Serve();
        return Task.CompletedTask;
    }

    /// <summary>Nothing: whoever calls the sandbox stops first.</summary>
    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Nothing: whoever calls the sandbox stops first.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Ends what hangs, lets the other calls finish, and closes both sockets.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _starting;
        foreach (var server in _servers)
        {
            await server.StopAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await StoppedAsync(CancellationToken.None);
        foreach (var server in _servers)
        {
            server.Dispose();
        }

        _listener.Dispose();
        _control?.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Begins to serve in the background; see <see cref="Started"/>.</summary>
    public void Serve() => _starting = Task.Run(ServeAsync);

    private async Task ServeAsync()
    {
        try
        {
            Directory.EnsureLoaded();
            await ServeAsync(
                _listener.Socket, new SandboxApplication(_world, Faults, Journal, _logger, _stopping.Token));
            if (_control is not null)
            {
                var control = new SandboxControl(Directory, Faults, Journal, Tokens, Outbox, _logger);
                await ServeAsync(_control.Open(OwnerOnly), control);
            }

            Log.Serving(_logger, _listener.DingTalk, _listener.DingTalkLegacy, _listener.Graph);
            _started.TrySetResult();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            _started.TrySetCanceled(_stopping.Token);
        }
        catch (Exception fault)
        {
            // Callers must be refused rather than wait in the backlog for ever.
            _listener.Dispose();
            Log.CannotServe(_logger, fault);
            _started.TrySetException(fault);
        }
    }

    private async Task ServeAsync(Socket socket, IHttpApplication<HttpContext> application)
    {
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = SandboxApplication.MaximumGraphBody + 1024;
        options.Limits.MinResponseDataRate = null;
        var endpoint = socket.LocalEndPoint!;
        if (endpoint is UnixDomainSocketEndPoint unix)
        {
            options.ListenUnixSocket(unix.ToString());
        }
        else
        {
            options.Listen((IPEndPoint)endpoint);
        }

        // Kestrel takes over the socket that is bound already.
        var transport = new SocketTransportOptions { CreateBoundListenSocket = _ => socket };
        var server = new KestrelServer(
            Options.Create(options),
            new SocketTransportFactory(Options.Create(transport), NullLoggerFactory.Instance),
            NullLoggerFactory.Instance);
        _servers.Add(server);
        await server.StartAsync(application, _stopping.Token);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The sandbox plays DingTalk at {DingTalk} and {DingTalkLegacy}, Microsoft Graph at {Graph}.")]
        public static partial void Serving(ILogger logger, Uri dingTalk, Uri dingTalkLegacy, Uri graph);

        [LoggerMessage(2, LogLevel.Error, "The sandbox cannot serve.")]
        public static partial void CannotServe(ILogger logger, Exception fault);
    }
}
