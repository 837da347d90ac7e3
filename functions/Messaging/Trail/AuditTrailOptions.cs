using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Messaging;

/// <summary>Settings of whoever writes to the audit trail (<c>Audit</c>).</summary>
public sealed record AuditTrailOptions
{
    private const int MaximumLength = 40;

    /// <summary>
    /// Chains that instances without a name share. Instances come and go, and a chain stays for ever: each of them is read by every search
    /// and every verification.
    /// </summary>
    private const int SharedChains = 32;

    /// <summary>
    /// The name of this writer's chain (<c>Audit:Writer</c>). The default is <c>main</c> when standalone, else one of 32, made from the
    /// instance's id. Two writers of one name share a chain, which is safe and slower.
    /// </summary>
    public string Writer { get; init; } = "main";

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static AuditTrailOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Audit", faults);
        var writer = reader.Text("Writer") ?? DefaultWriter(configuration);
        if (!IsValid(writer))
        {
            reader.Fault("Writer", "must be at most 40 lower-case letters, digits or '-'");
        }

        return new() { Writer = writer };
    }

    /// <summary>Whether a text can be the name of a chain.</summary>
    public static bool IsValid(string? name) =>
        name is { Length: > 0 and <= MaximumLength } && name.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    private static string DefaultWriter(IConfiguration configuration) => HostingOptions.ModeOf(configuration) == HostMode.Standalone
        ? "main"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"i-{SHA256.HashData(Encoding.UTF8.GetBytes(configuration["WEBSITE_INSTANCE_ID"] ?? Environment.MachineName))[0] % SharedChains:D2}");
}

/// <summary>Puts the audit trail into the program.</summary>
public static class AuditTrailServices
{
    /// <summary>Adds <see cref="IAuditTrail"/>, <see cref="ChangeJournal"/> and <see cref="AuditPseudonyms"/>, once, whoever asks. It needs a store.</summary>
    public static IServiceCollection TryAddAuditTrail(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(static service => service.ServiceType == typeof(AuditPseudonyms)))
        {
            return services;
        }

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(new AuditPseudonyms(LedgerKeySetting.Read(configuration, faults, required: false)));
        services.AddSingleton(static provider => new ChangeJournal(
            provider.GetRequiredService<IEntityStore>(), provider.GetRequiredService<IAuditTrail>(), new(provider.GetServices<IChangeSettler>),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ChangeJournal>>()));
        if (services.Any(static service => service.ServiceType == typeof(IAuditTrail)))
        {
            return services;
        }

        services.AddSingleton(AuditTrailOptions.Read(configuration, faults));
        services.AddSingleton<AuditTrail>();
        return services.AddSingleton<IAuditTrail>(static provider => provider.GetRequiredService<AuditTrail>());
    }
}
