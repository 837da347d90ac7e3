using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Messaging;

/// <summary>
/// Something that was decided or changed: who, what, on what, why. Whoever decides hands it to <see cref="IAuditTrail"/>. It names people
/// by pseudonym or opaque id only, never by name, address, number or user id.
/// </summary>
public sealed record AuditEvent
{
    /// <summary>What happened.</summary>
    public required AuditKind Kind { get; init; }

    /// <summary>Who did it.</summary>
    public required AuditActor Actor { get; init; }

    /// <summary>
    /// The hash of what was decided upon: the request's body, the message, the stored state. <see cref="PayloadHash.None"/> says openly
    /// that there was none.
    /// </summary>
    public required PayloadHash Payload { get; init; }

    /// <summary>How it ended.</summary>
    public AuditOutcome Outcome { get; init; }

    /// <summary>What it was done to.</summary>
    public AuditTarget? On { get; init; }

    /// <summary>The offboarding case that it belongs to, for search and legal hold.</summary>
    public string? CaseId { get; init; }

    /// <summary>
    /// The data subject: the text form of a pseudonym (64 hexadecimal digits, <see cref="AuditPseudonyms"/>), never an identifier.
    /// </summary>
    public string? Subject { get; init; }

    /// <summary>The exporter (legal entity) that it concerns.</summary>
    public string? Exporter { get; init; }

    /// <summary>Why: the reason a person gave, or the rule that decided. Cut at 1000 characters.</summary>
    public string? Reason { get; init; }

    /// <summary>When it happened; the trail's clock when absent.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>The trace id of the request or message. The default is that of <see cref="System.Diagnostics.Activity.Current"/>.</summary>
    public string? RequestId { get; init; } = System.Diagnostics.Activity.Current?.TraceId.ToHexString();

    /// <summary>Further facts, without personal data: at most 32, each cut at 1000 characters.</summary>
    public IReadOnlyDictionary<string, string> Details { get; init; } = new Dictionary<string, string>();
}

/// <summary>
/// A kind of event. Every feature declares its own as static properties of type <see cref="AuditKind"/>; <c>docs/audit.md</c> lists them
/// all, which a test checks.
/// </summary>
/// <param name="Name">Dotted, lower case, with the feature first: <c>offboarding.case_verified</c>. Stored; it never changes its meaning.</param>
/// <param name="Retention">How long the content of such entries is kept.</param>
/// <param name="Meaning">What it says, in one plain sentence.</param>
public sealed record AuditKind(string Name, AuditRetention Retention, string Meaning)
{
    private const int MaximumLength = 64;

    /// <summary>Dotted, lower case, with the feature first.</summary>
    public string Name { get; } = IsValid(Name)
        ? Name
        : throw new ArgumentException("A kind is at most 64 lower-case letters, digits, '_' and '.', with a '.' inside.", nameof(Name));

    /// <summary>The name only.</summary>
    public override string ToString() => Name;

    /// <summary>Whether a text can be the name of a kind.</summary>
    public static bool IsValid(string? name) =>
        name is { Length: > 2 and <= MaximumLength } && name[1..^1].Contains('.', StringComparison.Ordinal) && name[0] != '.' && name[^1] != '.'
        && name.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '_');
}

/// <summary>How long the content of an entry is kept; its hash stays for ever.</summary>
public enum AuditRetention
{
    /// <summary>
    /// <c>Audit:Retention:Operational</c>, 180 days by default: the logs that the Cybersecurity Law, article 23, wants for six months.
    /// </summary>
    Operational,

    /// <summary>
    /// <c>Audit:Retention:Legal</c>, three years by default: transfers, assessments, rules, policy, look-ups of a person (PIPL article 56:
    /// the report of an impact assessment and the record of the handling are kept for at least three years).
    /// </summary>
    Legal,
}

/// <summary>How what was tried ended.</summary>
public enum AuditOutcome
{
    /// <summary>It was done.</summary>
    Succeeded,

    /// <summary>It was not allowed or not acceptable.</summary>
    Refused,

    /// <summary>It was tried and did not work.</summary>
    Failed,
}

/// <summary>What kind of doer.</summary>
public enum AuditActorType
{
    /// <summary>A person or machine that called a management route.</summary>
    Principal,

    /// <summary>A system that sent a signed delivery.</summary>
    Source,

