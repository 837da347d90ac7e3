using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace DingFlow.Messaging;

/// <summary>
/// What an entry is found by: its kind, case, subject, principal and exporter, each as a number. Two that fall together only make a search
/// read a day in which it finds nothing.
/// </summary>
internal static class AuditKeys
{
    public const string Kind = "kind";
    public const string Case = "case";
    public const string Subject = "subject";
    public const string Principal = "principal";
    public const string Exporter = "exporter";

    /// <summary>Bytes of a key where it is stored, big-endian.</summary>
    public const int Size = sizeof(ulong);

    /// <summary>The key of a value. It is stored: it never changes.</summary>
    public static ulong Of(string type, string value) =>
        XxHash3.HashToUInt64(MemoryMarshal.AsBytes(value.AsSpan()), unchecked((long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(type.AsSpan()))));

    /// <summary>The keys of an entry; without content only that of its kind.</summary>
    public static ulong[] Of(string kind, AuditContent? content) =>
    [
        Of(Kind, kind),
        .. content is null
            ? []
            : new[] { (Case, content.CaseId), (Subject, content.Subject), (Principal, content.Actor.Id), (Exporter, content.Exporter) }
                .Where(static part => part.Item2 is not null).Select(static part => Of(part.Item1, part.Item2!)),
    ];

    /// <summary>The keys of an entry as it stands; one with whose content somebody has meddled is found by its kind.</summary>
    public static ulong[] Of(AuditEntry entry)
    {
        try
        {
            return Of(entry.Kind, entry.Read());
        }
        catch (JsonException)
        {
            return Of(entry.Kind, content: null);
        }
    }

    public static byte[] Pack(IReadOnlyCollection<ulong> keys)
    {
        var bytes = new byte[keys.Count * Size];
        var at = 0;
        foreach (var key in keys)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(at), key);
            at += Size;
        }

        return bytes;
    }
}
