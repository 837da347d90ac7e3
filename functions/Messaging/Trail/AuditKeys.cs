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
    public static ulong[] Of(string kind, AuditContent? content)
    {
        List<ulong> keys = [Of(Kind, kind)];
        if (content is not null)
        {
            Add(keys, Case, content.CaseId);
            Add(keys, Subject, content.Subject);
            Add(keys, Principal, content.Actor.Id);
            Add(keys, Exporter, content.Exporter);
        }

        return [.. keys];
    }

    private static void Add(List<ulong> keys, string type, string? value)
    {
        if (value is not null)
        {
            keys.Add(Of(type, value));
        }
    }

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
