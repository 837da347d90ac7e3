using System.Diagnostics;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Audit;

/// <summary>The walk of <c>docs/audit.md</c> with the built program: a proof is taken and checked offline, an archive verified and restored, and damage is told by word and exit code.</summary>
public sealed class AuditCommandWalkTests : IDisposable
{
    private readonly DataDirectory _files = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Anchors => Path.Combine(_files.Path, "worm");

    [Fact]
    public async Task The_documented_commands_check_verify_and_restore_and_name_what_is_damaged()
    {
        var settings = new Dictionary<string, string> { ["Audit:Anchor:Directory"] = Anchors };
        await using var program = DingFlowProcess.Standalone(settings);
        await WriteOldDaysAsync(program.DataDirectory);
        await program.StartAsync();
        using var client = program.CreateOperator();
        using (var host = program.CreateSocketClient())
        {
            Assert.Equal(200, (await host.AskAsync(HttpMethod.Post, "/SealAudit", FunctionsHostStandIn.Tick("SealAudit"))).Status);
        }

        await ProofAsync(await client.AskAsync(HttpMethod.Get, "/api/audit/main/2/proof"));
        Assert.Equal(0, await program.TerminateAsync());

        var archive = Copy(Path.Combine(program.DataDirectory, "audit"));
        await SaysAsync(0, "Anchors vouch for the days up to", "audit", "verify-archive", archive, Anchors);
        await SaysAsync(0, "Everything is as it was sealed.", "audit", "verify-archive", archive);
        var restored = Path.Combine(_files.Path, "restored");
        await SaysAsync(0, "Restored 2 days.", Restoring(restored), "audit", "restore", archive);
        await SaysAsync(0, "Restored 0 days.", Restoring(restored), "audit", "restore", archive);
        await using (var again = await DingFlowProcess.StartStandaloneAsync(dataDirectory: restored))
        {
            using var reader = again.CreateOperator();
            var verified = (await reader.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json;
            Assert.True((bool)verified["ok"]!, verified.ToString());
            Assert.Equal(4, (await reader.AskAsync(HttpMethod.Get, "/api/audit?kind=tests.happened")).Json["items"]!.Count());
        }

        await DamageAsync(archive);
        await MistypedAsync(archive);
    }

    public void Dispose() => _files.Dispose();

    /// <summary>The proof holds, by the program and by the lines of the document; changed, cut or replaced it does not.</summary>
    private async Task ProofAsync(Answer proof)
    {
        Assert.Equal(200, proof.Status);
        var (file, script) = (Path.Combine(_files.Path, "proof.json"), Path.Combine(_files.Path, "check.js"));
        var document = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "functions", "docs", "audit.md"), Cancellation);
        await File.WriteAllTextAsync(script, document.Split("```js\n")[1].Split("```")[0], Cancellation);
        foreach (var (text, code, says) in new[]
        {
            (proof.Text, 0, "Entry main/2"), (proof.Text.Replace("old 2", "old 9", StringComparison.Ordinal), 1, ""), (proof.Text[..^20], 1, "The file is no proof."), ("[]", 1, "The file is no proof."),
        })
        {
            await File.WriteAllTextAsync(file, text, Cancellation);
            await SaysAsync(code, says, "audit", "check", file);
            var node = await RunAsync("node", null, script, file);
            Assert.Equal(code == 0, node.Code == 0);
        }

        await SaysAsync(64, "none.json", "audit", "check", Path.Combine(_files.Path, "none.json"));
    }

    private async Task DamageAsync(string archive)
    {
        var lines = Directory.GetFiles(archive, "*.jsonl.gz", SearchOption.AllDirectories).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(2, lines.Count);
        var whole = await File.ReadAllBytesAsync(lines[0], Cancellation);
        byte[] bent = [.. whole];
        bent[whole.Length / 2] ^= 0x55;
        foreach (var damaged in (byte[][])[whole[..(whole.Length / 2)], bent, [], "no gzip"u8.ToArray(), await File.ReadAllBytesAsync(lines[1], Cancellation)])
        {
            await File.WriteAllBytesAsync(lines[0], damaged, Cancellation);
            await SaysAsync(1, "First fault", "audit", "verify-archive", archive);
            await SaysAsync(1, "Nothing was restored.", Restoring(Path.Combine(_files.Path, "nothing")), "audit", "restore", archive);
        }

        await File.WriteAllBytesAsync(lines[0], whole, Cancellation);
        await SaysAsync(0, "Everything is as it was sealed.", "audit", "verify-archive", archive);
        var seal = lines[1].Replace(".jsonl.gz", ".seal.json", StringComparison.Ordinal);
        var sealText = await File.ReadAllTextAsync(seal, Cancellation);
        await File.WriteAllTextAsync(seal, sealText[..40], Cancellation);
        await SaysAsync(1, "First fault", "audit", "verify-archive", archive);
        File.Delete(seal);
        await SaysAsync(1, "AnchorMismatch", "audit", "verify-archive", archive, Anchors);
        File.Delete(lines[0]);
        await SaysAsync(1, "First fault", "audit", "verify-archive", archive);
    }

    /// <summary>A folder that is not the archive must not pass for one in which nothing is wrong.</summary>
    private async Task MistypedAsync(string archive)
    {
        foreach (var folder in (string[])[Path.Combine(archive, "days"), Path.GetDirectoryName(archive)!])
        {
            await SaysAsync(64, "does not hold an archive", "audit", "verify-archive", folder);
            await SaysAsync(64, "does not hold an archive", Restoring(Path.Combine(_files.Path, "nothing")), "audit", "restore", folder);
        }

        await SaysAsync(64, "There is no folder", "audit", "verify-archive", archive + "-none");
        await SaysAsync(64, "does not hold anchors", "audit", "verify-archive", archive, Path.Combine(Anchors, "anchors"));
        await SaysAsync(64, "Exit codes", "audit");
        await SaysAsync(64, "Exit codes", "audit", "verify-archive");
    }

    private static Dictionary<string, string> Restoring(string directory) => new() { ["DingFlow__DataDirectory"] = directory };

    private string Copy(string directory)
    {
        var copy = Path.Combine(_files.Path, "archive", "copy");
        foreach (var file in Directory.GetFiles(directory, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(copy, Path.GetRelativePath(directory, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return copy;
    }

    private static async Task WriteOldDaysAsync(string directory)
    {
        using var database = new SqliteDatabase(directory);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow().AddDays(-2));
        await using var trail = new AuditTrail(new SqliteEntityStore(database, time), new(), time, NullLogger<AuditTrail>.Instance);
        for (var i = 1; i <= 4; i++)
        {
            await trail.AppendAsync(TrailDriver.Event($"old {i}"), Cancellation);
            time.Advance(i == 2 ? TimeSpan.FromDays(1) : TimeSpan.Zero);
        }
    }

    private static Task SaysAsync(int code, string says, params string[] args) => SaysAsync(code, says, [], args);

    private static async Task SaysAsync(int code, string says, Dictionary<string, string> environment, params string[] args)
    {
        var (exit, output) = await RunAsync(Path.Combine(AppContext.BaseDirectory, "DingFlow"), environment, args);
        Assert.True(exit == code, $"{string.Join(' ', args)}: {exit} instead of {code}: {output}");
        Assert.Contains(says, output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, Dictionary<string, string>? environment, params string[] args)
    {
        var start = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, await output + await error);
    }
}
