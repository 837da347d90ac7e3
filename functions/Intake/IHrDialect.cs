using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>
/// How one kind of HR system signs and words its webhooks. A new dialect is one class and one line in <see cref="HrDialects.All"/>.
/// Dialects hold no state and are used by many requests at once.
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

    /// <summary>Reads one signing secret of a source at the start; what is wrong with it is added to the faults.</summary>
    /// <returns>The key for <see cref="Verify"/>, or <see langword="null"/> with a fault.</returns>
    byte[]? ReadSecret(SettingsReader reader, string name);

    /// <summary>Whether it sends bodies of this content type.</summary>
    bool Accepts(string? contentType) => HttpBodies.IsJson(contentType);

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
}

/// <summary>The dialects that there are.</summary>
public static class HrDialects
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<IHrDialect> All { get; } = [new StandardDialect(), new ScimDialect()];
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
/// <param name="SenderId">The sender's id of the delivery, where the dialect has one.</param>
public readonly record struct HrVerification(SignatureVerdict Verdict, int SecretIndex, string? SenderId)
{
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

    /// <summary>What is wrong with it; <see langword="null"/> when nothing is.</summary>
    public HrFault? Fault { get; init; }

    /// <summary>A body that cannot be accepted.</summary>
    public static HrReading Refused(string path, string detail) => new() { Fault = new HrFault(path, detail) };
}

/// <summary>What is wrong with a body. It names places and rules, never the sender's values.</summary>
/// <param name="Path">Where, as a JSON Pointer (RFC 6901); empty for the whole body.</param>
/// <param name="Detail">Which rule is broken.</param>
public sealed record HrFault(string Path, string Detail);
