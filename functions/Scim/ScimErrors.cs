using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.Scim;

/// <summary>Why a request was refused, as RFC 7644 table 9 has it.</summary>
public enum ScimType
{
    /// <summary>No particular reason of the table applies.</summary>
    None,

    /// <summary>The filter cannot be read or compares what cannot be compared.</summary>
    InvalidFilter,

    /// <summary>Somebody else has this user name.</summary>
    Uniqueness,

    /// <summary>An attribute that only the server sets, or a required one that was to be removed.</summary>
    Mutability,

    /// <summary>The body is not the message that it should be.</summary>
    InvalidSyntax,

    /// <summary>The path of an operation cannot be read or leads nowhere.</summary>
    InvalidPath,

    /// <summary>An operation that needs a path has none.</summary>
    NoTarget,

    /// <summary>A value is missing or not of its type.</summary>
    InvalidValue,
}

/// <summary>A refusal. Its detail names places and rules, never the caller's values.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Type">The reason.</param>
/// <param name="Detail">One sentence for people.</param>
public sealed record ScimFault(int Status, ScimType Type, string Detail)
{
    /// <summary>Nobody with this id was provisioned.</summary>
    public static ScimFault NotFound { get; } = new(StatusCodes.Status404NotFound, ScimType.None, "There is no such resource.");

    /// <summary>Somebody else has the user name.</summary>
    public static ScimFault NotUnique { get; } =
        new(StatusCodes.Status409Conflict, ScimType.Uniqueness, "Another user of this source has this userName.");

    /// <summary>The version that the caller named is not the present one.</summary>
    public static ScimFault VersionMismatch { get; } =
        new(StatusCodes.Status412PreconditionFailed, ScimType.None, "The resource has another version; read it again.");

    /// <summary>The request is the caller's fault.</summary>
    public static ScimFault Refused(ScimType type, string detail) => new(StatusCodes.Status400BadRequest, type, detail);
}

/// <summary>Writes problems as SCIM errors (RFC 7644 section 3.12).</summary>
internal sealed class ScimProblemWriter : IProblemWriter
{
    public static ScimProblemWriter Instance { get; } = new();

    public Task WriteAsync(HttpContext context, ProblemCode code, string? detail) => WriteAsync(
        context, new ScimFault(code.Status(), code == ProblemCode.Malformed ? ScimType.InvalidSyntax : ScimType.None, detail ?? $"{code.Title()}."));

    public static Task WriteAsync(HttpContext context, ScimFault fault) => context.WriteScimAsync(fault.Status, writer =>
    {
        writer.WriteStartObject();
        ScimSchemas.Write(writer, ScimSchemas.Error);
        // A text, as the RFC asks, although it is a number.
        writer.WriteString("status"u8, fault.Status.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (fault.Type != ScimType.None)
        {
            writer.WriteString("scimType"u8, Words.Of(fault.Type));
        }

        writer.WriteString("detail"u8, fault.Detail);
        writer.WriteEndObject();
    });
}
