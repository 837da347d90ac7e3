using System.Net;
using System.Runtime.Versioning;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Hosting;

/// <summary>The real program, started as a process.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ProgramTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Standalone_with_nothing_configured_generates_its_keys_and_serves_http_functions()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();

        using var answer = await program.Client.GetAsync("/api/openapi.json", Cancellation);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.StartsWith("dfk_", program.ApiKey, StringComparison.Ordinal);
        Assert.StartsWith("whsec_", program.HrSecret, StringComparison.Ordinal);
        foreach (var file in (string[])["keys.json", "api-key", "hr-secret", "dingflow.sock"])
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(program.DataDirectory, file)));
        }

        Assert.Contains("api-key", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(program.ApiKey, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_start_keeps_the_keys_of_the_first()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        var keys = await File.ReadAllTextAsync(Path.Combine(program.DataDirectory, "keys.json"), Cancellation);

        Assert.Equal(0, await program.TerminateAsync());
        await program.StartAsync();

        Assert.Equal(keys, await File.ReadAllTextAsync(Path.Combine(program.DataDirectory, "keys.json"), Cancellation));
    }

    [Fact]
    public async Task A_killed_process_does_not_keep_the_next_from_its_socket()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        await program.KillAsync();

        await program.StartAsync();

        using var socket = program.CreateSocketClient();
        Assert.Equal("{}", await socket.GetStringAsync("/", Cancellation));
    }
}
