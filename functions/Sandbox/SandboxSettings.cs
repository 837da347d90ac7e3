using System.Net.Sockets;
using DingFlow.Settings;

namespace DingFlow.Sandbox;

/// <summary>Decides whether the sandbox serves, and if so points the clients' ordinary settings at it.</summary>
public static class SandboxSettings
{
    /// <summary>
    /// When neither <c>DingTalk:Tenants</c> nor <c>Entra:TenantId</c> is set, listens on the loopback (<c>Sandbox:Port</c>, default any)
    /// and adds the settings that lead the clients there. Under the Functions host only with <c>Sandbox:Enabled</c> set to
    /// <c>true</c>: a production app that lacks settings must fail, not freeze imaginary people.
    /// </summary>
    /// <returns>The listener to serve with <see cref="SandboxServices.AddSandbox"/>, or <see langword="null"/>: no sandbox.</returns>
    public static SandboxListener? Apply(IConfigurationManager configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(faults);
        var sandbox = new SettingsReader(configuration, "Sandbox", faults);
        var underFunctionsHost = !string.IsNullOrEmpty(configuration["FUNCTIONS_CUSTOMHANDLER_PORT"]);
        var enabled = sandbox.Boolean("Enabled", defaultValue: !underFunctionsHost);
        if (configuration.GetSection("DingTalk:Tenants").GetChildren().Any() || !string.IsNullOrWhiteSpace(configuration["Entra:TenantId"]))
        {
            if (enabled && sandbox.Text("Enabled") is not null)
            {
                sandbox.Fault("Enabled", "must not be true beside DingTalk:Tenants or Entra:TenantId");
            }

            return null;
        }

        if (!enabled)
        {
            faults.Add("DingTalk:Tenants", "is missing, and so is Entra:TenantId; set one of them, or Sandbox:Enabled to true for imaginary people");
            return null;
        }

        var faultsBefore = faults.All.Count;
        var port = sandbox.Number("Port", 0, 0, 65535);
        if (faults.All.Count > faultsBefore)
        {
            return null;
        }

        try
        {
            var listener = SandboxListener.Open(port);
            configuration.AddInMemoryCollection(Settings(listener));
            return listener;
        }
        catch (SocketException)
        {
            sandbox.Fault("Port", "cannot be listened on");
            return null;
        }
    }

    private static Dictionary<string, string?> Settings(SandboxListener listener)
    {
        const string Tenant = $"DingTalk:Tenants:{SandboxOptions.Tenant}:";
        return new Dictionary<string, string?>
        {
            [Tenant + "CorpId"] = SandboxOptions.CorpId,
            [Tenant + "AppKey"] = SandboxOptions.AppKey,
            [Tenant + "AppSecret"] = SandboxOptions.AppSecret,
            [Tenant + "Token"] = SandboxOptions.CallbackToken,
            [Tenant + "AesKey"] = SandboxOptions.CallbackAesKey,
            [Tenant + "OwnerKey"] = SandboxOptions.AppKey,
            [Tenant + "BaseUrl"] = listener.DingTalk.ToString(),
            [Tenant + "LegacyBaseUrl"] = listener.DingTalkLegacy.ToString(),
            ["Entra:TenantId"] = SandboxOptions.Tenant,
            ["Entra:BaseUrl"] = listener.Graph.ToString(),
            ["Entra:Credential"] = "none",
        };
    }
}
