using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Settings;

namespace DingFlow.Signals;

/// <summary>
/// <c>POST signals/{source}/test</c>: tells the administrator what is wrong with a token. The body is the token itself, or a captured
/// request (<c>{"body":"…"}</c>). Nothing is stored or enqueued, and without the role nothing is told.
/// </summary>
internal sealed class TestSignalSource(SignalSources sources, TimeProvider time) : IHttpFunction
{
    private const int CaptureOverhead = 64 * 1024;
    private const int LongestShown = 200;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (sources.Find(context) is not { } signals)
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (await context.ReadBodyAsync(signals.Source.MaxBodyBytes + CaptureOverhead) is not { } posted)
        {
            return;
        }

        await context.WriteJsonAsync(
            await JudgeAsync(signals, TokenOf(posted), context.RequestAborted), SignalTestJson.Default.SignalTestResult);
    }

    private async Task<SignalTestResult> JudgeAsync(SignalSource signals, ReadOnlyMemory<byte> token, CancellationToken cancellationToken)
    {
        var findings = new List<HrFinding>();
        var verification = await signals.Verifier.VerifyAsync(token, cancellationToken);
        if (verification.Verdict != SetVerdict.Valid)
        {
            findings.Add(new(JsonNamingPolicy.KebabCaseLower.ConvertName(verification.Verdict.ToString()), DetailOf(signals.Dialect, verification.Verdict, token)));
        }

        if (token.Length > signals.Source.MaxBodyBytes)
        {
            findings.Add(new("too-large", $"The token is larger than the {signals.Source.MaxBodyBytes} bytes that this source may send."));
        }

        var reading = signals.Dialect.ReadToken(token, signals.Source.QualifiedName);
        if (reading.Fault is { } fault)
        {
            findings.Add(new("claims", $"{fault.Path} {fault.Detail}".Trim()));
        }
        else
        {
            if (!signals.IsTimely(reading.IssuedAt, time.GetUtcNow()))
            {
                findings.Add(new("iat", "iat lies ahead of our clock by more than five minutes, or further back than MaxAge or the retention of deliveries."));
            }

            if (reading.Verifies && signals.Dialect.VerificationState is { } state && reading.VerificationState != state)
            {
                findings.Add(new("state", "The state is not VerificationState."));
            }

            if (!reading.Events.All(signals.Source.Admits))
            {
                findings.Add(new("outside-confines", "An event is about a person outside the mail domains of this source, or has no address."));
            }
        }

        var accepted = findings.Count == 0;
        if (reading.HasUnknownSubject)
        {
            findings.Add(new("unknown-subject", "An event is about a subject that cannot be told here: it is accepted, nothing is done, and people are told. See SubjectIs and SubjectIssuer."));
        }

        return new SignalTestResult(
            signals.Source.Name, accepted, Words.Of(verification.Verdict), findings,
            [.. reading.Events.Select(static e => Words.Of(e.Kind))]);
    }

    private static string DetailOf(SsfDialect dialect, SetVerdict verdict, ReadOnlyMemory<byte> token)
    {
        var read = SetVerifier.Read(token);
        return verdict switch
        {
            SetVerdict.WrongType => $"typ is {Shown(read?.Typ)}; it must be secevent+jwt (RFC 8417 section 2.3).",
            SetVerdict.WrongAlgorithm => $"alg is {Shown(read?.Alg)}; Algorithms accepts {string.Join(", ", dialect.Algorithms)}.",
            SetVerdict.UnknownKey => $"The transmitter's key set has no usable key with the kid {Shown(read?.Kid)} for {Shown(read?.Alg)}.",
            SetVerdict.AskLater => $"The key with the kid {Shown(read?.Kid)} is not known, and the transmitter's keys were fetched less than half a minute ago; try again.",
            SetVerdict.KeysUnavailable => "The transmitter's keys cannot be fetched: see the log, and check JwksUri or MetadataUri.",
            SetVerdict.WrongSignature => "The key is the transmitter's, but did not make this signature over these bytes: was the token altered on its way?",
            SetVerdict.WrongIssuer => $"iss is {Shown(read?.Issuer)}; Issuer is {dialect.Issuer}. They must be the same, character by character.",
            SetVerdict.WrongAudience => $"aud is {Shown(read is null ? null : string.Join(", ", read.Audiences))}; Audience has {string.Join(", ", dialect.Audiences)}.",
            SetVerdict.Expired => "The token has an exp, which has passed.",
            _ => "It is not three parts of base64url with dots between them, or its header asks for an extension (crit).",
        };
    }

    /// <summary>A value of the token, as far as it can be shown.</summary>
    private static string Shown(string? value) => string.IsNullOrEmpty(value) ? "missing"
        : value.Length <= LongestShown && value.All(static c => c is > ' ' and <= '~' || c == ' ') ? $"'{value}'" : "not printable";

    private static ReadOnlyMemory<byte> TokenOf(ReadOnlyMemory<byte> posted)
    {
        var text = posted.Span.Trim(" \t\r\n"u8);
        if (text is [(byte)'{', ..])
        {
            string? body = null;
            JsonFields.Read(posted, root =>
            {
                body = root.Text("body");
                return new HrReading();
            });
            return Encoding.UTF8.GetBytes(body?.Trim() ?? "");
        }

        return text.ToArray();
    }
}

/// <summary>What a test of a source says.</summary>
/// <param name="Source">The source.</param>
/// <param name="Accepted">It would have been answered 202.</param>
/// <param name="Verdict">How the check of the signature ended.</param>
/// <param name="Findings">What is wrong, or worth knowing.</param>
/// <param name="Events">Which events were read of it.</param>
internal sealed record SignalTestResult(string Source, bool Accepted, string Verdict, IReadOnlyList<HrFinding> Findings, IReadOnlyList<string> Events);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SignalTestResult))]
internal sealed partial class SignalTestJson : JsonSerializerContext;
