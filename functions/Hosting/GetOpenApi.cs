namespace DingFlow.Hosting;

/// <summary>Answers the OpenAPI 3.1 document of the HTTP functions.</summary>
public sealed class GetOpenApi : IHttpFunction
{
    private static readonly Lazy<byte[]> Document = new(() =>
    {
        using var resource = typeof(GetOpenApi).Assembly.GetManifestResourceStream("openapi.json")!;
        var bytes = new byte[resource.Length];
        resource.ReadExactly(bytes);
        return bytes;
    });

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = Document.Value.Length;
        await context.Response.Body.WriteAsync(Document.Value, context.RequestAborted);
    }
}
