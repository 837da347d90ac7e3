using System.Security.Cryptography;
using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

[assembly: AssemblyFixture(typeof(DingFlow.Tests.EndToEnd.StandaloneProgram))]
[assembly: AssemblyFixture(typeof(DingFlow.Tests.EndToEnd.ConfiguredProgram))]

namespace DingFlow.Tests.EndToEnd;

/// <summary>One standalone program with nothing configured, for every test that leaves it as it found it. It starts when the first asks.</summary>
public sealed class StandaloneProgram : IAsyncDisposable
{
    private readonly Lazy<Task<DingFlowProcess>> _program = new(() => DingFlowProcess.StartStandaloneAsync());

    internal async Task<Walk> WalkAsync() => new(await _program.Value, "sandbox", (await _program.Value).HrSecret, (await _program.Value).ApiKey);

    public async ValueTask DisposeAsync()
    {
        if (_program is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
        {
            await (await _program.Value).DisposeAsync();
        }
    }
}

/// <summary>One standalone program that is configured by environment variables alone, as an outside tester would.</summary>
public sealed class ConfiguredProgram : IAsyncDisposable
{
    internal const string OperatorKey = "operator-key-of-the-tests-0123456789";
    internal const string ReaderKey = "reader-key-of-the-tests-0123456789";
    internal const string StrangerKey = "stranger-key-of-the-tests-0123456789";

    private readonly Lazy<Task<DingFlowProcess>> _program;

    public ConfiguredProgram() => _program = new(() => DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
    {
        ["HrSources__acme__Dialect"] = "standard",
        ["HrSources__acme__Secrets__0"] = NewSecret,
        ["HrSources__acme__Secrets__1"] = OldSecret,
        ["HrSources__slow__Dialect"] = "standard",
        ["HrSources__slow__Secrets__0"] = NewSecret,
        ["HrSources__slow__MaxPerMinute"] = "1",
        ["Auth__ApiKeys__ops__Hash"] = HashOf(OperatorKey),
        ["Auth__ApiKeys__ops__Roles"] = "operations.read,operations.write",
        ["Auth__ApiKeys__reader__Hash"] = HashOf(ReaderKey),
        ["Auth__ApiKeys__reader__Roles"] = "operations.read",
        ["Auth__ApiKeys__auditor__Hash"] = HashOf(StrangerKey),
        ["Auth__ApiKeys__auditor__Roles"] = "audit.read",
    }));

    internal string NewSecret { get; } = HrSender.NewSecret();

    internal string OldSecret { get; } = HrSender.NewSecret();

    internal async Task<Walk> WalkAsync() => new(await _program.Value, "acme", NewSecret, OperatorKey);

    public async ValueTask DisposeAsync()
    {
        if (_program is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
        {
            await (await _program.Value).DisposeAsync();
        }
    }

    internal static string HashOf(string key) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))}";
}

/// <summary>A running program with everybody who has to do with it: an HR system, the operators, the sandbox's switches.</summary>
internal sealed class Walk : IDisposable
{
    private readonly HttpClient _operator;

    public Walk(DingFlowProcess program, string source, string secret, string apiKey)
    {
        Program = program;
        Hr = new(program.Client, source, secret);
        _operator = program.CreateOperator(apiKey);
        Operations = new(_operator);
        Sandbox = new(program.CreateSocketClient("sandbox.sock"));
    }

    public DingFlowProcess Program { get; }

    public HrSender Hr { get; }

    public Operations Operations { get; }

    public HttpClient Operator => _operator;

    public SandboxSwitches Sandbox { get; }

    public void Dispose()
    {
        _operator.Dispose();
        Sandbox.Dispose();
    }
}

/// <summary>The settings that lead a program to a sandbox in the test's own process, which outlives the program.</summary>
internal static class OutsideSandbox
{
    public static Dictionary<string, string> Settings(SandboxServer sandbox, params ReadOnlySpan<(string Name, string Value)> more)
    {
        const string Tenant = "DingTalk:Tenants:sandbox:";
        var settings = new Dictionary<string, string>
        {
            [Tenant + "CorpId"] = SandboxOptions.CorpId,
            [Tenant + "AppKey"] = SandboxOptions.AppKey,
            [Tenant + "AppSecret"] = SandboxOptions.AppSecret,
            [Tenant + "Token"] = SandboxOptions.CallbackToken,
            [Tenant + "AesKey"] = SandboxOptions.CallbackAesKey,
            [Tenant + "OwnerKey"] = SandboxOptions.AppKey,
            [Tenant + "BaseUrl"] = sandbox.DingTalk.ToString(),
            [Tenant + "LegacyBaseUrl"] = sandbox.DingTalkLegacy.ToString(),
            ["Entra:TenantId"] = "sandbox",
            ["Entra:BaseUrl"] = sandbox.Graph.ToString(),
            ["Entra:Credential"] = "none",
        };
        foreach (var (name, value) in more)
        {
            settings[name] = value;
        }

        return settings;
    }
}
