using System.Buffers.Binary;
using System.Globalization;
using DingFlow.Storage;

namespace DingFlow.Offboarding.Guards;

/// <summary>
/// The leavers of the last while in one scope (everybody, or one source), newest last, as one row of the table <c>OffboardingBrake</c>.
/// Only as many as the limit are kept: whether one more is too many depends on no others.
/// </summary>
internal sealed class LeaverWindow
{
    public const string Table = "OffboardingBrake";
    public const string Partition = "window";

    private const int EntryBytes = 16 + 8 + 1;
    private const int ChunkBytes = EntityLimits.BinaryLength / EntryBytes * EntryBytes;

    private readonly List<Entry> _entries;

    private LeaverWindow(string row, int limit, List<Entry> entries, string? etag)
    {
        (Row, Limit, _entries, ETag) = (row, limit, entries, etag);
    }

    /// <summary>The row key: which scope.</summary>
    public string Row { get; }

    /// <summary>So many may be frozen within the window.</summary>
    public int Limit { get; }

    /// <summary>The version that was read; <see langword="null"/>: there was no row.</summary>
    public string? ETag { get; }

    /// <summary>Since when the brake is on: the first leaver that was held, with no pause of a whole window since.</summary>
    public DateTimeOffset? PulledAt { get; private init; }

    /// <summary>When the last leaver was held.</summary>
    public DateTimeOffset? HeldAt { get; private init; }

    /// <summary>As many leavers as may be frozen are in the window.</summary>
    public bool IsFull => _entries.Count >= Limit;

    /// <summary>Reads the window as it is at <paramref name="now"/>: who came before it began is forgotten.</summary>
    public static LeaverWindow Read(string row, Entity? entity, int limit, TimeSpan length, DateTimeOffset now)
    {
        var entries = new List<Entry>();
        for (var i = 0; entity?.Properties.Get<byte[]>(ChunkName(i)) is { } chunk; i++)
        {
            for (var at = 0; at + EntryBytes <= chunk.Length; at += EntryBytes)
            {
                var entry = Entry.Read(chunk.AsSpan(at, EntryBytes));

                // A clock that was set back must not make the future count for longer than a window.
                entry = entry.At > now ? entry with { At = now } : entry;
                if (now - entry.At < length)
                {
                    entries.Add(entry);
                }
            }
        }

        var heldAt = entity?.Properties.Get<DateTimeOffset>("HeldAt") is { Ticks: > 0 } held && now - held < length ? held : (DateTimeOffset?)null;
        return new(row, limit, entries, entity?.ETag)
        {
            HeldAt = heldAt,
            PulledAt = heldAt is null ? null : entity!.Properties.Get<DateTimeOffset>("PulledAt"),
        };
    }

    /// <summary>What was decided about a case before; <see langword="null"/>: it is not in the window.</summary>
    public bool? VerdictOn(string caseId) => _entries.FindIndex(e => e.CaseId == caseId) is >= 0 and var i ? _entries[i].Admitted : null;

    /// <summary>The window with one more leaver.</summary>
    public LeaverWindow With(string caseId, bool admitted, DateTimeOffset now)
    {
        List<Entry> entries = [.. _entries.TakeLast(Math.Max(Limit - 1, 0)), new(caseId, now, admitted)];
        return new(Row, Limit, entries, ETag)
        {
            PulledAt = admitted ? PulledAt : PulledAt ?? now,
            HeldAt = admitted ? HeldAt : now,
        };
    }

    /// <summary>The write that stores it, on condition that nobody else has written since.</summary>
    public EntityOperation ToOperation()
    {
        var properties = new EntityProperties { ["Schema"] = 1, ["PulledAt"] = PulledAt, ["HeldAt"] = HeldAt };
        var bytes = new byte[_entries.Count * EntryBytes];
        for (var i = 0; i < _entries.Count; i++)
        {
            _entries[i].Write(bytes.AsSpan(i * EntryBytes, EntryBytes));
        }

        for (var (i, at) = (0, 0); at < bytes.Length; i++, at += ChunkBytes)
        {
            properties[ChunkName(i)] = bytes[at..Math.Min(at + ChunkBytes, bytes.Length)];
        }

        var entity = new Entity(Partition, Row) { Properties = properties };
        return ETag is null ? EntityOperation.Insert(entity) : EntityOperation.Replace(entity, ETag);
    }

    private static string ChunkName(int i) => string.Create(CultureInfo.InvariantCulture, $"Leavers{i}");

    private readonly record struct Entry(string CaseId, DateTimeOffset At, bool Admitted)
    {
        public static Entry Read(ReadOnlySpan<byte> bytes) => new(
            new Guid(bytes[..16], bigEndian: true).ToString("N"),
            new DateTimeOffset(BinaryPrimitives.ReadInt64BigEndian(bytes[16..]), TimeSpan.Zero),
            bytes[24] != 0);

        public void Write(Span<byte> bytes)
        {
            Guid.ParseExact(CaseId, "N").TryWriteBytes(bytes, bigEndian: true, out _);
            BinaryPrimitives.WriteInt64BigEndian(bytes[16..], At.UtcTicks);
            bytes[24] = Admitted ? (byte)1 : (byte)0;
        }
    }
}
