using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Hosting;

/// <summary>Every problem that an HTTP function can answer with. <c>docs/problems.md</c> lists them for callers.</summary>
public enum ProblemCode
{
    /// <summary>The request cannot be understood.</summary>
    Malformed,

    /// <summary>The credentials are missing or not accepted.</summary>
    Unauthorized,

    /// <summary>The webhook's signature is missing or wrong.</summary>
    InvalidSignature,

    /// <summary>The webhook's time stamp is too far from now.</summary>
    StaleTimestamp,

    /// <summary>The caller may not do this: it lacks the role, or the matter is outside what it may touch.</summary>
    Forbidden,

    /// <summary>There is nothing here.</summary>
    NotFound,

    /// <summary>No such webhook source is configured.</summary>
    UnknownSource,

    /// <summary>No such DingTalk tenant is configured.</summary>
    UnknownTenant,

    /// <summary>No such exporter is configured.</summary>
    UnknownExporter,

    /// <summary>The route exists for other methods.</summary>
    MethodNotAllowed,

    /// <summary>The state does not allow this.</summary>
    Conflict,

    /// <summary>The body is larger than this route takes.</summary>
    TooLarge,

    /// <summary>The content type is not one that this route takes.</summary>
    UnsupportedMediaType,

    /// <summary>The request is understood, and its values are not acceptable.</summary>
    Invalid,

    /// <summary>Too many requests from this caller.</summary>
    TooManyRequests,

    /// <summary>A fault of ours.</summary>
    Internal,

    /// <summary>Something that this needs is down; try again.</summary>
    Unavailable,

    /// <summary>It took too long.</summary>
    TimedOut,
}

/// <summary>Writes problems in the form of a protocol that has its own, such as SCIM.</summary>
public interface IProblemWriter
{
    /// <summary>Writes the answer for the problem; headers such as <c>Retry-After</c> are already set.</summary>
    Task WriteAsync(HttpContext context, ProblemCode code, string? detail);
}

/// <summary>Answers problems as <c>application/problem+json</c> (RFC 9457), or as the function's own protocol has it.</summary>
public static class Problems
{
    /// <summary>The media type.</summary>
    public const string MediaType = "application/problem+json";

    private static readonly object CodeItem = new();

    /// <summary>How long a caller should wait when something of ours is down.</summary>
    public static TimeSpan DefaultRetryAfter { get; } = TimeSpan.FromSeconds(10);

    /// <summary>The code as callers see it, for instance <c>unknown-source</c>.</summary>
    public static string Slug(this ProblemCode code) => JsonNamingPolicy.KebabCaseLower.ConvertName(code.ToString());

    /// <summary>The status that goes with the code.</summary>
    public static int Status(this ProblemCode code) => code switch
    {
        ProblemCode.Malformed => StatusCodes.Status400BadRequest,
        ProblemCode.Unauthorized or ProblemCode.InvalidSignature or ProblemCode.StaleTimestamp => StatusCodes.Status401Unauthorized,
        ProblemCode.Forbidden => StatusCodes.Status403Forbidden,
        ProblemCode.NotFound or ProblemCode.UnknownSource or ProblemCode.UnknownTenant or ProblemCode.UnknownExporter => StatusCodes.Status404NotFound,
        ProblemCode.MethodNotAllowed => StatusCodes.Status405MethodNotAllowed,
        ProblemCode.Conflict => StatusCodes.Status409Conflict,
        ProblemCode.TooLarge => StatusCodes.Status413PayloadTooLarge,
        ProblemCode.UnsupportedMediaType => StatusCodes.Status415UnsupportedMediaType,
        ProblemCode.Invalid => StatusCodes.Status422UnprocessableEntity,
        ProblemCode.TooManyRequests => StatusCodes.Status429TooManyRequests,
        ProblemCode.Internal => StatusCodes.Status500InternalServerError,
        ProblemCode.Unavailable or ProblemCode.TimedOut => StatusCodes.Status503ServiceUnavailable,
        _ => throw new ArgumentOutOfRangeException(nameof(code)),
    };

