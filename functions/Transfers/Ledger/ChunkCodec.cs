using System.IO.Compression;
using System.Text;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// Records as they lie in a log row: tables of what records share (facts, circumstances), one column after the other for what they do
/// not, compressed; the keys behind it as they are, since random bytes do not compress. A chunk is complete in itself: no dictionary is
/// needed to read it.
/// </summary>
/// <remarks>
/// What records say of their paperwork follows the columns (<see cref="PaperworkCodec"/>), in chunks in which one says something of it. A
/// reader of before it reads all the rest; a chunk without it has the bytes that it always had.
/// </remarks>
internal static class ChunkCodec
{
    private const byte Version = 1;

    /// <summary>Within reach of any machine: one thread packs a million records in well under a second.</summary>
    private const int Quality = 1;
    private const int Window = 18;

    /// <summary>More than any chunk expands to (20 000 records with the longest ids).</summary>
    private const int LargestExpansion = 64 * 1024 * 1024;

    private const int LargestKeptBuffer = 4 * 1024 * 1024;

    [ThreadStatic]
    private static Buffers? t_buffers;

    /// <summary>Packs records into pieces that are properties of a row, and into what merging needs.</summary>
    public static (IReadOnlyList<byte[]> Pieces, Chunk Chunk) Encode(IReadOnlyList<SubjectTransfer> records)
    {
        var chunk = Chunk.Borrow(records.Count);
        for (var i = 0; i < records.Count; i++)
        {
            chunk.Keys[i] = SubjectKey.Of(records[i].Subject);
        }

        return (Encode(records, chunk), chunk);
    }

    /// <summary>Packs records that were accepted before, as they stay without others.</summary>
    /// <param name="records">Those that stay.</param>
    /// <param name="table">
    /// What all of them added, in its order: it stays, since whoever reads the log numbers recipients and lanes by their first appearance.
    /// </param>
    public static IReadOnlyList<byte[]> Encode(IReadOnlyList<LedgerRecord> records, Addition[] table)
    {
        var chunk = Chunk.Of(records.Count);
        for (var i = 0; i < records.Count; i++)
        {
            chunk.Keys[i] = records[i].Subject;
        }

        return Encode(
            [.. records.Select(record => new SubjectTransfer(record.RecordId, "", default, record.OccurredAt, record.Facts, record.Circumstances) { Consent = record.Consent })],
            chunk, table);
    }

    private static IReadOnlyList<byte[]> Encode(IReadOnlyList<SubjectTransfer> records, Chunk chunk, Addition[]? table = null)
    {
        var tables = new Tables(table ?? []);
        var buffers = t_buffers ??= new();
        var (columns, ids, body, row) = buffers.Cleared();
        var additions = chunk.Additions;
        var (time, id) = (0L, "");
        for (var i = 0; i < additions.Length; i++)
        {
            var record = records[i];
            additions[i] = tables.AdditionOf(record);
            columns.Number(additions[i] + 1);
            columns.Number(tables.CircumstancesOf(record.Circumstances));
            var at = record.OccurredAt.ToUnixTimeMilliseconds();
            columns.Signed(at - time);
            time = at;
            WriteId(ids, id, record.RecordId);
            id = record.RecordId;
        }

        chunk.Table = tables.Additions;
        WriteFacts(body, chunk.Table);
        WriteCircumstances(body, tables.Circumstances);
        body.Bytes(columns.Written);
        body.Bytes(ids.Written);
        PaperworkCodec.Write(body, tables.Circumstances, records);

        // The two are written and read; their space serves the compressed bytes.
        columns.Clear();
        var compressed = columns.Reserve(BrotliEncoder.GetMaxCompressedLength(body.Length));
        if (!BrotliEncoder.TryCompress(body.Written, compressed, out var length, Quality, Window))
        {
            throw new InvalidOperationException("The chunk did not compress into the space that must suffice.");
        }

        row.Byte(Version);
        row.Number(records.Count);
        row.Number(body.Length);
        row.Number(length);
        row.Bytes(compressed[..length]);
        row.Keys(chunk.Keys);
        var pieces = LedgerRows.Pieces(row.Written);
        if (buffers.Size > LargestKeptBuffer)
        {
            t_buffers = null;
        }

        return pieces;
    }

    /// <summary>What merging needs.</summary>
    /// <exception cref="InvalidDataException">The bytes are damaged.</exception>
    public static Chunk Decode(ReadOnlySpan<byte> bytes)
    {
        var (chunk, body) = Open(bytes);
        var reader = new PackedReader(body);
        chunk.Table = ReadFacts(ref reader);
        _ = ReadCircumstances(ref reader);
        foreach (ref var addition in chunk.Additions)
        {
            addition = AdditionIn(chunk.Table, reader.Int());
            reader.Number();
            reader.Signed();
        }

        return chunk;
    }