    /// <summary>DingFlow itself.</summary>
    System,

    /// <summary>Somebody who could not be told.</summary>
    Unknown,
}

/// <summary>Who did it, and by which key that was known.</summary>
/// <param name="Type">What kind of doer.</param>
/// <param name="Id">The principal (<c>key:ops</c>, <c>entra:{object id}</c>), the source (<c>hr/acme</c>), or the function of DingFlow.</param>
/// <param name="Key">Which key proved it: the name of the API key, or the number of the source's secret.</param>
public sealed record AuditActor(AuditActorType Type, string Id, string? Key = null)
{
    private const int MaximumId = 200;

    /// <summary>Nobody that could be told: a request without valid credentials.</summary>
    public static AuditActor Unknown { get; } = new(AuditActorType.Unknown, "unknown");

    /// <summary>A caller of a management route, as <c>HttpContext.Principal()</c> names it.</summary>
    public static AuditActor Principal(string principal)
    {
        ArgumentException.ThrowIfNullOrEmpty(principal);
        return new(AuditActorType.Principal, principal, principal.StartsWith("key:", StringComparison.Ordinal) ? principal[4..] : null);
    }

    /// <summary>A sender of deliveries.</summary>
    /// <param name="source"><c>hr/{source}</c>, <c>dingtalk/{tenant}</c> and the like.</param>
    /// <param name="verifiedBy">Which of its secrets confirmed it, from 0; <see langword="null"/> or less than 0 when none did.</param>
    public static AuditActor Source(string source, int? verifiedBy = null) =>
        new(AuditActorType.Source, source, verifiedBy >= 0 ? verifiedBy.Value.ToString(CultureInfo.InvariantCulture) : null);

    /// <summary>Whether a text can be the id of a doer: no person's name or address can.</summary>
    public static bool IsId(string? text) => text is { Length: > 0 and <= MaximumId } && (text.Split(':', '/') switch
    {
        ["key", var name] => name.Length > 0 && name.All(IsNameCharacter),
        ["entra", var id] => Guid.TryParseExact(id, "D", out _),
        [var system, var name] => text.Contains('/', StringComparison.Ordinal) && system.Length > 0 && system.All(char.IsAsciiLetter) && name.Length > 0 && name.All(IsNameCharacter),
        [var function] => function.All(char.IsAsciiLetterOrDigit),
        _ => false,
    });

    private static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_';

    /// <summary>DingFlow itself.</summary>
    /// <param name="function">Which part: the name of the function or class.</param>
    public static AuditActor System(string function) => new(AuditActorType.System, function);
}

/// <summary>What something was done to.</summary>
/// <param name="Type">What it is: <c>case</c>, <c>delivery</c>, <c>batch</c>, <c>alert</c>, <c>ruleSet</c>, <c>route</c> …</param>
/// <param name="Id">Its opaque id.</param>
public sealed record AuditTarget(string Type, string Id);

/// <summary>SHA-256 of what was decided upon. Made from the bytes, so that it is never forgotten or copied wrong.</summary>
public readonly record struct PayloadHash
{
    private readonly string? _hex;

    private PayloadHash(string hex) => _hex = hex;

    /// <summary>There was no payload.</summary>
    public static PayloadHash None => default;

    /// <summary>The hash of these bytes.</summary>
    public static PayloadHash Of(ReadOnlySpan<byte> payload)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(payload, hash);
        return new(Convert.ToHexStringLower(hash));
    }

    /// <summary>The hash of a text's UTF-8.</summary>
    public static PayloadHash Of(string payload) => Of(Encoding.UTF8.GetBytes(payload));

    /// <summary>A SHA-256 that is known already.</summary>
    /// <exception cref="ArgumentException">These are not 64 hexadecimal digits.</exception>
    public static PayloadHash FromHex(string hex) => hex is { Length: 64 } && hex.All(char.IsAsciiHexDigit)
        ? new(hex.ToLowerInvariant())
        : throw new ArgumentException("A payload hash has 64 hexadecimal digits.", nameof(hex));

    /// <summary>64 lower-case hexadecimal digits; <see langword="null"/> for <see cref="None"/>.</summary>
    public string? Hex => _hex;

    /// <summary>The digits, or <c>none</c>.</summary>
    public override string ToString() => _hex ?? "none";
}
