using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Intake.Dialects;
using DingFlow.Settings;
using Microsoft.Extensions.Primitives;

namespace DingFlow.Intake;

/// <summary>
/// <c>POST hr/{source}/test</c>: tells the sender's administrator what is wrong with a webhook. The body is a captured request
/// (<c>{"headers":{…},"body":"…"}</c>, or <c>bodyBase64</c>; <c>receivedAt</c> when it is an old one), or the sender's own test with
/// bearer credentials added. Nothing is stored or enqueued, and without the role nothing is told.
/// </summary>
public sealed class TestHrSource(IntakeOptions options, TimeProvider timeProvider) : IHttpFunction
{
    private const int CaptureOverhead = 64 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.TryGetValue(name, out var source))
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (await context.ReadBodyAsync((source.MaxBodyBytes * 2) + CaptureOverhead) is not { } posted)
        {
            return;
        }

        if (Capture.TryRead(posted) is not { } capture)
        {
            capture = new Capture(context.Request.Headers, posted, null);
        }
        else if (capture.Fault is { } fault)
        {
            await context.ProblemAsync(ProblemCode.Malformed, fault);
            return;
        }

        await context.WriteJsonAsync(Judge(source, capture), HrTestJson.Default.HrTestResult);
    }

    private HrTestResult Judge(HrSource source, Capture capture)
    {
        var now = capture.ReceivedAt ?? timeProvider.GetUtcNow();
        var findings = new List<HrFinding>();
        if (!source.Dialect.Accepts(capture.Headers.ContentType))
        {
            findings.Add(new("content-type", $"The content type is not one of this dialect; its bodies are {source.Dialect.BodyForms}."));
        }

        if (capture.Body.Length > source.MaxBodyBytes)
        {
            findings.Add(new("too-large", $"The body is larger than the {source.MaxBodyBytes} bytes that this source may send."));
        }

        var verification = source.Dialect.Verify(capture.Headers, capture.Body.Span, source.Secrets, now);
        findings.AddRange(source.Dialect.Diagnose(capture.Headers, capture.Body, source.Secrets, now));
        if (!RequestChecks.IsPlain(capture.Headers) && !findings.Exists(static f => f.Code == "content-coding"))
        {
            findings.Add(new("content-coding", "The body has a content coding, or a charset other than UTF-8; it must come as it was signed."));
        }

        var reading = source.Dialect.Read(capture.Body, source.QualifiedName);
        if (reading.Fault is null && reading.Events.Count > 0 && !reading.Events.All(source.Admits))
        {
            findings.Add(new("outside-confines", "An event is about a person outside the mail domains of this source, or has no address."));
        }

        if (reading is { Fault: null, Events.Count: > 0, SenderId: null, EventTime: null } && verification is { SenderId: null, SignedAt: null })
        {
            findings.Add(new("no-identity", "Neither an id nor a time says which delivery this is: each repetition is handled as something new."));
        }

        return new HrTestResult
        {
            Source = source.Name,
            Dialect = source.Dialect.Name,
            Accepted = verification.Verdict == SignatureVerdict.Valid && reading.Fault is null && !findings.Exists(static f => f.Code is "content-type" or "content-coding" or "too-large" or "outside-confines"),
            Verdict = Words.Of(verification.Verdict),
            SecretIndex = verification.SecretIndex < 0 ? null : verification.SecretIndex,
            Findings = findings,
            Body = new HrTestBody(
                [.. reading.Events.Select(static e => Words.Of(e.Kind))],
                reading.EventTime, reading.SenderId is not null || verification.SenderId is not null, reading.Fault?.Path, reading.Fault?.Detail),
        };
    }

    /// <summary>A request as it was, by whatever it was captured.</summary>
    private sealed record Capture(IHeaderDictionary Headers, ReadOnlyMemory<byte> Body, DateTimeOffset? ReceivedAt, string? Fault = null)
    {
        private const int MaxHeaders = 100;

        /// <summary>Reads the JSON of a capture; <see langword="null"/> when the body is not one.</summary>
        public static Capture? TryRead(ReadOnlyMemory<byte> posted)
        {
            try
            {
                using var document = JsonDocument.Parse(posted);
                return document.RootElement.Find("headers") is { ValueKind: JsonValueKind.Object } headers
                    && (document.RootElement.Find("body") is not null || document.RootElement.Find("bodyBase64") is not null)
                    ? Read(document.RootElement, headers)
                    : null;
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                return null;
            }
        }

        private static Capture Read(JsonElement root, JsonElement headers)
        {
            var read = new HeaderDictionary();
            foreach (var header in headers.EnumerateObject().Take(MaxHeaders))
            {
                var values = header.Value.ValueKind == JsonValueKind.Array
                    ? header.Value.EnumerateArray().Select(PersonFields.TextOf).OfType<string>().ToArray()
                    : [PersonFields.TextOf(header.Value) ?? ""];
                read[header.Name] = StringValues.Concat(read[header.Name], values);
            }

            DateTimeOffset? receivedAt = null;
            if (root.Find("receivedAt") is not null)
            {
                if (!PersonFields.TryReadTime(root.Text("receivedAt"), out var time))
                {
                    return new Capture(read, default, null, $"/receivedAt {PersonFields.TimeRule}.");
                }

                receivedAt = time;
            }

            if (root.Text("body") is { } text)
            {
                return new Capture(read, Encoding.UTF8.GetBytes(text), receivedAt);
            }

            var base64 = root.Text("bodyBase64") ?? "";
            var buffer = new byte[base64.Length];
            return base64.Length > 0 && Convert.TryFromBase64String(base64, buffer, out var written)
                ? new Capture(read, buffer.AsMemory(0, written), receivedAt)
                : new Capture(read, default, null, "/body must be a text, or /bodyBase64 base64.");
        }
    }
}

/// <summary><c>GET hr/{source}/handshake</c>: the verification token that the sender handed over last.</summary>
public sealed class GetHrHandshake(IntakeOptions options, HrHandshakes handshakes) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.TryGetValue(name, out var source))
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (await handshakes.FindAsync(source, context.RequestAborted) is not { } handshake)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "No verification token has come, or its retention has passed.");
            return;
        }

        await context.RecordReadAsync(HandshakeAudit.Read, new("source", source.QualifiedName));
        await context.WriteJsonAsync(handshake, HrTestJson.Default.HrHandshake);
    }
}

/// <summary>What a test of a source says.</summary>
internal sealed record HrTestResult
{
    public required string Source { get; init; }

    public required string Dialect { get; init; }

    /// <summary>As a webhook it would have been answered 2xx.</summary>
    public required bool Accepted { get; init; }

    public required string Verdict { get; init; }

    /// <summary>Which secret signed it.</summary>
    public int? SecretIndex { get; init; }

    public required IReadOnlyList<HrFinding> Findings { get; init; }

    public required HrTestBody Body { get; init; }
}

/// <summary>What was read of the body, without what it says of people.</summary>
internal sealed record HrTestBody(IReadOnlyList<string> Events, DateTimeOffset? EventTime, bool HasId, string? FaultPath, string? Fault);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HrTestResult))]
[JsonSerializable(typeof(HrHandshake))]
internal sealed partial class HrTestJson : JsonSerializerContext;
