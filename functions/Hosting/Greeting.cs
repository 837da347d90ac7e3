using DingFlow.Settings;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace DingFlow.Hosting;

/// <summary>What a standalone program tells the person who started it.</summary>
internal static class Greeting
{
    /// <summary>What stands before each address; tests and scripts wait for it.</summary>
    public const string Listening = "DingFlow listens on ";

    public static void Print(WebApplication app)
    {
        var options = app.Services.GetRequiredService<HostingOptions>();
        foreach (var address in app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses)
        {
            if (!address.StartsWith("http://unix:", StringComparison.Ordinal))
            {
                Console.WriteLine(Listening + address);
            }
        }

        if (options.Mode == HostMode.Standalone && app.Services.GetService<GeneratedKeys>()?.ApiKeyPath is { } path)
        {
            // A redirected output ends up in files and log collectors, where a key must not be.
            Console.WriteLine($"API key in {path}{(Console.IsOutputRedirected ? "" : $": {File.ReadAllText(path)}")}");
        }
    }
}