    /// <summary>The title that goes with the code; the same for every occurrence.</summary>
    public static string Title(this ProblemCode code) => code switch
    {
        ProblemCode.Malformed => "The request cannot be understood",
        ProblemCode.Unauthorized => "Credentials are missing or not accepted",
        ProblemCode.InvalidSignature => "The signature is missing or wrong",
        ProblemCode.StaleTimestamp => "The time stamp is too far from now",
        ProblemCode.Forbidden => "The caller may not do this",
        ProblemCode.NotFound => "There is nothing here",
        ProblemCode.UnknownSource => "The source is not known",
        ProblemCode.UnknownTenant => "The tenant is not known",
        ProblemCode.UnknownExporter => "The exporter is not known",
        ProblemCode.MethodNotAllowed => "The method is not allowed here",
        ProblemCode.Conflict => "The state does not allow this",
        ProblemCode.TooLarge => "The body is too large",
        ProblemCode.UnsupportedMediaType => "The content type is not taken here",
        ProblemCode.Invalid => "A value is not acceptable",
        ProblemCode.TooManyRequests => "Too many requests",
        ProblemCode.Internal => "Something went wrong here",
        ProblemCode.Unavailable => "Something that this needs is down",
        ProblemCode.TimedOut => "It took too long",
        _ => throw new ArgumentOutOfRangeException(nameof(code)),
    };

    /// <summary>
    /// Answers the problem. Nothing may have been written before.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="code">Which problem.</param>
    /// <param name="detail">One sentence about this occurrence, without personal data, secrets or exception texts.</param>
    /// <param name="retryAfter">When to try again; 429 and 503 have a default.</param>
    public static Task ProblemAsync(this HttpContext context, ProblemCode code, string? detail = null, TimeSpan? retryAfter = null)
    {
        ArgumentNullException.ThrowIfNull(context);
        context.Items[CodeItem] = code;
        var status = code.Status();
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
        {
            retryAfter ??= DefaultRetryAfter;
        }

        if (retryAfter is { } wait)
        {
            context.Response.Headers.RetryAfter = Math.Ceiling(Math.Max(wait.TotalSeconds, 1)).ToString(CultureInfo.InvariantCulture);
        }

        if (context.GetEndpoint()?.Metadata.GetMetadata<FunctionRegistration>()?.Problems is { } writer)
        {
            return writer.WriteAsync(context, code, detail);
        }

        var problem = new Problem($"urn:dingflow:problem:{code.Slug()}", code.Title(), status, detail, context.RequestId());
        return context.WriteJsonAsync(problem, ProblemJson.Default.Problem, status, MediaType);
    }

    /// <summary>The problem that was answered; <see langword="null"/> when none was.</summary>
    internal static ProblemCode? RefusedAs(this HttpContext context) => context.Items[CodeItem] as ProblemCode?;

    /// <summary>The problem that stands for a bare status, for answers that the framework leaves empty.</summary>
    internal static ProblemCode FromStatus(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => ProblemCode.Unauthorized,
        StatusCodes.Status403Forbidden => ProblemCode.Forbidden,
        StatusCodes.Status404NotFound => ProblemCode.NotFound,
        StatusCodes.Status405MethodNotAllowed => ProblemCode.MethodNotAllowed,
        StatusCodes.Status409Conflict => ProblemCode.Conflict,
        StatusCodes.Status413PayloadTooLarge => ProblemCode.TooLarge,
        StatusCodes.Status415UnsupportedMediaType => ProblemCode.UnsupportedMediaType,
        StatusCodes.Status422UnprocessableEntity => ProblemCode.Invalid,
        StatusCodes.Status429TooManyRequests => ProblemCode.TooManyRequests,
        StatusCodes.Status503ServiceUnavailable => ProblemCode.Unavailable,
        >= StatusCodes.Status400BadRequest and < StatusCodes.Status500InternalServerError => ProblemCode.Malformed,
        _ => ProblemCode.Internal,
    };
}

/// <summary>The members of RFC 9457, and the request id that leads to the trace.</summary>
internal sealed record Problem(string Type, string Title, int Status, string? Detail, string RequestId);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Problem))]
internal sealed partial class ProblemJson : JsonSerializerContext;
