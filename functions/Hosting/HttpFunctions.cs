namespace DingFlow.Hosting;

/// <summary>Serves the HTTP functions on the routes of their <c>function.json</c>.</summary>
internal static class HttpFunctions
{
    /// <summary>
    /// Maps every HTTP function. Handlers read their route values themselves: binding parameters by reflection would cost the start
    /// more than everything else here.
    /// </summary>
    public static void Map(IEndpointRouteBuilder routes, FunctionCatalog catalog)
    {
        var prefix = catalog.Host.RoutePrefix.Length == 0 ? "" : $"/{catalog.Host.RoutePrefix}";
        foreach (var (function, trigger) in catalog.Of<FunctionTrigger.Http>())
        {
            var pattern = $"{prefix}/{trigger.Route}";
            var handler = Handler(function);
            var endpoint = trigger.Methods.Count == 0 ? routes.Map(pattern, handler) : routes.MapMethods(pattern, trigger.Methods, handler);
            endpoint.WithMetadata(function.Registration);
        }
    }

    private static RequestDelegate Handler(FunctionEntry function)
    {
        var (type, role, orRole) = (function.Registration.Type, function.Registration.Role, function.Registration.OrRole);
        return async context =>
        {
            // Replaces the token of the request: whoever passes it on stops when the caller goes away or the time is up.
            using var limit = new RequestTimeLimit(context);
            if (role is null || await context.RequestServices.GetRequiredService<BearerAuthentication>().AuthorizeAsync(context, role, orRole))
            {
                await ((IHttpFunction)context.RequestServices.GetRequiredService(type)).InvokeAsync(context);
            }

            if (context.RequestServices.GetService<RequestAudit>() is { } audit)
            {
                await audit.EndedAsync(context, function.Registration);
            }
        };
    }
}

/// <summary>Ends a request that takes longer than <see cref="HttpLimits.RequestTime"/>, unless its function lifts the limit.</summary>
public sealed class RequestTimeLimit : IDisposable
{
    private readonly CancellationTokenSource _deadline;
    private readonly CancellationTokenSource _both;
    private readonly HttpContext _context;
    private readonly CancellationToken _aborted;

    internal RequestTimeLimit(HttpContext context)
    {
        _context = context;
        _aborted = context.RequestAborted;
        _deadline = new CancellationTokenSource(HttpLimits.RequestTime, context.RequestServices.GetRequiredService<TimeProvider>());
        _both = CancellationTokenSource.CreateLinkedTokenSource(_aborted, _deadline.Token);
        context.RequestAborted = _both.Token;
        context.Features.Set(this);
    }

    /// <summary>Lets this request take as long as its body keeps coming.</summary>
    public void Lift() => _deadline.CancelAfter(Timeout.InfiniteTimeSpan);

    /// <inheritdoc/>
    public void Dispose()
    {
        _context.RequestAborted = _aborted;
        _both.Dispose();
        _deadline.Dispose();
    }
}
