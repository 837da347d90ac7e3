using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>What the operations work on.</summary>
internal sealed record SandboxWorld(SandboxDirectory Directory, SandboxTokens Tokens, SandboxOutbox Outbox, TimeProvider TimeProvider)
{
    /// <summary>The id that this answer carries.</summary>
    public Guid RequestId { get; init; }

    /// <summary>The id that the caller gave to the call, or ours.</summary>
    public string ClientRequestId { get; init; } = "";

    public DateTimeOffset Now => TimeProvider.GetUtcNow();
}

/// <summary>One call that is being answered.</summary>
internal sealed class SandboxCall
{
    public required SandboxWorld World { get; init; }

    public required SandboxOperation Operation { get; init; }

    /// <summary>The variable segments of the path.</summary>
    public required ImmutableArray<string> Segments { get; init; }

    public required IQueryCollection Query { get; init; }

    public required IHeaderDictionary Headers { get; init; }

    /// <summary>The interface's base address as the caller spelt it, for links in answers.</summary>
    public required string BaseAddress { get; init; }

    /// <summary>The JSON object or the form in the body; <see langword="null"/> when there is none.</summary>
    public JsonObject? Body { get; init; }

    /// <summary>Why there is no usable body although something was sent.</summary>
    public SandboxBodyFault BodyFault { get; init; }

    /// <summary>The fault that the operation itself has to play.</summary>
    public SandboxFaultKind? Fault { get; set; }

    /// <summary>Something was really changed.</summary>
    public bool Changed { get; private set; }

    public SandboxDirectory Directory => World.Directory;

    /// <summary>Changes a person and counts it, unless the call only pretends.</summary>
    public void Mutate(SandboxPerson person, Func<SandboxPerson, SandboxPerson> change, SandboxLeaveRecord? leave = null)
    {
        if (Fault != SandboxFaultKind.DoNothing)
        {
            Directory.Mutate(person.EmployeeId, Operation.Name, change, leave);
            Changed = true;
        }
    }

    /// <summary>The person as a read shows them.</summary>
    public SandboxPerson AsRead(SandboxPerson person) => Fault == SandboxFaultKind.WrongReadBack ? person.Unfrozen() : person;

    /// <summary>A text parameter of the body or the query; numbers are read as text.</summary>
    public string? Text(string name) => Body?[name] switch
    {
        JsonValue value when value.GetValueKind() is JsonValueKind.String => value.GetValue<string>(),
        JsonValue value when value.GetValueKind() is JsonValueKind.Number => value.ToJsonString(),
        _ => Query[name].FirstOrDefault(),
    } is { Length: > 0 } text ? text : null;

    /// <summary>A whole number of the body or the query, or <see langword="null"/> when absent or no number.</summary>
    public long? Number(string name) =>
        long.TryParse(Text(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;
}

/// <summary>What is wrong with a body.</summary>
internal enum SandboxBodyFault
{
    /// <summary>Nothing, or there is none.</summary>
    None,

    /// <summary>Its content type is missing.</summary>
    NoContentType,

    /// <summary>Its content type is none that the interface reads.</summary>
    ContentType,

    /// <summary>It is no JSON object.</summary>
    Malformed,

    /// <summary>It is too long.</summary>
    TooLarge,
}

/// <summary>An answer that is ready to be written.</summary>
internal sealed record SandboxAnswer(int Status)
{
    /// <summary>No body, as for 204.</summary>
    public static SandboxAnswer NoContent { get; } = new(StatusCodes.Status204NoContent);

    public ReadOnlyMemory<byte> Bytes { get; init; }

    public string ContentType { get; init; } = "application/json;charset=utf-8";

    /// <summary>The error code in the body, for the journal.</summary>
    public string? Code { get; init; }

    public ImmutableArray<KeyValuePair<string, string>> Headers { get; init; } = [];

    public static SandboxAnswer Json(int status, JsonObject body, string? code = null)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        // The real services write Chinese text as it is, not escaped.
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            body.WriteTo(writer);
        }

        return new(status) { Bytes = buffer.WrittenMemory, Code = code };
    }

    public static SandboxAnswer Text(int status, string contentType, string text) =>
        new(status) { Bytes = Encoding.UTF8.GetBytes(text), ContentType = contentType };

    public SandboxAnswer With(string header, string value) => this with { Headers = Headers.Add(new(header, value)) };
}
