namespace DingFlow.Benchmarks;

internal static class FreezeBenchmark
{
    public static Task RunAsync(Options options) => Task.CompletedTask;
}
