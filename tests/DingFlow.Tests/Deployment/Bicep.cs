using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Deployment;

/// <summary>The Bicep compiler of the NuGet package, and what it makes of <c>infra/</c>.</summary>
internal static class Bicep
{
    public const string Subscription = "00000000-0000-0000-0000-000000000001";

    /// <summary>The environments with a parameter file.</summary>
    public static readonly string[] Environments = ["dev", "prod", "china"];

    private static readonly Lazy<string> Compiler = new(Install);
    private static readonly Lazy<Task<string>> Compiled = new(async () => (await RunAsync("build", PathOf("main.bicep"), "--stdout")).Output);
    private static readonly Dictionary<string, Lazy<Task<string>>> Predicted =
        Environments.ToDictionary(e => e, e => new Lazy<Task<string>>(() => PredictAsync(e)));

    public static string PathOf(string file) => Path.Combine(Repository.Root, "infra", file);

    /// <summary>The compiled template as text, made once.</summary>
    public static Task<string> TemplateAsync() => Compiled.Value;

    /// <summary>The snapshot of an environment as text, made once.</summary>
    public static Task<string> SnapshotAsync(string environment) => Predicted[environment].Value;

    /// <summary>The predicted resources of an environment.</summary>
    public static async Task<IReadOnlyList<JsonElement>> ResourcesAsync(string environment) => Resources(await SnapshotAsync(environment));

    /// <summary>The predicted resources of a snapshot.</summary>
    public static IReadOnlyList<JsonElement> Resources(string snapshot)
    {
        using var document = JsonDocument.Parse(snapshot);
        return [.. document.RootElement.GetProperty("predictedResources").EnumerateArray().Select(resource => resource.Clone())];
    }

    /// <summary>Predicts in a copy of <c>infra/</c>, so that the snapshots of the repository stay as they are.</summary>
    public static async Task<string> PredictAsync(string environment, params (string Name, string Value)[] variables)
    {
        var copy = Directory.CreateTempSubdirectory("dingflow-bicep-").FullName;
        try
        {
            var infra = PathOf("");
            foreach (var file in Directory.EnumerateFiles(infra, "*", SearchOption.AllDirectories))
            {
                var target = Path.Combine(copy, Path.GetRelativePath(infra, file));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(file, target);
            }

            var (code, output) = await RunAsync(
                variables,
                "snapshot", Path.Combine(copy, $"main.{environment}.bicepparam"), "--mode", "overwrite", "--subscription-id", Subscription,
                "--tenant-id", "00000000-0000-0000-0000-000000000002", "--resource-group", $"dingflow-{environment}",
                "--location", environment == "china" ? "chinanorth3" : "eastasia");
            Assert.True(code == 0, output);
            return Ordered(await File.ReadAllTextAsync(Path.Combine(copy, $"main.{environment}.snapshot.json")));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>The compiler writes the outputs in another order each time.</summary>
    private static string Ordered(string snapshot)
    {
        using var document = JsonDocument.Parse(snapshot);
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            foreach (var property in document.RootElement.EnumerateObject().Where(p => p.Name != "outputs"))
            {
                property.WriteTo(writer);
            }

            writer.WriteStartObject("outputs");
            foreach (var output in document.RootElement.GetProperty("outputs").EnumerateObject().OrderBy(o => o.Name, StringComparer.Ordinal))
            {
                output.WriteTo(writer);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.ToArray()) + "\n";
    }

    public static Task<(int Code, string Output)> RunAsync(params string[] arguments) => RunAsync([], arguments);

    private static async Task<(int Code, string Output)> RunAsync((string Name, string Value)[] variables, params string[] arguments)
    {
        var start = new ProcessStartInfo(Compiler.Value, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("DINGFLOW_", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, process.ExitCode == 0 && (await errors).Length == 0 ? await output : await output + await errors);
    }

    /// <summary>The package's compiler lacks the run bit: it is copied where it can have one, once, whole.</summary>
    private static string Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.OSArchitecture != Architecture.X64)
        {
            Assert.Skip("The Bicep compiler that the tests use is for Linux on x64.");
        }

        var package = typeof(Bicep).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "Bicep").Value!;
        var folder = Path.Combine(Repository.Root, "artifacts", $"bicep-{new FileInfo(package).Length}");
        var program = Path.Combine(folder, "bicep");
        if (!File.Exists(program))
        {
            Directory.CreateDirectory(folder);
            var temporary = Path.Combine(folder, Path.GetRandomFileName());
            File.Copy(package, temporary);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(temporary, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            File.Move(temporary, program, overwrite: true);
        }

        return program;
    }
}
