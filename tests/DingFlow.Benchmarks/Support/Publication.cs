using System.Diagnostics;
using System.Reflection;

namespace DingFlow.Benchmarks;

/// <summary>The programs that are compared, all published in the same way: Release, linux-x64, self-contained, ReadyToRun.</summary>
internal sealed record Publication(string Directory)
{
    private static readonly (string Name, string Project)[] Projects =
        [("DingFlow", "../../functions"), ("Empty", "Baselines/Empty"), ("Webhook", "Baselines/Webhook")];

    public string Product => Executable("DingFlow");

    public string Empty => Executable("Empty");

    public string Webhook => Executable("Webhook");

    /// <summary>Publishes the programs, or takes those that were published before.</summary>
    public static async Task<Publication> MakeAsync(Options options)
    {
        if (options.Published is { } published)
        {
            return new Publication(Path.GetFullPath(published));
        }

        var directory = Path.Combine(AppContext.BaseDirectory, "published");
        var source = typeof(Publication).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "SourceDirectory").Value!;
        foreach (var (name, project) in Projects)
        {
            Console.WriteLine($"publishing {name}");
            using var publish = Process.Start(new ProcessStartInfo(
                "dotnet", ["publish", Path.Combine(source, project), "-c", "Release", "-r", "linux-x64", "-o", Path.Combine(directory, name), "-v", "q"]))!;
            await publish.WaitForExitAsync();
            if (publish.ExitCode != 0)
            {
                throw new InvalidOperationException($"{name} could not be published.");
            }
        }

        return new Publication(directory);
    }

    /// <summary>Bytes on disk of one published program.</summary>
    public static long Size(string executable) =>
        new DirectoryInfo(Path.GetDirectoryName(executable)!).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

    private string Executable(string name) => Path.Combine(Directory, name, name);
}
