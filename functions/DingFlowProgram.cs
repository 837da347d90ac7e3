using DingFlow.Alerts;
using DingFlow.Audit;
using DingFlow.Commands;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.HrSystems;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Rehearsals;
using DingFlow.Parking;
using DingFlow.Reports;
using DingFlow.Rules;
using DingFlow.Sandbox;
using DingFlow.Scim;
using DingFlow.Settings;
using DingFlow.Signals;
using DingFlow.Storage;
using DingFlow.Transfers;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow;

/// <summary>The program: settings, features, listeners, and how it ends.</summary>
public static partial class DingFlowProgram
{
    /// <summary>Runs until told to stop. Returns the exit code.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        if (CommandOverview.ExitCodeOf(args) is { } code)
        {
            await (code == 0 ? Console.Out : Console.Error).WriteLineAsync(CommandOverview.Text);
            return code;
        }

        if (args is [LedgerKeyCommand.Name, ..])
        {
            return await LedgerKeyCommand.RunAsync(args[1..], Console.Out, Console.Error);
        }

        WarmUp.Begin(SqliteConnection.WarmUp, Inbox.WarmUp, ReceiveHrWebhook.WarmUp);
        try
        {
            if (AuditCommand.Is(args))
            {
                return await AuditCommand.RunAsync(args, Console.Out, OpenStore, CancellationToken.None);
            }

            if (args is [BackupCommand.Name, .. var words])
            {
                return await BackupCommand.RunAsync(words, Console.Out, CancellationToken.None);
            }

            await using var app = Build(args, AddFeatures);
            await app.StartAsync();
            Greeting.Print(app);
            await app.WaitForShutdownAsync();
            return ExitCode(app);
        }
        catch (SettingsException exception)
        {
            foreach (var fault in exception.Faults)
            {
                await Console.Error.WriteLineAsync(fault);
            }

            return ProcessLifetime.SettingsExitCode;
        }
        catch (Exception exception)
        {
            // The cause of a start that fails (an occupied port, say) is in the message, and no request has been served yet.
            await Console.Error.WriteLineAsync($"DingFlow cannot run: {exception.Message}");
            await Console.Error.WriteLineAsync(SafeText.Of(exception));
            return ProcessLifetime.FailureExitCode;
        }
    }

    /// <summary>Every feature of the product. Order does not matter, but for the sandbox, which fills in settings that others read.</summary>
    internal static void AddFeatures(IServiceCollection services, ConfigurationManager configuration, SettingsFaults faults)
    {
        services.AddSandbox(
            SandboxSettings.Apply(configuration, faults), new SandboxOptions { DataDirectory = HostingOptions.DataDirectoryOf(configuration) });
        services.AddStorage(configuration, faults);
        services.AddMessaging(configuration, faults);
        services.AddParkedMessages();
        services.AddAudit(configuration, faults);
        services.AddDingTalk(configuration, faults);
        services.AddEntra(configuration, faults);
        services.AddAlerts(configuration, faults);
        services.AddIntake(configuration, faults);
        services.AddScim(configuration, faults);
        services.AddHrSystems(configuration, faults);
        services.AddOffboarding(configuration, faults);
        services.AddRehearsals();
        services.AddTransfers(configuration, faults);
        services.AddRules(configuration, faults);
        services.AddSignals(configuration, faults);
        services.AddThresholds(configuration);
        services.AddReports(configuration, faults);
    }

    /// <summary>The store of the settings, for commands that work on it without serving anything.</summary>
    private static IEntityStore OpenStore()
    {
        var faults = new SettingsFaults();
        var configuration = new ConfigurationManager();
        var services = new ServiceCollection();
        ProgramConfiguration.Add(configuration, [], faults);
        configuration.AddKeyVaultSecrets(faults, services);
        services.AddStorage(configuration, faults);
        faults.ThrowIfAny();
        return services.BuildServiceProvider().GetRequiredService<IEntityStore>();
    }

    /// <summary>Builds the program with the given features.</summary>
    /// <exception cref="SettingsException">The settings or the functions do not fit.</exception>
    internal static WebApplication Build(string[] args, Action<IServiceCollection, ConfigurationManager, SettingsFaults> addFeatures, string? functionsDirectory = null)
    {
        var faults = new SettingsFaults();
        // Empty: no files are watched and no settings read but those named here.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        var configuration = builder.Configuration;
        var services = builder.Services;
        ProgramConfiguration.Add(configuration, args, faults);
        configuration.AddKeyVaultSecrets(faults, services);

        var options = HostingOptions.Read(configuration, faults);
        var keys = options.Mode == HostMode.Standalone ? GeneratedKeys.Prepare(options.DataDirectory, configuration, faults) : null;
        if (keys is not null)
        {
            ProgramConfiguration.AddLowest(configuration, keys.Settings);
            services.AddSingleton(keys);
        }

        services.TryAddSingleton(TimeProvider.System);
        ConsoleLog.Add(builder.Logging, configuration);
        services.AddSingleton(options);
        AddAuthentication(services, AuthOptions.Read(configuration, options.Mode, faults));
        TelemetryExport.Add(services, configuration, faults);
        services.AddFunction<GetHealth>().AddFunction<GetOpenApi>();
        services.AddSingleton<HealthState>();
        services.AddSingleton<RequestRate>();
        addFeatures(services, configuration, faults);

        var catalog = FunctionCatalog.Read(
            functionsDirectory ?? AppContext.BaseDirectory, Registrations(services), configuration, Queues.All, faults);
        faults.ThrowIfAny();
        services.AddSingleton(catalog);

        var socket = options.Mode == HostMode.Standalone ? PrivateSocket.Prepare(options.DataDirectory) : null;
        AddListeners(builder, options, socket);
        services.AddSingleton<ProcessLifetime>();
        services.Replace(ServiceDescriptor.Singleton<IHostLifetime>(provider => provider.GetRequiredService<ProcessLifetime>()));

        var app = builder.Build();
        app.UseMiddleware<RequestPipeline>();
        app.UseMiddleware<InvocationEndpoints>();
        app.Use(WarmUp.Routing);
        app.UseRouting();
        HttpFunctions.Map(app, catalog);
        return app;
    }

    /// <summary>The exit code of a program that has stopped.</summary>
    internal static int ExitCode(WebApplication app) =>
        app.Services.GetRequiredService<ProcessLifetime>().ExitCode(app.Services.GetRequiredService<HostingOptions>().Mode);

    private static IEnumerable<FunctionRegistration> Registrations(IServiceCollection services) =>
        services.Select(service => service.ImplementationInstance).OfType<FunctionRegistration>();

    private static void AddAuthentication(IServiceCollection services, AuthOptions options)
    {
        services.AddSingleton(options);
        services.AddPolicy(provider => AuthPolicy.Of(options, provider.GetRequiredService<AuditPseudonyms>()));
        services.AddSingleton(provider => new BearerAuthentication(options, entra => new EntraTokens(
            entra, new HttpClient { Timeout = TimeSpan.FromSeconds(10) }, provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<EntraTokens>>())));
    }

    private static void AddListeners(WebApplicationBuilder builder, HostingOptions options, PrivateSocket? socket)
    {
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listeners.Configure(kestrel, options, socket));
        builder.Services.Configure<SocketTransportOptions>(Listeners.Configure);
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        if (socket is not null)
        {
            builder.Services.AddSingleton(socket);
            // After every feature: it stops first, while they still serve what is in flight.
            builder.Services.AddHostedService<StandaloneDriver>();
        }
    }
}
