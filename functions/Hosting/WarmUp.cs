namespace DingFlow.Hosting;

/// <summary>
/// Loads on another core, while the program reads its settings and opens its listeners, what the first request passes through: native
/// libraries, types, and the framework's own tables. A start in Azure is usually there because a webhook waits.
/// </summary>
internal static class WarmUp
{
    /// <summary>Goes through the steps, one after the other, unless there is only one core, which has better things to do.</summary>
    /// <param name="steps">Each runs what a request would run, on data of its own; nothing of it is kept.</param>
    public static void Begin(params ReadOnlySpan<Action> steps)
    {
        if (Environment.ProcessorCount == 1)
        {
            return;
        }

        var all = steps.ToArray();
        new Thread(() => Run(all)) { IsBackground = true, Name = "Warm-up" }.Start();
    }

    /// <summary>Routing builds its tables at the first request: with this in front of it, that is none of a caller's.</summary>
    public static RequestDelegate Routing(RequestDelegate next)
    {
        Begin(() => next(new DefaultHttpContext { Request = { Method = HttpMethods.Get, Path = "/warm-up" } }).GetAwaiter().GetResult());
        return next;
    }

    private static void Run(Action[] steps)
    {
        try
        {
            foreach (var step in steps)
            {
                step();
            }
        }
#pragma warning disable CA1031 // Whatever is missing here is missed again, and told, where it is needed.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
