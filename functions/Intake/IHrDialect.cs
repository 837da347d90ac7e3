using DingFlow.Hosting;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake;

/// <summary>
/// How one kind of HR system signs and words its webhooks. A new dialect is one class and one line in <see cref="HrDialects.All"/>.
/// Dialects hold settings at most, never state, and are used by many requests at once.
/// </summary>
public interface IHrDialect
{
    /// <summary>Its name in <c>HrSources:{source}:Dialect</c>.</summary>
    string Name { get; }

    /// <summary>
    /// Whether it comes by <c>POST hr/{source}</c>, signed with the source's secrets. A protocol with routes and credentials of its own
    /// does not: its sources have no secrets, and share only their confinement with the others.
    /// </summary>
    bool IsWebhook => true;

    /// <summary>Whether <see cref="Read"/> understands what the inbox keeps, so that a replay reads it anew with the settings of then.</summary>
    bool CanRead => IsWebhook;

    /// <summary>Whether <c>Secrets</c> may be set.</summary>
    bool TakesSecrets => IsWebhook;

    /// <summary>The dialect as one source uses it: reads its own settings from the source's section, adding what is wrong to the faults.</summary>
    IHrDialect Configure(SettingsReader reader) => this;

    /// <summary>Whether a source needs a secret in <c>Secrets</c>; otherwise the dialect authenticates its sender in another way.</summary>
    bool NeedsSecrets => true;

    /// <summary>Reads one secret of a source at the start; what is wrong with it is added to the faults.</summary>
    /// <returns>The key for <see cref="Verify"/>, or <see langword="null"/> with a fault.</returns>
    byte[]? ReadSecret(SettingsReader reader, string name);

    /// <summary>The forms of its bodies, for people.</summary>
    string BodyForms => "JSON";

    /// <summary>Whether it sends bodies of this content type.</summary>
    bool Accepts(string? contentType) => HttpBodies.IsJson(contentType);

    /// <summary>
    /// Whether the sender comes again after 429. One that gives up after any 4xx would lose a leaver by it and is answered 503 instead.
    /// </summary>
    bool RetriesAfter4xx => true;

    /// <summary>
    /// What a sender sends to see whether somebody listens, before any secret exists; it is recognised by its bytes and answered 200.
    /// </summary>
    HrGreeting Recognise(ReadOnlySpan<byte> body) => HrGreeting.None;

    /// <summary>
    /// Checks the signature over the raw bytes, in constant time, before anything of them is parsed.
    /// </summary>
    /// <param name="headers">The request's headers.</param>
    /// <param name="body">The body as it came.</param>
    /// <param name="secrets">The source's secrets; several are valid at once while they are rotated.</param>
    /// <param name="now">The present moment, for the freshness.</param>
    HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now);

    /// <summary>Reads a verified body. It never throws for what the sender did wrong.</summary>
    /// <param name="body">The body as it came.</param>
    /// <param name="source">The source for <see cref="PersonEvent.Source"/>.</param>
    HrReading Read(ReadOnlyMemory<byte> body, string source);

    /// <summary>The answer that the sender expects in place of 202 with JSON; <see langword="null"/> for that.</summary>
    HrAnswer? Acknowledge(InboxReceipt receipt, DateTimeOffset now) => null;

    /// <summary>Says what is wrong with a signature, for the sender's administrator and for nobody else.</summary>
    IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now);
}

/// <summary>The dialects that there are.</summary>
public static class HrDialects
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<IHrDialect> All { get; } =
    [
        new StandardDialect(),
        new SvixDialect(),
        new BambooHrDialect(),
        new HiBobDialect(),
        new PersonioDialect(),
        new GustoDialect(),
        new SuccessFactorsDialect(),
        new WorkdayDialect(),
        new GitHubDialect(),
        new MappedDialect(),
        new ScimDialect(),
        new SsfDialect(),
    ];
}

/// <summary>How the check of a signature ended.</summary>
public enum SignatureVerdict
{
    /// <summary>One of the secrets signed this body, just now.</summary>
    Valid,

    /// <summary>A header that carries the signature is missing.</summary>
    MissingHeader,

    /// <summary>A header that carries the signature is there more than once, is too long or is not of its form.</summary>
    MalformedHeader,

    /// <summary>The signing time is too far from ours, in either direction.</summary>
    Stale,

    /// <summary>No secret of the source gives this signature.</summary>
    Mismatch,
}

/// <summary>How the check of a signature ended and, for a valid one, what it told.</summary>
/// <param name="Verdict">How it ended.</param>
/// <param name="SecretIndex">Which secret signed; -1 unless valid.</param>
/// <param name="SenderId">The sender's id of the delivery, where it stands in a header.</param>
public readonly record struct HrVerification(SignatureVerdict Verdict, int SecretIndex, string? SenderId)
{
    /// <summary>When it was signed, where that is signed along.</summary>
    public DateTimeOffset? SignedAt { get; init; }

    /// <summary>A refusal.</summary>
    public static HrVerification Refused(SignatureVerdict verdict) => new(verdict, -1, null);
}

/// <summary>What a verified body says.</summary>
public sealed record HrReading
{
    /// <summary>The events; none when the body tells of nothing that needs work.</summary>
    public IReadOnlyList<PersonEvent> Events { get; init; } = [];

    /// <summary>The delivery's own time, if it has one.</summary>
    public DateTimeOffset? EventTime { get; init; }

    /// <summary>The sender's id of the delivery, where it stands in the body.</summary>
    public string? SenderId { get; init; }

    /// <summary>What is wrong with it; <see langword="null"/> when nothing is.</summary>
    public HrFault? Fault { get; init; }

    /// <summary>A body that cannot be accepted.</summary>
    public static HrReading Refused(string path, string detail) => new() { Fault = new HrFault(path, detail) };
}

/// <summary>What is wrong with a body. It names places and rules, never the sender's values.</summary>
/// <param name="Path">Where, as a JSON Pointer (RFC 6901) or the name of an XML element; empty for the whole body.</param>
/// <param name="Detail">Which rule is broken.</param>
public sealed record HrFault(string Path, string Detail);

/// <summary>An answer in the sender's own form.</summary>
/// <param name="Status">The status.</param>
/// <param name="ContentType">The content type.</param>
/// <param name="Body">The body.</param>
public sealed record HrAnswer(int Status, string ContentType, ReadOnlyMemory<byte> Body);

/// <summary>What a body is that a sender sends before it has a secret.</summary>
public enum HrGreeting
{
    /// <summary>It is an ordinary delivery.</summary>
    None,

    /// <summary>It asks whether somebody listens; nothing of it is kept.</summary>
    Ping,

    /// <summary>It brings a token that the administrator must take back to the sender; it is kept, encrypted.</summary>
    Token,
}

/// <summary>One thing that is wrong with a signature, or worth knowing about it.</summary>
/// <param name="Code">What it is, for machines; the documentation lists them.</param>
/// <param name="Detail">One sentence for people. It may name headers and times, never a secret or what a body says.</param>
public sealed record HrFinding(string Code, string Detail);
