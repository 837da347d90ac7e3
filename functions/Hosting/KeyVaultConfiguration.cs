using System.Runtime.CompilerServices;
using Azure.Core;
using Azure.Core.Pipeline;
using DingFlow.Remote;
using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>Settings from Key Vault: a secret <c>A--B</c> is the setting <c>A:B</c>.</summary>
/// <remarks>
/// The vault fills in what is not set elsewhere: environment variables and local settings win, so that an operator can override a
/// secret without touching the vault, and a rehearsal can never be overridden by it. An empty value counts as set.
/// </remarks>
public static class KeyVaultConfiguration
{
    private static readonly TimeSpan LeastReloadInterval = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Reads every enabled secret of <c>KeyVault:Uri</c>, when that is set, and puts them below all settings there are. Call it after
    /// the other sources have been added. A vault that cannot be read within <c>KeyVault:Timeout</c> (30 s) is a fault.
    /// </summary>
    /// <param name="configuration">The settings so far, and where the secrets go.</param>
    /// <param name="faults">Where faults go.</param>
    /// <param name="services">
    /// With it, and <c>KeyVault:ReloadInterval</c> set, a hosted service reads the vault again and again. Settings that are read once
    /// at the start keep the value they had; whoever reads the configuration itself sees the new one.
    /// </param>
    public static void AddKeyVaultSecrets(
        this IConfigurationManager configuration, SettingsFaults faults, IServiceCollection? services = null) =>
        AddKeyVaultSecrets(configuration, faults, services, null, null);

    internal static void AddKeyVaultSecrets(
        IConfigurationManager configuration, SettingsFaults faults, IServiceCollection? services,
        TokenCredential? credential, HttpPipelineTransport? transport)
    {
        var reader = new SettingsReader(configuration, "KeyVault", faults);
        var uri = reader.Address("Uri");
        var timeout = reader.Duration("Timeout", TimeSpan.FromSeconds(30));
        var reload = reader.Text("ReloadInterval") is null ? (TimeSpan?)null : reader.Duration("ReloadInterval", LeastReloadInterval);
        if (reload < LeastReloadInterval)
        {
            reader.Fault("ReloadInterval", "must be at least 00:01:00");
        }

        if (uri is null)
        {
            return;
        }

        if (uri.Scheme != Uri.UriSchemeHttps)
        {
            reader.Fault("Uri", "must be https, because a token goes there");
            return;
        }

        Load(configuration, reader, services, new(uri, timeout, reload, transport), credential);
    }

    // Not inlined, so that the Azure SDK is not loaded where there is no vault.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Load(
        IConfigurationManager configuration, SettingsReader reader, IServiceCollection? services, KeyVaultOptions options, TokenCredential? credential)
    {
        var secrets = new KeyVaultSecrets(options, credential ?? AzureCredentials.Create(configuration), TimeProvider.System);
        try
        {
            // Settings are read before anything is asynchronous, and once: waiting here holds up nobody.
            Task.Run(() => secrets.ReadAsync(CancellationToken.None)).GetAwaiter().GetResult();
        }
        catch (KeyVaultException fault)
        {
            reader.Fault("Uri", fault.Message);
            return;
        }

        configuration.Sources.Insert(0, new KeyVaultConfigurationSource(secrets));
        if (services is not null && options.ReloadInterval is { } interval)
        {
            services.AddSingleton<IHostedService>(provider => new KeyVaultReload(
                secrets, interval, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<KeyVaultReload>>()));
        }
    }
}

/// <summary>Secrets that were read, as a source of settings. Building it again, as the configuration does whenever a source is added, reads nothing.</summary>
internal sealed class KeyVaultConfigurationSource(KeyVaultSecrets secrets) : IConfigurationSource
{
    public IConfigurationProvider Build(IConfigurationBuilder builder) => new Provider(secrets);

    private sealed class Provider : ConfigurationProvider, IDisposable
    {
        private readonly KeyVaultSecrets _secrets;

        public Provider(KeyVaultSecrets secrets)
        {
            _secrets = secrets;
            _secrets.Changed += Publish;
        }

        public override void Load() => Data = new Dictionary<string, string?>(_secrets.Current, StringComparer.OrdinalIgnoreCase);

        public void Dispose() => _secrets.Changed -= Publish;

        private void Publish()
        {
            Load();
            OnReload();
        }
    }
}

/// <summary>Reads the vault again and again (<c>KeyVault:ReloadInterval</c>), so that a rotated secret is seen without a restart.</summary>
internal sealed partial class KeyVaultReload(KeyVaultSecrets secrets, TimeSpan interval, TimeProvider timeProvider, ILogger<KeyVaultReload> logger)
    : BackgroundService
{
    private readonly PeriodicTimer _timer = new(interval, timeProvider);

    public override void Dispose()
    {
        _timer.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (await _timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (await secrets.ReadAsync(stoppingToken))
                {
                    Log.Reloaded(logger);
                }
            }
            catch (KeyVaultException fault)
            {
                // What was read before stays in force.
                Log.Failed(logger, fault.Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Secrets in Key Vault have changed")]
        public static partial void Reloaded(ILogger logger);

        [LoggerMessage(2, LogLevel.Warning, "Key Vault could not be read again: it {Fault}")]
        public static partial void Failed(ILogger logger, string fault);
    }
}