    /// <summary>The records as they were accepted.</summary>
    /// <exception cref="InvalidDataException">The bytes are damaged.</exception>
    public static List<LedgerRecord> DecodeRecords(ReadOnlySpan<byte> bytes, string batchId)
    {
        var (chunk, body) = Open(bytes);
        var reader = new PackedReader(body);
        var table = ReadFacts(ref reader);
        var circumstances = ReadCircumstances(ref reader);
        var columns = new (int Addition, int Circumstances, long Time)[chunk.Count];
        var time = 0L;
        for (var i = 0; i < columns.Length; i++)
        {
            var (addition, place) = (AdditionIn(table, reader.Int()), reader.Int());
            time += reader.Signed();
            columns[i] = (addition, place < circumstances.Count ? place : throw PackedReader.Damaged(), time);
        }

        var ids = new string[columns.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            ids[i] = ReadId(ref reader, i == 0 ? "" : ids[i - 1]);
        }

        var consents = PaperworkCodec.Read(ref reader, circumstances, columns.Length);
        List<LedgerRecord> records = new(columns.Length);
        foreach (var key in chunk.Keys)
        {
            var i = records.Count;
            var (addition, place, at) = columns[i];
            records.Add(new(
                ids[i], key, DateTimeOffset.FromUnixTimeMilliseconds(at), addition < 0 ? [] : table[addition].Facts, circumstances[place], batchId)
            {
                Consent = consents?[i],
            });
        }

        return records;
    }

    private static (Chunk Chunk, byte[] Body) Open(ReadOnlySpan<byte> bytes)
    {
        var reader = new PackedReader(bytes);
        if (reader.Byte() != Version)
        {
            throw PackedReader.Damaged();
        }

        var (count, length) = (reader.Count(), reader.Int());
        var compressed = reader.Bytes(reader.Int());
        if (length > LargestExpansion || reader.Remaining != (long)count * SubjectKey.Size)
        {
            throw PackedReader.Damaged();
        }

        var body = new byte[length];
        if (!BrotliDecoder.TryDecompress(compressed, body, out var written) || written != length)
        {
            throw PackedReader.Damaged();
        }

        var chunk = Chunk.Of(count);
        reader.Keys(chunk.Keys);
        return (chunk, body);
    }

    private static int AdditionIn(Addition[] table, int number) => number <= table.Length ? number - 1 : throw PackedReader.Damaged();

    /// <summary>Ids of one sender mostly differ in their last characters: only what differs from the one before is written.</summary>
    internal static void WriteId(PackedWriter writer, string before, string id)
    {
        var common = before.AsSpan().CommonPrefixLength(id);
        if (common > 0 && char.IsHighSurrogate(id[common - 1]))
        {
            common--;
        }

        writer.Number(common);
        var rest = id.AsSpan(common);
        var length = Encoding.UTF8.GetByteCount(rest);
        writer.Number(length);
        Encoding.UTF8.GetBytes(rest, writer.Reserve(length));
    }

    internal static string ReadId(ref PackedReader reader, string before)
    {
        var common = reader.Int();
        return common <= before.Length ? string.Concat(before.AsSpan(0, common), reader.Text()) : throw PackedReader.Damaged();
    }

    private static void WriteFacts(PackedWriter writer, Addition[] table)
    {
        var recipients = table.SelectMany(addition => addition.Facts).Select(fact => fact.Recipient).Distinct(StringComparer.Ordinal).ToList();
        var places = recipients.Select((name, place) => (name, place)).ToDictionary(r => r.name, r => r.place, StringComparer.Ordinal);
        writer.Number(recipients.Count);
        recipients.ForEach(writer.Text);
        writer.Number(table.Length);
        foreach (var (year, facts) in table)
        {
            writer.Number(year);
            writer.Number(facts.Count);
            foreach (var fact in facts)
            {
                writer.Number(fact.Lane.Origin.Number);
                writer.Number(fact.Lane.Destination.Number);
                writer.Byte((byte)fact.Exemption);
                writer.Byte((byte)(((byte)fact.Class << 1) | (fact.Minor ? 1 : 0)));
                writer.Number(places[fact.Recipient]);
            }
        }
    }

    private static Addition[] ReadFacts(ref PackedReader reader)
    {
        var recipients = new string[reader.Count()];
        for (var i = 0; i < recipients.Length; i++)
        {
            recipients[i] = reader.Text();
        }

        var table = new Addition[reader.Count()];
        for (var i = 0; i < table.Length; i++)
        {
            var year = reader.Int();
            var facts = new TransferFact[reader.Count()];
            for (var j = 0; j < facts.Length; j++)
            {
                var lane = new Lane(CountryOf(ref reader), CountryOf(ref reader));
                var exemption = (ExemptionKind)reader.Byte();
                var classAndMinor = reader.Byte();
                var recipient = reader.Int();
                facts[j] = new(lane, exemption, (DataClass)(classAndMinor >> 1), (classAndMinor & 1) != 0,
                    recipient < recipients.Length ? recipients[recipient] : throw PackedReader.Damaged());
            }

            table[i] = new(year, facts);
        }

        return table;
    }

    private static Country CountryOf(ref PackedReader reader)
    {
        var number = reader.Int();
        try
        {
            return number == 0 ? default : Country.FromNumber((ushort)number);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw PackedReader.Damaged();
        }
    }

