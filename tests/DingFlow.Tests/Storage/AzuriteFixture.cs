using System.Diagnostics;
using System.Globalization;

[assembly: AssemblyFixture(typeof(DingFlow.Tests.Storage.AzuriteFixture))]

namespace DingFlow.Tests.Storage;

/// <summary>
/// The table and the blob service of Azurite, for every test that wants them: installed once into <c>artifacts/</c>, started on a free port when the
/// first test asks, ended with the test process however that ends.
/// </summary>
public sealed class AzuriteFixture : IAsyncDisposable
{
    private const string Version = "3.35.0";

    // Ends when its standard input does, that is when the test process is gone. Port 0 lets the system choose one; the emulator itself
    // does not say which.
    private const string Launcher = """
        const net = require('net'), listen = net.Server.prototype.listen;
        net.Server.prototype.listen = function (...args) {
          this.once('listening', () => console.log('PORT ' + this.address().port));
          return listen.apply(this, args);
        };
        process.stdin.on('end', () => process.exit(0)).resume();
        require(process.argv[1]);
        """;

    private readonly Lazy<Task<(Process Process, int Port)>> _tables = new(() => StartAsync("table"));
    private readonly Lazy<Task<(Process Process, int Port)>> _blobs = new(() => StartAsync("blob"));

    /// <summary>A connection string of the running emulator.</summary>
    public async Task<string> ConnectionStringAsync(CancellationToken cancellationToken)
    {
        var (_, port) = await _tables.Value.WaitAsync(cancellationToken);
        return $"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={WellKnownKey};"
            + string.Create(CultureInfo.InvariantCulture, $"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;");
    }

    /// <summary>A connection string of the running blob service, and its address.</summary>
    public async Task<(string ConnectionString, Uri Address)> BlobsAsync(CancellationToken cancellationToken)
    {
        var (_, port) = await _blobs.Value.WaitAsync(cancellationToken);
        var address = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/devstoreaccount1");
        return ($"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={WellKnownKey};BlobEndpoint={address};", new Uri(address + "/"));
    }

    // Published by Microsoft for the emulator; it opens nothing else.
    private const string WellKnownKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    public async ValueTask DisposeAsync()
    {
        foreach (var service in new[] { _tables, _blobs })
        {
            if (service is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            {
                using var process = (await service.Value).Process;
                process.StandardInput.Close();
                await process.WaitForExitAsync();
            }
        }
    }

    private static async Task<(Process Process, int Port)> StartAsync(string service)
    {
        var script = (await InstallAsync()).Replace("/table/", $"/{service}/", StringComparison.Ordinal).Replace("\\table\\", $"\\{service}\\", StringComparison.Ordinal);
        var process = Start("node", [
            "-e", Launcher, script, $"--{service}Host", "127.0.0.1", $"--{service}Port", "0", "--inMemoryPersistence", "--silent",
            "--skipApiVersionCheck", "--disableTelemetry"]);
        var seen = new List<string>();
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("PORT ", StringComparison.Ordinal))
            {
                // Whatever else it says must not fill the pipes.
                _ = process.StandardOutput.ReadToEndAsync();
                _ = process.StandardError.ReadToEndAsync();
                return (process, int.Parse(line.AsSpan(5), CultureInfo.InvariantCulture));
            }

            seen.Add(line);
        }

        throw new InvalidOperationException($"Azurite did not start: {string.Join(' ', seen)} {await process.StandardError.ReadToEndAsync()}");
    }

    private static async Task<string> InstallAsync()
    {
        var folder = Path.Combine(RepositoryRoot(), "artifacts", $"azurite-{Version}");
        var script = Path.Combine(folder, "node_modules", "azurite", "dist", "src", "table", "main.js");
        var done = Path.Combine(folder, "installed");
        Directory.CreateDirectory(folder);

        // Another test process may be installing: the lock file is held open, so it goes with its holder.
        await using var _ = await LockAsync(Path.Combine(folder, "lock"));
        if (File.Exists(done) && File.Exists(script))
        {
            return script;
        }

        using var npm = Start(OperatingSystem.IsWindows() ? "npm.cmd" : "npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", $"azurite@{Version}"]);
        npm.StandardInput.Close();
        var output = npm.StandardOutput.ReadToEndAsync();
        var error = npm.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(10));
        await npm.WaitForExitAsync(patience.Token);
        if (npm.ExitCode != 0 || !File.Exists(script))
        {
            throw new InvalidOperationException(
                $"npm could not install azurite@{Version}, which the tests of Table Storage need: {await output} {await error}");
        }

        await File.WriteAllTextAsync(done, Version);
        return script;
    }

    private static async Task<FileStream> LockAsync(string path)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(10));
        while (true)
        {
            try
            {
                return new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, patience.Token);
            }
        }
    }

    private static Process Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception fault)
        {
            throw new InvalidOperationException(
                $"'{program}' was not found. The tests of Table Storage need Node.js 20 or later with npm on the PATH.", fault);
        }
    }

    private static string RepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "DingFlow.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("The tests run outside of the repository.");
    }
}
