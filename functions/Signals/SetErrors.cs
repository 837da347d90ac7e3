using System.Text.Json.Serialization;
using DingFlow.Hosting;

namespace DingFlow.Signals;

/// <summary>
/// Writes refusals of a token as RFC 8935 section 2.3 has them: 400 with <c>{"err":…,"description":…}</c>. What is wrong with the request
/// rather than with the token keeps its own status.
/// </summary>
internal sealed class SetErrors : IProblemWriter
{
    /// <summary>Not a token, or its event is not as it is defined.</summary>
    public const string InvalidRequest = "invalid_request";

    /// <summary>The key or the algorithm of the signature is not acceptable.</summary>
    public const string InvalidKey = "invalid_key";

    /// <summary>The issuer is not that of this source.</summary>
    public const string InvalidIssuer = "invalid_issuer";

    /// <summary>The audience is not this source's.</summary>
    public const string InvalidAudience = "invalid_audience";

    /// <summary>The sender could not be authenticated.</summary>
    public const string AuthenticationFailed = "authentication_failed";

    /// <summary>The sender may not send this.</summary>
    public const string AccessDenied = "access_denied";

    /// <summary>A verification event with another state than the one expected (SSF 1.0 section 8.1.4.1).</summary>
    public const string InvalidState = "invalid_state";

    public static SetErrors Instance { get; } = new();

    public Task WriteAsync(HttpContext context, ProblemCode code, string? detail) => WriteAsync(
        context, code.Status(),
        code switch
        {
            ProblemCode.Unauthorized or ProblemCode.InvalidSignature => AuthenticationFailed,
            ProblemCode.Forbidden => AccessDenied,
            _ => InvalidRequest,
        },
        detail ?? $"{code.Title()}.");

    /// <summary>Refuses the token.</summary>
    public static Task RefuseAsync(HttpContext context, string error, string description) =>
        WriteAsync(context, StatusCodes.Status400BadRequest, error, description);

    private static Task WriteAsync(HttpContext context, int status, string error, string description)
    {
        context.Response.Headers.ContentLanguage = "en";
        return context.WriteJsonAsync(new SetError(error, description), SetErrorJson.Default.SetError, status);
    }
}

/// <summary>A refusal of a token.</summary>
internal sealed record SetError(string Err, string Description);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SetError))]
internal sealed partial class SetErrorJson : JsonSerializerContext;
