using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Commands;

/// <summary>
/// <c>DingFlow backup export FILE</c>, <c>import FILE [--over]</c>, <c>verify FILE</c>, <c>recount</c>: the operator's commands for
/// backups and the restore drill. They use the store that the settings name, and nothing else of the program runs. Standalone, the
/// program must be stopped: a data directory belongs to one process.
/// </summary>
internal static class BackupCommand
{
    /// <summary>The first word of the command line.</summary>
    public const string Name = "backup";

    private const int Differs = 1;
    private const int Misused = 64;

    internal const string Usage =
        """
        DingFlow backup export FILE          writes every row of the store into FILE
        DingFlow backup import FILE          puts the rows of FILE into an empty store; --over: into one that has rows already
        DingFlow backup verify FILE          says how the store differs from FILE
        DingFlow backup recount              says whether the ledger's counters are what its rows say
        Settings may follow as --Name=value.
        """;

    /// <summary>Runs a command. Returns the exit code: 0, 1 when something differs, 64 when it was not understood.</summary>
    public static async Task<int> RunAsync(string[] arguments, TextWriter output, CancellationToken cancellationToken)
    {
        var words = arguments.TakeWhile(a => !a.StartsWith("--", StringComparison.Ordinal)).ToArray();
        var settings = arguments.Skip(words.Length).Where(a => a != "--over").ToArray();
        var over = settings.Length + words.Length < arguments.Length;
        if (words is not ["export" or "import" or "verify", _] and not ["recount"] || (over && words[0] != "import"))
        {
            await output.WriteLineAsync(Usage);
            return Misused;
        }

        await using var services = Open(settings, withLedger: words[0] == "recount");
        var store = services.GetRequiredService<IEntityStore>();
        var backup = new StoreBackup(store, (IStoredRows)store);
        switch (words)
        {
            case ["export", var path]:
                await TellAsync(output, "Exported", await backup.ExportAsync(path, TimeProvider.System.GetUtcNow(), cancellationToken));
                return 0;
            case ["import", var path]:
                await TellAsync(output, "Imported", await backup.ImportAsync(path, over, cancellationToken));
                return 0;
            case ["verify", var path]:
                var differences = await backup.VerifyAsync(path, cancellationToken);
                await output.WriteLineAsync(differences.Count == 0 ? "The store holds what the backup holds." : string.Join('\n', differences));
                return differences.Count == 0 ? 0 : Differs;
            default:
                return await RecountAsync(services, (IStoredRows)store, output, cancellationToken);
        }
    }

    /// <summary>The store, and for a recount the ledger, as the settings say; no listener, no timer, no queue.</summary>
    private static ServiceProvider Open(string[] settings, bool withLedger)
    {
        var faults = new SettingsFaults();
        var configuration = new ConfigurationManager();
        ProgramConfiguration.Add(configuration, settings, faults);
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton(TimeProvider.System);
        services.AddStorage(configuration, faults);
        if (withLedger)
        {
            configuration.AddKeyVaultSecrets(faults);
            if (GeneratedKeys.Prepare(HostingOptions.DataDirectoryOf(configuration), configuration, faults) is { } keys)
            {
                ProgramConfiguration.AddLowest(configuration, keys.Settings);
            }

            services.AddTransfers(configuration, faults);
        }

        faults.ThrowIfAny();
        return services.BuildServiceProvider();
    }

    private static async Task TellAsync(TextWriter output, string what, BackupSummary summary)
    {
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{what} {summary.Rows} rows of {summary.Tables.Count} tables."));
        foreach (var (name, table) in summary.Tables)
        {
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"  {name}: {table.Rows}"));
        }
    }

    private static async Task<int> RecountAsync(
        ServiceProvider services, IStoredRows rows, TextWriter output, CancellationToken cancellationToken)
    {
        var exporters = new SortedSet<string>(StringComparer.Ordinal);
        await foreach (var row in rows.ReadAllAsync(cancellationToken))
        {
            if (string.Equals(row.Table, LedgerRows.LogTable, StringComparison.OrdinalIgnoreCase))
            {
                exporters.Add(row.Entity.PartitionKey);
            }
        }

        var ledger = services.GetRequiredService<SubjectLedger>();
        var agrees = true;
        foreach (var exporter in exporters)
        {
            var report = await ledger.RecountAsync(exporter, cancellationToken);
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"{exporter}: {report.Subjects} subjects, {(report.Agrees ? "counters agree" : $"{report.Differences.Count} counters differ")}"));
            foreach (var difference in report.Differences)
            {
                await output.WriteLineAsync(string.Create(
                    CultureInfo.InvariantCulture, $"  {difference.Year} {difference.Counter}, shard {difference.Shard}: {difference.Stored} stored, {difference.Counted} counted"));
            }

            agrees &= report.Agrees;
        }

        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"Recounted {exporters.Count} exporters."));
        return agrees ? 0 : Differs;
    }
}
