using DingFlow.Benchmarks;
using DingFlow.Benchmarks.Ledger;

if (args is ["ledger", .. var rest])
{
    await LedgerBenchmark.RunAsync(rest);
    return 0;
}

var all = new (string Name, Func<Options, Task> Run)[]
{
    ("accept", AcceptBenchmark.RunAsync),
    ("start", StartBenchmark.RunAsync),
    ("freeze", FreezeBenchmark.RunAsync),
};

var options = Options.Read(args);
var chosen = all.Where(benchmark => options.Name == benchmark.Name || options.Name == "all").ToList();
if (chosen.Count == 0)
{
    Console.Error.WriteLine($"usage: {string.Join('|', all.Select(benchmark => benchmark.Name))}|all [--published <directory>] [--runs <n>] [--seconds <n>]");
    Console.Error.WriteLine("       ledger [options]");
    return 2;
}

foreach (var (_, run) in chosen)
{
    await run(options);
}

return 0;
