using System.Diagnostics;
using System.Runtime.Versioning;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Deployment;

/// <summary>
/// Runs a script of <c>infra/</c> in a directory of its own with stand-ins for the programs that it calls. Each stand-in is a piece of
/// shell; every call is written down with its arguments.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed class Script : IDisposable
{
    private static readonly string[] Kept = ["HOME", "DOTNET_ROOT", "NUGET_PACKAGES"];

    private readonly string _folder = Directory.CreateTempSubdirectory("dingflow-script-").FullName;
    private readonly Dictionary<string, string> _variables = new()
    {
        ["DINGFLOW_YES"] = "1", ["DINGFLOW_WAIT"] = "0", ["DINGFLOW_ATTEMPTS"] = "3",
    };

    public Script()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "bin"));
        Directory.CreateDirectory(State);
        // A repository of its own, so that nothing is built or written into the real one.
        var infra = Path.Combine(_folder, "repository", "infra");
        Directory.CreateDirectory(infra);
        Directory.CreateDirectory(Path.Combine(_folder, "repository", "functions"));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "infra"), "*.*").Where(f => f.EndsWith(".sh", StringComparison.Ordinal) || f.EndsWith(".bicepparam", StringComparison.Ordinal)))
        {
            var copy = Path.Combine(infra, Path.GetFileName(file));
            File.Copy(file, copy);
            File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    /// <summary>Where stand-ins keep what they remember; <c>$STATE</c> to them.</summary>
    public string State => Path.Combine(_folder, "state");

    public string RepositoryRoot => Path.Combine(_folder, "repository");

    /// <summary>Every call of a stand-in, one a line: the program and its arguments.</summary>
    public IReadOnlyList<string> Calls => File.Exists(CallsPath) ? File.ReadAllLines(CallsPath) : [];

    public string Errors { get; private set; } = "";

    private string CallsPath => Path.Combine(_folder, "calls");

    public Script StandIn(string program, string body)
    {
        var path = Path.Combine(_folder, "bin", program);
        File.WriteAllText(path, $"#!/usr/bin/env bash\nprintf '%s' \"{program}\" >> \"$CALLS\"; printf ' %s' \"$@\" >> \"$CALLS\"; printf '\\n' >> \"$CALLS\"\n{body}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return this;
    }

    public Script Variable(string name, string value)
    {
        _variables[name] = value;
        return this;
    }

    public void Forget() => File.Delete(CallsPath);

    public async Task<int> RunAsync(string script, string input, params string[] arguments)
    {
        var start = new ProcessStartInfo("bash", [Path.Combine(RepositoryRoot, "infra", script), .. arguments])
        {
            RedirectStandardInput = true, RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = _folder,
        };
        var path = start.Environment["PATH"];
        var kept = Kept.ToDictionary(n => n, Environment.GetEnvironmentVariable);
        start.Environment.Clear();
        foreach (var (name, value) in kept.Where(k => k.Value is not null))
        {
            start.Environment[name] = value;
        }

        start.Environment["PATH"] = $"{Path.Combine(_folder, "bin")}:{path}";
        start.Environment["CALLS"] = CallsPath;
        start.Environment["STATE"] = State;
        foreach (var (name, value) in _variables)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEndAsync();
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        try
        {
            await process.WaitForExitAsync().WaitAsync(DingFlowProcess.Patience);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{script} does not end; its last calls: {string.Join('\n', Calls.TakeLast(5))}");
        }

        Errors = await errors + await output;
        return process.ExitCode;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
