using System.Diagnostics.CodeAnalysis;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Scim;

/// <summary>Puts the SCIM 2.0 service (RFC 7643, RFC 7644) into the program.</summary>
public static class ScimServices
{
    /// <summary>Adds the routes below <c>scim/v2/{source}</c>. It needs the intake with its sources, the inbox, a store and an alert sender.</summary>
    public static IServiceCollection AddScim(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        services.TryAddAuditTrail(configuration, faults);
        services.AddSingleton(ScimOptions.Read(configuration, faults));
        services.AddSingleton<ScimSources>();
        services.AddSingleton<ScimKeys>();
        services.AddSingleton<ScimUserStore>();
        services.AddSingleton<ScimUserQueries>();
        services.AddSingleton<ScimProvisioning>();
        services.AddSingleton<IHeldPeople, ScimHeldPeople>();
        return services
            .AddRoute<ListScimUsers>()
            .AddRoute<SearchScimUsers>()
            .AddRoute<GetScimUser>()
            .AddRoute<CreateScimUser>()
            .AddRoute<ReplaceScimUser>()
            .AddRoute<PatchScimUser>()
            .AddRoute<DeleteScimUser>()
            .AddRoute<ListScimGroups>()
            .AddRoute<CreateScimGroup>()
            .AddRoute<GetScimServiceProviderConfig>()
            .AddRoute<GetScimResourceTypes>()
            .AddRoute<GetScimSchemas>()
            .AddFunction<RekeyScimUsers>();
    }

    private static IServiceCollection AddRoute<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TFunction>(
        this IServiceCollection services)
        where TFunction : class, IHttpFunction => services.AddFunction<TFunction>(Roles.Scim, ScimProblemWriter.Instance);
}

/// <summary>
/// Every day: writes anew what is still kept under the encryption key before the present one, so that the old key can be given up when
/// this has run once.
/// </summary>
internal sealed partial class RekeyScimUsers(
    ScimSources sources, ScimUserStore users, ScimKeys keys, ScimProvisioning provisioning, ILogger<RekeyScimUsers> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var rewritten = 0;
        foreach (var source in sources.All)
        {
            await foreach (var user in users.ScanAsync(source.Name, cancellationToken))
            {
                if (user.KeyId != keys.CurrentKeyId && await provisioning.RewriteAsync(source, user, cancellationToken))
                {
                    rewritten++;
                }
            }
        }

        if (rewritten > 0)
        {
            Log.Rewritten(logger, rewritten);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Count} provisioned users were written anew under the present encryption key")]
        public static partial void Rewritten(ILogger logger, int count);
    }
}
