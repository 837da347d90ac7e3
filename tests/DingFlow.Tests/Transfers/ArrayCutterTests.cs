using System.Text;
using CsCheck;
using DingFlow.Tests.Scim;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>Where the records of a JSON array end, whatever they hold and however their bytes arrive.</summary>
public sealed class ArrayCutterTests
{
    private const int MaximumBytes = 150;

    private static readonly Gen<string> Piece = Pick.One(
        "{", "}", "[", "]", "\"", "\\", ",", ":", " ", "\n", "7", "null", "a", "中", "{\"k\":\"v\"}", "{\"k\":\"}]\"}", "\"a\\\"b\"", "\"\\\\\"", "[1,2]", "{\"a\":{\"b\":[]}}",
        "{\"text\":\"" + new string('x', 40) + "\",\"more\":[\"" + new string('{', 33) + "\"]}", "\"" + new string(']', 64) + "\"", new string('y', 31), new string('\\', 33));

    private static readonly Gen<string> Batch = Gen.Select(
        Pick.One("[", "[", "[", " \r\n[\t", "{", "", "[["), Gen.Select(Piece, Pick.One(",", ",", ", ", "", "\n")).Select((piece, comma) => piece + comma).List[0, 20], Pick.One("]", "]", "] \n", "}", "", ",]", "]x"),
        (start, pieces, end) => start + string.Concat(pieces).TrimEnd(',') + end);

    [Fact]
    public void They_are_where_reading_byte_by_byte_finds_them() => Gen.Select(Batch, Gen.Int[1, 120].List[1, 12]).Sample(
        (batch, blocks) =>
        {
            var bytes = Encoding.UTF8.GetBytes(batch);
            var (expected, whole) = Model(batch);

            var (records, cut) = Cut(bytes, blocks);

            Assert.Equal(whole, cut);
            Assert.Equal(expected.Select(record => Encoding.UTF8.GetByteCount(record) > MaximumBytes ? null : record), records);
        },
        iter: 40_000);

    /// <summary>Cuts a batch that arrives in blocks of these sizes: its records (<see langword="null"/> for one that is too long), and whether it could be read to its end.</summary>
    private static (List<string?> Records, bool Whole) Cut(byte[] batch, List<int> blocks)
    {
        var cutter = new ArrayCutter(MaximumBytes, cloudEvents: false);
        List<string?> records = [];
        byte[] rest = [];
        for (var (at, number) = (0, 0); ; number++)
        {
            var length = Math.Min(blocks[number % blocks.Count], batch.Length - at);
            byte[] block = [.. rest, .. batch[at..(at + length)]];
            at += length;
            List<RecordPlace> places = [];
            var whole = cutter.TryCut(block, at == batch.Length, places, out var taken);
            records.AddRange(places.Select(place => place.IsTooLarge ? null : Encoding.UTF8.GetString(block, place.Start, place.Length)));
            rest = block[taken..];
            Assert.True(rest.Length <= MaximumBytes || !whole, "More is held than a record may have.");
            if (!whole || at == batch.Length)
            {
                return (records, whole);
            }
        }
    }

    /// <summary>The same, as simply as it can be said.</summary>
    private static (List<string> Records, bool Whole) Model(string batch)
    {
        List<string> records = [];
        var at = 0;
        Blanks();
        if (at < batch.Length && batch[at] == '{')
        {
            return Record() && Ends() ? (records, true) : (records, false);
        }

        if (at == batch.Length || batch[at++] != '[')
        {
            return (records, false);
        }

        Blanks();
        if (at < batch.Length && batch[at] == ']')
        {
            at++;
            return (records, Ends());
        }

        while (true)
        {
            Blanks();
            if (at == batch.Length || batch[at] is ',' or ']' or '}' || !Record())
            {
                return (records, false);
            }

            Blanks();
            if (at == batch.Length || batch[at] is not (',' or ']'))
            {
                return (records, false);
            }

            if (batch[at++] == ']')
            {
                return (records, Ends());
            }
        }

        void Blanks()
        {
            while (at < batch.Length && batch[at] is ' ' or '\t' or '\r' or '\n')
            {
                at++;
            }
        }

        bool Ends()
        {
            Blanks();
            return at == batch.Length;
        }

        bool Record()
        {
            var (start, depth, inString) = (at, 0, false);
            var scalar = batch[at] is not ('{' or '[' or '"');
            for (; at < batch.Length; at++)
            {
                var c = batch[at];
                if (scalar)
                {
                    if (c is ',' or ']' or '}' or ' ' or '\t' or '\r' or '\n')
                    {
                        records.Add(batch[start..at]);
                        return true;
                    }

                    continue;
                }

                if (inString && c == '\\')
                {
                    at++;
                    continue;
                }

                inString ^= c == '"';
                depth += inString ? 0 : c is '{' or '[' ? 1 : c is '}' or ']' ? -1 : 0;
                if (!inString && depth <= 0)
                {
                    records.Add(batch[start..++at]);
                    return true;
                }
            }

            return false;
        }
    }
}
