namespace DingFlow.Sandbox;

/// <summary>How the sandbox is set up.</summary>
public sealed record SandboxOptions
{
    /// <summary>The tenant's name in <c>DingTalk:Tenants</c>.</summary>
    public const string Tenant = "sandbox";

    /// <summary>Organisation id of the imaginary tenant.</summary>
    public const string CorpId = "dingsandbox000000000000000000000001";

    /// <summary>App key. It opens nothing but imaginary accounts, hence it may be known.</summary>
    public const string AppKey = "dingsandboxappkey01";

    /// <summary>App secret; see <see cref="AppKey"/>.</summary>
    public const string AppSecret = "sandbox-app-secret-opens-imaginary-accounts-only";

    /// <summary>Token of the event callback; see <see cref="AppKey"/>.</summary>
    public const string CallbackToken = "sandboxcallbacktoken";

    /// <summary>Key of the event callback, 43 characters; see <see cref="AppKey"/>.</summary>
    public const string CallbackAesKey = "DingFlowSandboxAesKey0123456789abcdefghijkQ";

    /// <summary>Agent id of the app, for work notices.</summary>
    public const long AgentId = 300_000_001;

    /// <summary>The <c>access_token</c> of the imaginary group's robot; see <see cref="AppKey"/>.</summary>
    public const string RobotToken = "sandboxrobottoken01";

    /// <summary>The secret that signs for the robot; see <see cref="AppKey"/>.</summary>
    public const string RobotSecret = "SECsandboxrobotreachesimaginarypeopleonly";

    /// <summary>
    /// Where the state (<c>sandbox.json</c>) and the control socket (<c>sandbox.sock</c>) lie. Without it, the state is in memory and
    /// there is no control socket.
    /// </summary>
    public string? DataDirectory { get; init; }
}
