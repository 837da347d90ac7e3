using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;

namespace DingFlow.Storage;

/// <summary>What a set of rows comes to, table by table, whatever the order in which they were read.</summary>
internal sealed class BackupSummary
{
    private readonly SortedDictionary<string, TableSummary> _tables = new(StringComparer.Ordinal);

    /// <summary>Tables by name.</summary>
    public IReadOnlyDictionary<string, TableSummary> Tables => _tables;

    /// <summary>All rows.</summary>
    public long Rows => _tables.Values.Sum(table => table.Rows);

    /// <summary>Adds the row whose line (<see cref="BackupRow"/>) this is.</summary>
    public void Add(string table, ReadOnlySpan<byte> line)
    {
        var summary = _tables.TryGetValue(table, out var known) ? known : new TableSummary(0, []);
        _tables[table] = summary.With(SHA256.HashData(line));
    }

    /// <summary>Adds what a backup says of a table.</summary>
    public void Add(string table, TableSummary summary) => _tables.Add(table, summary);

    /// <summary>The tables that differ, with both counts; none when the rows are the same.</summary>
    public IReadOnlyList<string> DifferencesFrom(BackupSummary expected)
    {
        List<string> differences = [];
        foreach (var table in _tables.Keys.Union(expected._tables.Keys).Order(StringComparer.Ordinal))
        {
            var (here, there) = (_tables.GetValueOrDefault(table), expected._tables.GetValueOrDefault(table));
            if (here?.Rows != there?.Rows)
            {
                differences.Add(string.Create(
                    CultureInfo.InvariantCulture, $"{table}: {here?.Rows ?? 0} rows, {there?.Rows ?? 0} in the backup"));
            }
            else if (here?.Hex != there?.Hex)
            {
                differences.Add(string.Create(
                    CultureInfo.InvariantCulture, $"{table}: as many rows as in the backup ({here?.Rows}), but not the same"));
            }
        }

        return differences;
    }
}

/// <summary>Rows of a table and the sum, modulo 2^256, of the SHA-256 of each.</summary>
internal sealed record TableSummary(long Rows, ulong[] Sum)
{
    private const int Words = 4;

    /// <summary>The sum in hexadecimal digits.</summary>
    public string Hex => string.Concat((Sum.Length == 0 ? new ulong[Words] : Sum).Select(word => word.ToString("x16", CultureInfo.InvariantCulture)));

    /// <summary>Reads what <see cref="Hex"/> wrote.</summary>
    /// <exception cref="FormatException">It is no such text.</exception>
    public static TableSummary Parse(long rows, string hex)
    {
        if (hex.Length != Words * 16)
        {
            throw new FormatException("A digest has another length.");
        }

        var sum = new ulong[Words];
        for (var i = 0; i < Words; i++)
        {
            sum[i] = ulong.Parse(hex.AsSpan(i * 16, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }

        return new(rows, sum);
    }

    /// <summary>With one row more.</summary>
    public TableSummary With(byte[] hash)
    {
        var sum = new ulong[Words];
        var carry = 0UL;
        for (var i = Words - 1; i >= 0; i--)
        {
            var word = (UInt128)(Sum.Length == 0 ? 0 : Sum[i]) + BinaryPrimitives.ReadUInt64BigEndian(hash.AsSpan(i * sizeof(ulong))) + carry;
            sum[i] = (ulong)word;
            carry = (ulong)(word >> 64);
        }

        return new(Rows + 1, sum);
    }
}
