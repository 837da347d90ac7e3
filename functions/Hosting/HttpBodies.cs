using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.Features;

namespace DingFlow.Hosting;

/// <summary>Limits of requests.</summary>
public static class HttpLimits
{
    /// <summary>Bytes of a request body unless a function takes more.</summary>
    public const int DefaultBodyBytes = 1024 * 1024;

    /// <summary>How long an HTTP function may take unless it lifts the limit.</summary>
    public static TimeSpan RequestTime { get; } = TimeSpan.FromSeconds(100);
}

/// <summary>Reads and writes bodies within limits.</summary>
public static class HttpBodies
{
    private static readonly object BodyItem = new();

    /// <summary>The body, if it was read.</summary>
    internal static ReadOnlyMemory<byte>? BodyRead(this HttpContext context) => context.Items[BodyItem] is byte[] body ? body : null;

    /// <summary>
    /// Reads the raw body. Returns <see langword="null"/> when it is larger than <paramref name="maxBytes"/>, chunked or not; the
    /// problem has then been answered.
    /// </summary>
    public static async ValueTask<ReadOnlyMemory<byte>?> ReadBodyAsync(this HttpContext context, int maxBytes)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.ContentLength > maxBytes)
        {
            await context.ProblemAsync(ProblemCode.TooLarge, $"The body may have {maxBytes} bytes.");
            return null;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = maxBytes + 1L;
        }

        var reader = context.Request.BodyReader;
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            if (result.Buffer.Length > maxBytes)
            {
                await context.ProblemAsync(ProblemCode.TooLarge, $"The body may have {maxBytes} bytes.");
                return null;
            }

            if (result.IsCompleted)
            {
                var body = result.Buffer.ToArray();
                context.Items[BodyItem] = body;
                reader.AdvanceTo(result.Buffer.End);
                return body;
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    /// <summary>
    /// Reads a JSON body. Returns <see langword="null"/> when the type, the size or the content is wrong; the problem has then been
    /// answered, naming the place but no value.
    /// </summary>
    public static async ValueTask<T?> ReadJsonAsync<T>(this HttpContext context, JsonTypeInfo<T> typeInfo, int maxBytes)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!IsJson(context.Request.ContentType))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, "The content type must be application/json.");
            return null;
        }

        if (await context.ReadBodyAsync(maxBytes) is not { } body)
        {
            return null;
        }

        string? detail;
        try
        {
            if (JsonSerializer.Deserialize(body.Span, typeInfo) is { } value)
            {
                return value;
            }

            detail = "The body must be a JSON object.";
        }
        catch (JsonException exception)
        {
            // The path names only properties that the type knows; a text of the exception could quote values.
            detail = $"The JSON is not as documented at {exception.Path ?? "$"}.";
        }

        await context.ProblemAsync(ProblemCode.Malformed, detail);
        return null;
    }

    /// <summary>Writes a JSON answer.</summary>
    public static async Task WriteJsonAsync<T>(
        this HttpContext context, T value, JsonTypeInfo<T> typeInfo, int status = StatusCodes.Status200OK, string mediaType = "application/json")
    {
        ArgumentNullException.ThrowIfNull(context);
        var body = JsonSerializer.SerializeToUtf8Bytes(value, typeInfo);
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = mediaType;
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.Body.WriteAsync(body, context.RequestAborted);
        }
    }

    /// <summary>The media type is <c>application/json</c> or ends in <c>+json</c>; parameters are ignored.</summary>
    public static bool IsJson(string? contentType)
    {
        var media = contentType.AsSpan();
        var end = media.IndexOf(';');
        media = (end < 0 ? media : media[..end]).Trim();
        return media.Equals("application/json", StringComparison.OrdinalIgnoreCase) || media.EndsWith("+json", StringComparison.OrdinalIgnoreCase);
    }
}
