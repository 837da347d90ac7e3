using DingFlow.Benchmarks.Ledger;

if (args is ["ledger", .. var rest])
{
    await LedgerBenchmark.RunAsync(rest);
    return;
}

Console.WriteLine("usage: ledger");
