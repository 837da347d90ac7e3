using System.Diagnostics;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>
/// PostgreSQL as a good engineer would write it: binary COPY into an unlogged staging table, then one insert with on conflict do nothing
/// into a table of (counter, subject), committed with a sync for each batch. Memory and log are sized so that neither is what slows it.
/// </summary>
internal static class PostgresBaseline
{
    private const string Schema = """
        create unlogged table staging(kind smallint not null, subject bytea not null);
        create table dimension(kind smallint not null, counter smallint not null);
        create table counted(counter smallint not null, subject bytea not null, primary key(counter, subject));
        alter table counted set (autovacuum_enabled = off);
        """;

    public static async Task<IReadOnlyList<Measured>> RunAsync(LedgerWorkload workload)
    {
        if (PrivateServer.Find("initdb") is not { } initialise || PrivateServer.Find("postgres") is not { } program)
        {
            Console.WriteLine("postgres: skipped, it is not installed (apt-get install postgresql)");
            return [];
        }

        var (directory, port) = (PrivateServer.NewDirectory(), PrivateServer.FreePort());
        await AsServerUserAsync(directory, initialise, ["-D", Path.Combine(directory, "data"), "-A", "trust", "-U", "benchmark", "--no-sync"]);
        string[] arguments =
        [
            "-D", Path.Combine(directory, "data"), "-p", port.ToString(CultureInfo.InvariantCulture), "-c", "listen_addresses=127.0.0.1",
            "-c", $"unix_socket_directories={directory}", "-c", "shared_buffers=2GB", "-c", "max_wal_size=16GB", "-c", "work_mem=256MB",
            "-c", "checkpoint_timeout=1h", "-c", "synchronous_commit=on", "-c", "jit=off", "-c", "max_parallel_workers_per_gather=0",
        ];
        var (starter, all) = Environment.UserName == "root" && PrivateServer.Find("runuser") is { } run
            ? (run, (string[])["-u", "postgres", "--", program, .. arguments]) : (program, arguments);
        using var server = await PrivateServer.StartAsync(starter, all, directory, port);
        await using var source = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={port};Username=benchmark;Database=postgres;Command Timeout=600");
        await using var connection = await OpenAsync(source);
        await ExecuteAsync(connection, Schema);
        await FillDimensionsAsync(connection);
        var (own, servers) = (Environment.CpuUsage.TotalTime, server.ProcessorTime);
        var clock = Stopwatch.StartNew();
        for (long from = 0; from < workload.Records; from += LedgerWorkload.BatchSize)
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using (var writer = await connection.BeginBinaryImportAsync("copy staging from stdin (format binary)"))
            {
                for (var record = from; record < Math.Min(from + LedgerWorkload.BatchSize, workload.Records); record++)
                {
                    var (subject, kind) = workload.At(record);
                    await writer.StartRowAsync();
                    await writer.WriteAsync((short)kind, NpgsqlDbType.Smallint);
                    await writer.WriteAsync(LedgerWorkload.Pseudonym(subject).AsMemory(0, 16), NpgsqlDbType.Bytea);
                }

                await writer.CompleteAsync();
            }

            // Sorted, so that each index page is visited once.
            await ExecuteAsync(connection, """
                insert into counted(counter, subject)
                  select d.counter, s.subject from staging s join dimension d using (kind) order by 1, 2
                  on conflict do nothing;
                truncate staging;
                """);
            await transaction.CommitAsync();
        }

        clock.Stop();
        servers = server.ProcessorTime - servers;
        return [LedgerBenchmark.Report(
            "postgres", workload.Records, clock.Elapsed, servers + Environment.CpuUsage.TotalTime - own, $"{servers.TotalSeconds:F1} s of it the server")];
    }

    private static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource source)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await source.OpenConnectionAsync();
            }
            catch (NpgsqlException) when (attempt < 100)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, default);
            }
        }
    }

    private static async Task FillDimensionsAsync(NpgsqlConnection connection)
    {
        var names = LedgerWorkload.Dimensions.SelectMany(dimensions => dimensions).Distinct().ToList();
        for (var kind = 0; kind < LedgerWorkload.Dimensions.Length; kind++)
        {
            foreach (var name in LedgerWorkload.Dimensions[kind])
            {
                await using var command = new NpgsqlCommand("insert into dimension values ($1, $2)", connection)
                {
                    Parameters = { new() { Value = (short)kind }, new() { Value = (short)names.IndexOf(name) } },
                };
                await command.ExecuteNonQueryAsync();
            }
        }

        await ExecuteAsync(connection, "analyze dimension");
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
#pragma warning disable CA2100 // Constants of this file.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>PostgreSQL refuses to run as root.</summary>
    private static async Task AsServerUserAsync(string directory, string program, string[] arguments)
    {
        if (Environment.UserName != "root" || PrivateServer.Find("runuser") is not { } run)
        {
            await PrivateServer.RunAsync(program, arguments);
            return;
        }

        await PrivateServer.RunAsync("/bin/chown", "postgres", directory);
        await PrivateServer.RunAsync(run, ["-u", "postgres", "--", program, .. arguments]);
    }
}
