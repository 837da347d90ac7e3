using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Hosting;

/// <summary>The real program, started as a process, in both modes.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ProgramTests
{
    private const string HostKey = "key-of-the-host-tests";

    private static readonly Dictionary<string, string> UnderHost = new()
    {
        ["DingFlow:Store"] = "sqlite",
        ["DingFlow:Queue"] = "sqlite",
        ["Sandbox:Enabled"] = "true",
        ["Auth:ApiKeys:ops:Hash"] = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(HostKey)))}",
        ["Auth:ApiKeys:ops:Roles"] = "operations.read",
        ["Pseudonyms:LedgerKey"] = Convert.ToBase64String(new byte[32]),
        ["Deliveries:EncryptionKey"] = Convert.ToBase64String(new byte[32]),
        ["HrSources:acme:Dialect"] = "standard",
        ["HrSources:acme:Secrets:0"] = $"whsec_{Convert.ToBase64String(new byte[32])}",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Standalone_with_nothing_configured_generates_its_keys_and_serves_http_functions()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();

        Assert.Equal("""{"status":"ok"}""", await program.Client.GetStringAsync("/api/health", Cancellation));
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
    public async Task Standalone_ready_names_its_dependencies_to_the_generated_key()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        using var operations = program.CreateOperator();

        using var answer = await operations.GetAsync("/api/health/ready", Cancellation);

        var body = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.Contains("\"name\":\"store\",\"ready\":true", body, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"queue\",\"ready\":true", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Standalone_invocations_are_reached_by_the_socket_and_never_by_the_public_listener()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        using var socket = program.CreateSocketClient();
        const string Invocation = """{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}""";

        using var refused = await program.Client.PostAsync("/SweepInbox", new StringContent(Invocation), Cancellation);
        using var accepted = await socket.PostAsync("/SweepInbox", new StringContent(Invocation), Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        Assert.Equal("{}", await accepted.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task A_second_start_keeps_the_keys_of_the_first()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        var keys = await File.ReadAllTextAsync(Path.Combine(program.DataDirectory, "keys.json"), Cancellation);

        Assert.Equal(0, await program.TerminateAsync());
        Assert.False(File.Exists(Path.Combine(program.DataDirectory, "dingflow.sock")));
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

    [Fact]
    public async Task A_second_process_on_the_same_data_is_refused_and_leaves_the_first_alone()
    {
        await using var first = await DingFlowProcess.StartStandaloneAsync();
        await using var second = DingFlowProcess.Standalone(dataDirectory: first.DataDirectory);

        Assert.Equal(78, await second.RunToEndAsync());

        Assert.Contains("DingFlow:DataDirectory: ", second.Errors, StringComparison.Ordinal);
        using var socket = first.CreateSocketClient();
        Assert.Equal("{}", await socket.GetStringAsync("/", Cancellation));
    }

    [Fact]
    public async Task A_data_directory_with_a_long_path_has_its_socket_elsewhere()
    {
        using var root = new TemporaryDirectory();
        var directory = Path.Combine(root.Path, new string('d', 120));
        Directory.CreateDirectory(directory);
        await using var program = await DingFlowProcess.StartStandaloneAsync(dataDirectory: directory);
        var path = await File.ReadAllTextAsync(Path.Combine(directory, "dingflow.sock.path"), Cancellation);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.GetDirectoryName(path)!));
        using (var socket = program.CreateSocketClient())
        {
            Assert.Equal("{}", await socket.GetStringAsync("/", Cancellation));
        }

        Assert.Equal(0, await program.TerminateAsync());
        Assert.False(Directory.Exists(Path.GetDirectoryName(path)));
    }

    [Fact]
    public async Task Every_fault_of_the_settings_is_a_line_of_its_own_and_no_secret_is_shown()
    {
        await using var program = DingFlowProcess.Standalone(new Dictionary<string, string>
        {
            ["Deliveries:EncryptionKey"] = "not-base64-secret",
            ["DingFlow:Store"] = "floppy",
            ["Auth:ApiKeys:x:Hash"] = "sha256:secret",
            ["Auth:ApiKeys:x:Roles"] = "root",
            ["DingFlow:Urls"] = "https://localhost:1",
        });

        Assert.Equal(78, await program.RunToEndAsync());

        var lines = program.Errors.Split('\n');
        foreach (var setting in (string[])["Deliveries:EncryptionKey", "DingFlow:Store", "Auth:ApiKeys:x:Hash", "Auth:ApiKeys:x:Roles", "DingFlow:Urls"])
        {
            Assert.Single(lines, line => line.StartsWith($"{setting}: ", StringComparison.Ordinal));
        }

        Assert.DoesNotContain("secret", program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Local_settings_are_read_and_the_environment_wins()
    {
        await using var program = DingFlowProcess.Standalone(new Dictionary<string, string> { ["Auth:ApiKeys:b:Roles"] = "operations.read" });
        await File.WriteAllTextAsync(
            Path.Combine(program.DataDirectory, "local.settings.json"),
            """{"Values":{"Auth__ApiKeys__a__Roles":"first-unknown","Auth__ApiKeys__b__Roles":"second-unknown"}}""", Cancellation);

        Assert.Equal(78, await program.RunToEndAsync());

        Assert.Contains("'first-unknown' is not a role", program.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("second-unknown", program.Errors, StringComparison.Ordinal);
    }

    /// <summary>They were seen by the features, but not by what decides which keys to generate: a source and an API key that nobody asked for.</summary>
    [Fact]
    public async Task Nothing_is_generated_in_place_of_what_local_settings_have_and_what_they_need_is()
    {
        await using var program = DingFlowProcess.Standalone();
        await File.WriteAllTextAsync(
            Path.Combine(program.DataDirectory, "local.settings.json"),
            $$"""
            {"Values":{"HrSources:acme:Dialect":"standard","HrSources:acme:Secrets:0":"whsec_{{Convert.ToBase64String(new byte[32])}}",
             "Auth:ApiKeys:ops:Hash":"sha256:{{new string('0', 64)}}","Auth:ApiKeys:ops:Roles":"operations.read",
             "Signals:Issuer":"https://dingflow.example/api","Signals:Subscribers:crm:Url":"https://crm.example/events","Signals:Subscribers:crm:Audience":"crm" } }
            """, Cancellation);
        await program.StartAsync();

        using var unasked = await program.Client.PostAsync("/api/hr/sandbox", new StringContent("{}"), Cancellation);
        using var configured = await program.Client.PostAsync("/api/hr/acme", new StringContent("{}", System.Text.Encoding.UTF8, "application/json"), Cancellation);
        var keys = await program.Client.GetStringAsync("/api/signals/jwks.json", Cancellation);

        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.Unauthorized), (unasked.StatusCode, configured.StatusCode));
        Assert.False(File.Exists(Path.Combine(program.DataDirectory, "api-key")));
        Assert.False(File.Exists(Path.Combine(program.DataDirectory, "hr-secret")));
        Assert.Contains("RS256", keys, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_occupied_port_ends_the_start_with_the_reason()
    {
        using var occupier = new TcpListener(IPAddress.Loopback, 0);
        occupier.Start();
        await using var program = DingFlowProcess.Standalone(new Dictionary<string, string> { ["DingFlow:Urls"] = $"http://{occupier.LocalEndpoint}" });

        Assert.Equal(70, await program.RunToEndAsync());

        Assert.Contains("already in use", program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Under_the_host_one_loopback_port_serves_readiness_http_functions_and_invocations()
    {
        await using var program = await DingFlowProcess.StartUnderHostAsync(UnderHost);
        const string Invocation = """{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}""";

        using var readiness = await program.Client.GetAsync("/", Cancellation);
        using var invocation = await program.Client.PostAsync("/SweepInbox", new StringContent(Invocation), Cancellation);
        using var unknown = await program.Client.PostAsync("/NoSuchFunction", new StringContent(Invocation), Cancellation);
        using var malformed = await program.Client.PostAsync("/SweepInbox", new StringContent("{}"), Cancellation);
        using var http = await program.Client.GetAsync("/api/health", Cancellation);

        Assert.Equal(HttpStatusCode.OK, readiness.StatusCode);
        Assert.Equal((HttpStatusCode.OK, "{}"), (invocation.StatusCode, await invocation.Content.ReadAsStringAsync(Cancellation)));
        Assert.Equal("application/json", invocation.Content.Headers.ContentType?.MediaType);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, malformed.StatusCode);
        Assert.Equal(HttpStatusCode.OK, http.StatusCode);
        Assert.Equal("127.0.0.1", program.Client.BaseAddress?.Host);
        Assert.False(File.Exists(Path.Combine(program.DataDirectory, "keys.json")));
    }

    [Fact]
    public async Task Under_the_host_the_process_never_ends_with_zero()
    {
        await using var program = await DingFlowProcess.StartUnderHostAsync(UnderHost);

        Assert.Equal(128 + 15, await program.TerminateAsync());
    }

    [Fact]
    public async Task Under_the_host_missing_settings_end_the_start_before_it_listens()
    {
        await using var program = DingFlowProcess.UnderHost();

        Assert.Equal(78, await program.RunToEndAsync());

        Assert.Contains("Auth:Authority: ", program.Errors, StringComparison.Ordinal);
        Assert.Contains("DingTalk:Tenants: ", program.Errors, StringComparison.Ordinal);
    }
}
