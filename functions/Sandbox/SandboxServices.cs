using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Sandbox;

/// <summary>Puts the sandbox into the program.</summary>
public static class SandboxServices
{
    /// <summary>
    /// Serves the listener that <see cref="SandboxSettings.Apply"/> opened, in the background, once the program has started; without one,
    /// does nothing.
    /// </summary>
    public static IServiceCollection AddSandbox(this IServiceCollection services, SandboxListener? listener, SandboxOptions options)
    {
        if (listener is null)
        {
            return services;
        }

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new SandboxServer(
            listener, options, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<SandboxServer>>()));
        services.AddHostedService(provider => provider.GetRequiredService<SandboxServer>());
        return services;
    }
}