    private static void WriteCircumstances(PackedWriter writer, IReadOnlyList<TransferCircumstances> table)
    {
        writer.Number(table.Count);
        foreach (var item in table)
        {
            writer.Number(item.Fields.Count);
            foreach (var field in item.Fields)
            {
                writer.Text(field);
            }

            writer.Text(item.Purpose);
            writer.Text(item.LegalBasis);
            writer.OptionalText(item.Mechanism);
            writer.Text(item.Method);
            writer.Text(item.System);
            writer.OptionalText(item.Evidence);
            writer.Number((int)item.Notices);
        }
    }

    private static List<TransferCircumstances> ReadCircumstances(ref PackedReader reader)
    {
        List<TransferCircumstances> table = [];
        for (var count = reader.Count(); count > 0; count--)
        {
            var fields = new string[reader.Count()];
            for (var i = 0; i < fields.Length; i++)
            {
                fields[i] = reader.Text();
            }

            table.Add(new(
                fields, reader.Text(), reader.Text(), reader.OptionalText(), reader.Text(), reader.Text(), reader.OptionalText(),
                (TransferNotices)reader.Int()));
        }

        return table;
    }

    /// <summary>Kept by each thread from chunk to chunk.</summary>
    private sealed class Buffers
    {
        private readonly PackedWriter _columns = new(64 * 1024);
        private readonly PackedWriter _ids = new(64 * 1024);
        private readonly PackedWriter _body = new(64 * 1024);
        private readonly PackedWriter _row = new(64 * 1024);

        public int Size => _columns.Capacity + _ids.Capacity + _body.Capacity + _row.Capacity;

        public (PackedWriter Columns, PackedWriter Ids, PackedWriter Body, PackedWriter Row) Cleared()
        {
            _columns.Clear();
            _ids.Clear();
            _body.Clear();
            _row.Clear();
            return (_columns, _ids, _body, _row);
        }
    }

    /// <summary>What records share. Equal things are mostly the same instance, so instances are asked first.</summary>
    private sealed class Tables
    {
        private readonly Dictionary<(int Year, object Facts), int> _instances = new(InstanceComparer.Instance);
        private readonly Dictionary<(int, string), int> _contents = [];
        private readonly List<Addition> _additions = [];
        private readonly Dictionary<object, int> _circumstanceInstances = new(ReferenceEqualityComparer.Instance);
        private readonly Dictionary<string, int> _circumstanceContents = new(StringComparer.Ordinal);
        private readonly List<TransferCircumstances> _circumstances = [];

        public Tables(Addition[] additions)
        {
            foreach (var (year, facts) in additions)
            {
                PlaceOf(year, facts);
            }
        }

        public Addition[] Additions => [.. _additions];

        public IReadOnlyList<TransferCircumstances> Circumstances => _circumstances;

        public int AdditionOf(SubjectTransfer record)
        {
            if (record.Facts.Count == 0)
            {
                return -1;
            }

            var year = LegalTime.YearOf(record.OccurredAt);
            if (!_instances.TryGetValue((year, record.Facts), out var place))
            {
                place = PlaceOf(year, record.Facts);
                _instances.Add((year, record.Facts), place);
            }

            return place;
        }

        private int PlaceOf(int year, IReadOnlyList<TransferFact> facts)
        {
            var content = string.Join('\n', facts.Select(f => $"{f.Lane} {(int)f.Exemption} {(int)f.Class} {f.Minor} {f.Recipient}"));
            if (!_contents.TryGetValue((year, content), out var place))
            {
                place = _additions.Count;
                _contents.Add((year, content), place);
                _additions.Add(new(year, facts));
            }

            return place;
        }

        public int CircumstancesOf(TransferCircumstances item)
        {
            if (!_circumstanceInstances.TryGetValue(item, out var place))
            {
                var content = string.Join('\u001f', [
                    .. item.Fields, "\u001e", item.Purpose, item.LegalBasis, item.Mechanism ?? "\u001d", item.Method, item.System,
                    item.Evidence ?? "\u001d", ((int)item.Notices).ToString(System.Globalization.CultureInfo.InvariantCulture), .. Papers(item.Paperwork)]);
                if (!_circumstanceContents.TryGetValue(content, out place))
                {
                    place = _circumstances.Count;
                    _circumstanceContents.Add(content, place);
                    _circumstances.Add(item);
                }

                _circumstanceInstances.Add(item, place);
            }

            return place;
        }

        private static string[] Papers(TransferPaperwork? papers) => papers is null ? [] :
        [
            papers.Scenario ?? "\u001d", papers.NoticeVersion ?? "\u001d", papers.ConsentVersion ?? "\u001d", papers.SeparateConsent?.ToString() ?? "\u001d",
        ];

        private sealed class InstanceComparer : IEqualityComparer<(int Year, object Facts)>
        {
            public static InstanceComparer Instance { get; } = new();

            public bool Equals((int Year, object Facts) x, (int Year, object Facts) y) =>
                x.Year == y.Year && ReferenceEquals(x.Facts, y.Facts);

            public int GetHashCode((int Year, object Facts) obj) =>
                System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(obj.Facts) + obj.Year;
        }
    }
}
