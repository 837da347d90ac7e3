using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace DingFlow.Tests.Infrastructure;

/// <summary>
/// The real program as a process of its own. Start it with <see cref="StartStandaloneAsync"/> or <see cref="StartUnderHostAsync"/>;
/// dispose it to kill it and, unless the caller gave the data directory, to remove its data.
/// </summary>
internal sealed class DingFlowProcess : IAsyncDisposable
{
    /// <summary>Generous: a busy machine must not fail a test.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The program that was built with the tests, or the published one that <c>DINGFLOW_TEST_PROGRAM</c> names.</summary>
    private static readonly string Program =
        Environment.GetEnvironmentVariable("DINGFLOW_TEST_PROGRAM") ?? Path.Combine(AppContext.BaseDirectory, "DingFlow");

    private const string Listening = "DingFlow listens on ";

    private readonly ConcurrentQueue<string> _output = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private readonly Dictionary<string, string> _settings;
    private readonly bool _ownsDirectory;
    private TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Process? _process;
    private HttpClient? _client;

    private DingFlowProcess(string? dataDirectory, IReadOnlyDictionary<string, string>? settings)
    {
        _ownsDirectory = dataDirectory is null;
        DataDirectory = dataDirectory ?? Directory.CreateTempSubdirectory("dingflow-test-").FullName;
        _settings = settings?.ToDictionary(pair => pair.Key, pair => pair.Value) ?? [];
    }

    /// <summary>Where the program keeps its data; it is the working directory, too.</summary>
    public string DataDirectory { get; }

    /// <summary>A client of the public listener (standalone) or of the host's port, without credentials.</summary>
    public HttpClient Client => _client ?? throw new InvalidOperationException("The program is not running.");

    /// <summary>The API key that a standalone program generated.</summary>
    public string ApiKey => File.ReadAllText(Path.Combine(DataDirectory, "api-key"));

    /// <summary>The secret of the source <c>sandbox</c> that a standalone program generated.</summary>
    public string HrSecret => File.ReadAllText(Path.Combine(DataDirectory, "hr-secret"));

    /// <summary>Everything written so far.</summary>
    public string Output => string.Join('\n', _output);

    /// <summary>Everything written to the error stream so far.</summary>
    public string Errors => string.Join('\n', _errors);

    /// <summary>The process id.</summary>
    public int Id => Running.Id;

    /// <summary>The process has ended.</summary>
    public bool HasExited => Running.HasExited;

    private Process Running => _process ?? throw new InvalidOperationException("The program was not started.");

    /// <summary>
    /// Starts the program by itself on a free port and waits until it listens. Settings are passed as environment variables; their names
    /// have <c>:</c> between levels.
    /// </summary>
    public static async Task<DingFlowProcess> StartStandaloneAsync(
        IReadOnlyDictionary<string, string>? settings = null, string? dataDirectory = null)
    {
        var program = Standalone(settings, dataDirectory);
        await program.StartAsync();
        return program;
    }

    /// <summary>Starts the program as the Functions host would, on a free port, and waits until it answers.</summary>
    public static async Task<DingFlowProcess> StartUnderHostAsync(
        IReadOnlyDictionary<string, string>? settings = null, string? dataDirectory = null)
    {
        var program = UnderHost(settings, dataDirectory);
        await program.StartAsync();
        return program;
    }

    /// <summary>A standalone program that is not started yet.</summary>
    public static DingFlowProcess Standalone(IReadOnlyDictionary<string, string>? settings = null, string? dataDirectory = null)
    {
        var program = new DingFlowProcess(dataDirectory, settings);
        program._settings.TryAdd("DingFlow:Urls", "http://127.0.0.1:0");
        return program;
    }

    /// <summary>A program under the Functions host that is not started yet.</summary>
    public static DingFlowProcess UnderHost(IReadOnlyDictionary<string, string>? settings = null, string? dataDirectory = null)
    {
        var program = new DingFlowProcess(dataDirectory, settings);
        program._settings["FUNCTIONS_CUSTOMHANDLER_PORT"] = FreePort().ToString(System.Globalization.CultureInfo.InvariantCulture);
        return program;
    }

