using System.Runtime.CompilerServices;
using Azure.Core;
using Azure.Identity;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Remote;

/// <summary>
/// The one identity with which DingFlow speaks to Azure: Table Storage, Service Bus, Key Vault and, unless it has its own, Graph.
/// </summary>
/// <remarks>
/// In Azure it is the managed identity that <c>AZURE_CLIENT_ID</c> (or <c>ServiceBusConnection:clientId</c>, as the Functions host
/// has it) names, or the system-assigned one when neither is set; elsewhere what <see cref="DefaultAzureCredential"/> finds: the
/// environment, a workload identity, the developer's own sign-in. <c>Entra:Cloud</c> = <c>china</c> signs in at the authority of
/// Azure China; without it <c>AZURE_AUTHORITY_HOST</c> decides.
/// </remarks>
public static class AzureCredentials
{
    /// <summary>
    /// Registers the credential as <see cref="Lazy{T}"/> of <see cref="TokenCredential"/>. It is built on first use, because loading
    /// its libraries takes longer than the rest of the start.
    /// </summary>
    public static IServiceCollection AddAzureCredentials(this IServiceCollection services, IConfiguration configuration)
    {
        services.TryAddSingleton(new Lazy<TokenCredential>(() => Create(configuration)));
        return services;
    }

    /// <summary>Builds the credential. Nothing is fetched until a token is asked for.</summary>
    public static TokenCredential Create(IConfiguration configuration)
    {
        var choice = Choose(configuration);
        return choice.ManagedIdentity ? Managed(choice) : Default(choice);
    }

    /// <summary>Which credential these settings ask for.</summary>
    internal static CredentialChoice Choose(IConfiguration configuration)
    {
        var inAzure = Text(configuration, "IDENTITY_ENDPOINT") is not null || Text(configuration, "MSI_ENDPOINT") is not null;
        var asked = string.Equals(Text(configuration, "ServiceBusConnection:credential"), "managedidentity", StringComparison.OrdinalIgnoreCase);
        return new(
            inAzure || asked,
            Text(configuration, "AZURE_CLIENT_ID") ?? Text(configuration, "ServiceBusConnection:clientId"),
            string.Equals(Text(configuration, "Entra:Cloud"), "china", StringComparison.OrdinalIgnoreCase));
    }

    private static string? Text(IConfiguration configuration, string name) =>
        configuration[name] is { } value && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;

    // Each in a method of its own that is not inlined: the choice must not load the library.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ManagedIdentityCredential Managed(CredentialChoice choice) => new(
        choice.ClientId is null ? ManagedIdentityId.SystemAssigned : ManagedIdentityId.FromUserAssignedClientId(choice.ClientId));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static DefaultAzureCredential Default(CredentialChoice choice)
    {
        var options = new DefaultAzureCredentialOptions();
        if (choice.China)
        {
            options.AuthorityHost = AzureAuthorityHosts.AzureChina;
        }

        if (choice.ClientId is not null)
        {
            options.ManagedIdentityClientId = choice.ClientId;
        }

        return new(options);
    }
}

/// <summary>Which credential the settings ask for.</summary>
/// <param name="ManagedIdentity">The managed identity, rather than whatever the machine offers.</param>
/// <param name="ClientId">The user-assigned identity; <see langword="null"/> means the system-assigned one.</param>
/// <param name="China">Sign in at the authority of Azure China.</param>
internal sealed record CredentialChoice(bool ManagedIdentity, string? ClientId, bool China);
