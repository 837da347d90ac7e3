using DingFlow.Benchmarks;
using DingFlow.Benchmarks.Ledger;

var options = Options.Read(args);
var all = new (string Name, Func<Task> Run)[]
{
    ("accept", () => AcceptBenchmark.RunAsync(options)),
    ("start", () => StartBenchmark.RunAsync(options)),
    ("freeze", () => FreezeBenchmark.RunAsync(options)),
    ("import", () => ImportBenchmark.RunAsync(options)),
    ("audit", AuditBenchmark.RunAsync),
    ("ledger", () => LedgerBenchmark.RunAsync(options.Name == "ledger" ? args[1..] : [])),
};
var chosen = all.Where(benchmark => options.Name == benchmark.Name || options.Name == "all").ToList();
if (chosen.Count == 0)
{
    Console.Error.WriteLine($"usage: {string.Join('|', all.Select(benchmark => benchmark.Name))}|all [--published <directory>] [--runs <n>] [--seconds <n>]");
    return 2;
}

foreach (var (_, run) in chosen)
{
    await run();
}

return 0;
