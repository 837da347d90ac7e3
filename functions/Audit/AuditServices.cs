using Azure.Core;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Wires the feature.</summary>
public static class AuditServices
{
    private static readonly TimeSpan TimestampTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Adds the audit trail with its timers and routes. It needs a store and an alert sender.</summary>
    public static IServiceCollection AddAudit(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        var options = AuditOptions.Read(configuration, faults);
        services.TryAddAuditTrail(configuration, faults).AddAzureCredentials(configuration);
        return services
            .AddSingleton(options)
            .AddHostedService<SweepAuditAtStart>()
            .AddPolicy(provider => AuditPolicy.Of(
                options, provider.GetRequiredService<DingTalkOptions>(), provider.GetRequiredService<EntraOptions>(), provider.GetRequiredService<AuditPseudonyms>()))
            .AddSingleton<PolicyLog>()
            .AddSingleton<RepetitionCounter>()
            .AddSingleton<RequestAudit>()
            .AddSingleton<AuditSeals>()
            .AddSingleton<AuditSearch>()
            .AddSingleton<AuditSealer>()
            .AddSingleton<AuditRetentionPolicy>()
            .AddSingleton<AuditVerifier>()
            .AddSingleton<AuditRounds>()
            .AddSingleton<AuditHolds>()
            .AddSingleton<AuditExpiry>()
            .AddSingleton(provider => new AuditArchive(provider.GetRequiredService<IEntityStore>(), Files(provider, options.Archive)))
            .AddSingleton(provider => new AuditAnchors(
                Files(provider, options.Anchor), options, new HttpClient { Timeout = TimestampTimeout }, provider.GetRequiredService<TimeProvider>()))
            .AddSingleton<IAuditAnchors>(static provider => provider.GetRequiredService<AuditAnchors>())
            .AddFunction<SearchAudit>(Roles.AuditRead)
            .AddFunction<SearchAuditSubject>(Roles.AuditRead)
            .AddFunction<ExportAudit>(Roles.AuditRead)
            .AddFunction<VerifyAudit>(Roles.AuditRead)
            .AddFunction<ProveAuditEntry>(Roles.AuditRead)
            .AddFunction<ListAuditHolds>(Roles.AuditRead)
            .AddFunction<PlaceAuditHold>(Roles.AuditHold)
            .AddFunction<ReleaseAuditHold>(Roles.AuditHold)
            .AddSingleton<PermissionSources>()
            .AddSingleton<PermissionLog>()
            .AddSingleton<PermissionReports>()
            .AddFunction<GetPermissionReport>(Roles.AuditRead)
            .AddFunction<SnapshotPermissions>()
            .AddFunction<ReportPermissions>()
            .AddFunction<ArchiveDingTalkLogs>()
            .AddFunction<SweepAudit>()
            .AddFunction<SealAudit>()
            .AddFunction<ExpireAudit>();
    }

    internal static IAuditFiles Files(IServiceProvider provider, AuditFileStore store) =>
        store.Directory is { } directory ? new FolderFiles(directory)
        : store.ContainerUri is null ? new NoFiles()
        : BlobFiles.Of(store, provider.GetRequiredService<Lazy<TokenCredential>>());
}