    /// <summary>Starts the process, again after it ended, with the same settings and data, and waits until it listens.</summary>
    /// <param name="arguments">The command line.</param>
    public async Task StartAsync(params string[] arguments)
    {
        Launch(arguments);
        var exited = Running.WaitForExitAsync();
        var first = await Task.WhenAny(_address.Task, exited).WaitAsync(Patience);
        if (first == exited)
        {
            throw new InvalidOperationException($"The program ended with {Running.ExitCode}: {Errors}\n{Output}");
        }

        _client?.Dispose();
        _client = new HttpClient { BaseAddress = await _address.Task };
    }

    /// <summary>Starts the process and waits for its end; for commands, and for starts that are expected to fail. Returns the exit code.</summary>
    public async Task<int> RunToEndAsync(params string[] arguments)
    {
        Launch(arguments);
        return await WaitForExitAsync();
    }

    /// <summary>A client that presents the generated API key.</summary>
    public HttpClient CreateOperator() => CreateOperator(ApiKey);

    /// <summary>A client that presents a bearer token.</summary>
    public HttpClient CreateOperator(string token)
    {
        var client = new HttpClient { BaseAddress = Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    /// <summary>
    /// A client of a Unix socket in the data directory; by default that of the invocation endpoints. It waits for a socket that opens only
    /// after the start.
    /// </summary>
    public HttpClient CreateSocketClient(string fileName = "dingflow.sock") => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(Patience);
            while (true)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath(fileName)), patience.Token);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch (SocketException) when (!HasExited)
                {
                    socket.Dispose();
                    await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, patience.Token);
                }
            }
        },
    })
    { BaseAddress = new Uri("http://dingflow") };

    /// <summary>The program answers the readiness probe of the Functions host.</summary>
    public async Task<bool> AnswersAsync()
    {
        try
        {
            using var answer = await Client.GetAsync("/");
            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Asks the program to stop (SIGTERM) and waits for its end. Returns the exit code.</summary>
    public async Task<int> TerminateAsync()
    {
        Terminate();
        return await WaitForExitAsync();
    }

    /// <summary>Asks the program to stop (SIGTERM).</summary>
    public void Terminate()
    {
        const int SigTerm = 15;
        Assert.Equal(0, Signal(Running.Id, SigTerm));
    }

    /// <summary>Ends the program at once (SIGKILL), wherever it stands.</summary>
    public async Task KillAsync()
    {
        Running.Kill();
        await WaitForExitAsync();
    }

    /// <summary>Waits for the end. Returns the exit code.</summary>
    public async Task<int> WaitForExitAsync()
    {
        await Running.WaitForExitAsync().WaitAsync(Patience);
        return Running.ExitCode;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            if (!process.HasExited)
            {
                process.Kill();
                await process.WaitForExitAsync();
            }

            process.Dispose();
        }

        _client?.Dispose();
        if (_ownsDirectory)
        {
            Directory.Delete(DataDirectory, recursive: true);
        }
    }

    /// <summary>A port of the loopback that is free now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private string SocketPath(string fileName)
    {
        var pointer = Path.Combine(DataDirectory, fileName + ".path");
        return File.Exists(pointer) ? File.ReadAllText(pointer) : Path.Combine(DataDirectory, fileName);
    }

    private void Launch(params string[] arguments)
    {
        _address = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var start = new ProcessStartInfo(Program, arguments)
        {
            WorkingDirectory = DataDirectory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        // Nothing of the machine's own configuration may reach the program.
        start.Environment.Clear();
        start.Environment["PATH"] = Environment.GetEnvironmentVariable("PATH");
        start.Environment["HOME"] = Environment.GetEnvironmentVariable("HOME");
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        start.Environment["DingFlow__DataDirectory"] = DataDirectory;
        foreach (var (name, value) in _settings)
        {
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        }

        _process?.Dispose();
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => OnOutput(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(_errors, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void OnOutput(string? line)
    {
        Keep(_output, line);
        if (line?.StartsWith(Listening, StringComparison.Ordinal) == true)
        {
            _address.TrySetResult(new Uri(line[Listening.Length..]));
        }
    }

    private static void Keep(ConcurrentQueue<string> lines, string? line)
    {
        if (line is not null)
        {
            lines.Enqueue(line);
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Signal(int process, int signal);
}
