using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.HrSystems;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>
/// The pipeline once more, beside the real one and apart from it: its own store, queue and inbox in a temporary directory, its own
/// sandbox in place of every tenant, the offboarding settings in force. Webhooks are signed and verified, queued and worked off by the
/// same code as real ones.
/// </summary>
internal sealed class RehearsalWorld : IAsyncDisposable
{
    private const int Workers = 4;

    private readonly DirectoryInfo _directory;
    private readonly ServiceProvider _services;
    private readonly string _source;
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, List<(string Call, SandboxPerson Before, SandboxPerson After)>> _changes = new(StringComparer.Ordinal);

    private RehearsalWorld(DirectoryInfo directory, SandboxServer sandbox, IConfiguration live, string source)
    {
        (_directory, Sandbox, _source) = (directory, sandbox, source);
        var configuration = Configuration(live);
        var faults = new SettingsFaults();
        var services = new ServiceCollection();
        services.AddSingleton(configuration).AddSingleton<IConfiguration>(configuration);
        services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance).AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));

        // Under a name of their own, so that imaginary leavers are in no statistics.
        services.AddSingleton<IMeterFactory>(new RehearsalMeters());
        services.AddSingleton<IAlertSender>(new AlertCount(Alerts));
        services.AddStorage(configuration, faults).AddMessaging(configuration, faults).AddDingTalk(configuration, faults).AddEntra(configuration, faults)
            .AddIntake(configuration, faults).AddHrSystems(configuration, faults).AddOffboarding(configuration, faults);
        faults.ThrowIfAny();
        _services = services.BuildServiceProvider();
        sandbox.Directory.Mutated += Remember;
    }

    public SandboxServer Sandbox { get; }

    public Dictionary<string, int> Alerts { get; } = new(StringComparer.Ordinal);

    public OffboardingPlans Plans => _services.GetRequiredService<OffboardingPlans>();

    /// <summary>Makes one.</summary>
    public static async Task<RehearsalWorld> CreateAsync(IConfiguration live, string source, CancellationToken cancellationToken)
    {
        var directory = Directory.CreateTempSubdirectory("dingflow-rehearsal-");
        SandboxServer? sandbox = null;
        try
        {
            sandbox = await SandboxServer.StartNewAsync(cancellationToken: cancellationToken);
            return new(directory, sandbox, live, source);
        }
        catch
        {
            if (sandbox is not null)
            {
                await sandbox.DisposeAsync();
            }

            directory.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Reports a leaver by a signed webhook, as an HR system does. Returns the answer's status.</summary>
    public async Task<int> ReportAsync(SyntheticLeaver leaver, DateTimeOffset now)
    {
        var person = Sandbox.Directory[leaver.EmployeeId];
        var body = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["type"] = "employee.terminated",
            ["timestamp"] = now.ToString("O", System.Globalization.CultureInfo.InvariantCulture),
            ["data"] = new JsonObject
            {
                ["employeeId"] = leaver.EmployeeId, ["email"] = person.Entra!.Mail, ["dingTalkUserId"] = person.DingTalk!.UserId, ["immediate"] = true,
            },
        }.ToJsonString());
        var (id, timestamp) = ($"rehearsal-{leaver.EmployeeId}", now.ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture));
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
        var signature = HMACSHA256.HashData(_secret, signed);
        var context = new DefaultHttpContext { RequestServices = _services };
        context.Request.Method = HttpMethods.Post;
        context.Request.ContentType = "application/json";
        context.Request.ContentLength = body.Length;
        context.Request.Body = new MemoryStream(body);
        context.Request.RouteValues["source"] = _source;
        context.Request.Headers[StandardWebhooks.IdHeader] = id;
        context.Request.Headers[StandardWebhooks.TimestampHeader] = timestamp;
        context.Request.Headers[StandardWebhooks.SignatureHeader] = $"v1,{Convert.ToBase64String(signature)}";
        context.Response.Body = new MemoryStream();
        await _services.GetRequiredService<ReceiveHrWebhook>().InvokeAsync(context);
        return context.Response.StatusCode;
    }

    /// <summary>Works the queue off until every leaver's case is concluded, or the time is up.</summary>
    public async Task WorkAsync(IReadOnlyList<SyntheticLeaver> leavers, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        stop.CancelAfter(limit);
        var workers = Enumerable.Range(0, Workers).Select(_ => WorkAsync(leavers, stop)).ToList();
        await Task.WhenAll(workers);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>The leaver's case; <see langword="null"/>: there is none.</summary>
    public async Task<OffboardingCase?> CaseOfAsync(SyntheticLeaver leaver, CancellationToken cancellationToken) =>
        await _services.GetRequiredService<CaseStore>().OfEmployeeAsync(leaver.EmployeeId, cancellationToken) is [var newest, ..] ? newest : null;

    /// <summary>What happened to a leaver in the directory, in order.</summary>
    public IReadOnlyList<(string Call, SandboxPerson Before, SandboxPerson After)> ChangesOf(SyntheticLeaver leaver)
    {
        lock (_changes)
        {
            return [.. _changes.GetValueOrDefault(leaver.EmployeeId, [])];
        }
    }

    public async ValueTask DisposeAsync()
    {
        Sandbox.Directory.Mutated -= Remember;
        await _services.DisposeAsync();
        await Sandbox.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    private async Task WorkAsync(IReadOnlyList<SyntheticLeaver> leavers, CancellationTokenSource stop)
    {
        var queue = _services.GetRequiredService<IEmbeddedQueue>();
        var process = _services.GetRequiredService<ProcessOffboarding>();
        try
        {
            while (true)
            {
                var message = await queue.ReceiveAsync(Queues.Offboarding, stop.Token);
                await process.InvokeAsync(message.Message, stop.Token);
                await queue.CompleteAsync(message, stop.Token);
                if (await AllConcludedAsync(leavers, stop.Token))
                {
                    await stop.CancelAsync();
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Everybody is done, or the time is up; whose case is not concluded stands in the report as it is.
        }
    }

    private async Task<bool> AllConcludedAsync(IReadOnlyList<SyntheticLeaver> leavers, CancellationToken cancellationToken)
    {
        foreach (var leaver in leavers)
        {
            if (await CaseOfAsync(leaver, cancellationToken) is not { State: not (CaseState.Running or CaseState.Scheduled) })
            {
                return false;
            }
        }

        return true;
    }

    private void Remember(string call, SandboxPerson before, SandboxPerson after)
    {
        lock (_changes)
        {
            if (!_changes.TryGetValue(before.EmployeeId, out var list))
            {
                _changes[before.EmployeeId] = list = [];
            }

            list.Add((call, before, after));
        }
    }

    private IConfigurationRoot Configuration(IConfiguration live)
    {
        // The offboarding policy in force, but for the brake: it counts real leavers, and these are to go through.
        var settings = live.GetSection("Offboarding").AsEnumerable().Where(s => s.Value is not null).ToDictionary(s => s.Key, s => s.Value, StringComparer.OrdinalIgnoreCase);
        const string Tenant = $"DingTalk:Tenants:{SandboxOptions.Tenant}:";
        foreach (var (key, value) in (IEnumerable<(string, string)>)
            [
                ("Offboarding:Brake:Count", "0"), ("Offboarding:Brake:Percent", "0"),
                ("DingFlow:DataDirectory", _directory.FullName), ("DingFlow:Store", "sqlite"), ("DingFlow:Queue", "sqlite"),
                ("Deliveries:EncryptionKey", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))),
                ("Pseudonyms:LedgerKey", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))),
                ($"HrSources:{_source}:Dialect", "standard"), ($"HrSources:{_source}:Secrets:0", $"whsec_{Convert.ToBase64String(_secret)}"),
                (Tenant + "CorpId", SandboxOptions.CorpId), (Tenant + "AppKey", SandboxOptions.AppKey), (Tenant + "AppSecret", SandboxOptions.AppSecret),
                (Tenant + "BaseUrl", Sandbox.DingTalk.ToString()), (Tenant + "LegacyBaseUrl", Sandbox.DingTalkLegacy.ToString()),
                ("Entra:TenantId", SandboxOptions.Tenant), ("Entra:BaseUrl", Sandbox.Graph.ToString()), ("Entra:Credential", "none"),
            ])
        {
            settings[key] = value;
        }

        return new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
    }

    private sealed class AlertCount(Dictionary<string, int> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            lock (alerts)
            {
                alerts[alert.Type] = alerts.GetValueOrDefault(alert.Type) + 1;
            }

            return Task.CompletedTask;
        }
    }

    private sealed class RehearsalMeters : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter("DingFlow.Rehearsal");
            _meters.Add(meter);
            return meter;
        }

        public void Dispose() => _meters.ForEach(meter => meter.Dispose());
    }
}
