using CsCheck;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>The table of a shard against a dictionary.</summary>
public sealed class ShardMapTests
{
    /// <summary>Subjects to add, and of those that are there one in so many to let go.</summary>
    private static readonly Gen<(int Add, int Drop)[]> Rounds = Gen.Select(Gen.Int[0, 3000], Gen.Int[2, 50]).Array[1, 8];

    [Fact]
    public void Two_tables_of_one_memory_hold_what_they_were_given() => Gen.Select(Rounds, Rounds, Gen.Int).Sample(
        (left, right, seed) =>
        {
            var (pages, random) = (new TablePages<SubjectEntry>(), new Random(seed));
            var (one, other) = (new Checked(new(pages, 0), random), new Checked(new(pages, 3), random));
            for (var round = 0; round < Math.Max(left.Length, right.Length); round++)
            {
                one.Run(left.ElementAtOrDefault(round));
                other.Run(right.ElementAtOrDefault(round));
                one.Check();
                other.Check();
            }
        },
        iter: 60);

    [Fact]
    public void A_table_is_full_enough_and_never_too_full()
    {
        var map = new ShardMap(new(), 1);
        var random = new Random(7);
        for (var count = 0; count < 60_000; count += 100)
        {
            map.Reserve(100);
            for (var i = 0; i < 100; i++)
            {
                map.FindOrAdd(Key(random), out var added);
                Assert.True(added);
            }

            Assert.True(map.Count <= map.Capacity * 4 / 5);
            Assert.True(count < 4096 || map.Count > map.Capacity * 6 / 10, $"{map.Count} of {map.Capacity}");
        }
    }

    [Fact]
    public void Subjects_whose_keys_end_alike_have_places_of_their_own()
    {
        var map = new ShardMap(new());
        var keys = Enumerable.Range(0, 500).Select(i => new SubjectKey((ulong)i, ulong.MaxValue)).ToList();
        foreach (var key in keys)
        {
            map.Reserve(1);
            map.At(map.FindOrAdd(key, out _)).State = (int)key.High + 1;
        }

        Assert.Equal(keys.Select(key => (int)key.High + 1), keys.Select(key => map.At(map.Find(key)).State));
        Assert.Equal(-1, map.Find(new(500, ulong.MaxValue)));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 3)]
    [InlineData(SubjectEntry.MostStates - 1, ShardMap.Level.Absent)]
    public void State_and_level_share_a_word_and_leave_one_another_alone(int state, byte level)
    {
        var key = new SubjectKey(ulong.MaxValue, 1);
        var entry = new SubjectEntry(key, state, level);
        Assert.Equal((key, state, level), (entry.Key, entry.State, entry.Level));

        entry.State = 5;
        Assert.Equal((key, 5, level), (entry.Key, entry.State, entry.Level));
        entry.State = state;
        entry.Level = ShardMap.Level.Tail;
        Assert.Equal((key, state, ShardMap.Level.Tail), (entry.Key, entry.State, entry.Level));
    }

    [Fact]
    public void Levels_beyond_the_highest_are_never_taken_for_one_that_is_not_stored()
    {
        Assert.Equal([3, 30, 30, 30], ((int[])[1, 28, 29, 250]).Select(level => (int)ShardMap.Level.OfSegment(level)));
        Assert.True(ShardMap.Level.OfSegment(255) < ShardMap.Level.Absent);
    }

    private static SubjectKey Key(Random random) => new((ulong)random.NextInt64(), (ulong)random.NextInt64() << 1);

    private sealed class Checked(ShardMap map, Random random)
    {
        private readonly Dictionary<SubjectKey, (int State, byte Level)> _expected = [];

        public void Run((int Add, int Drop) round)
        {
            // Room for more than is added, as when subjects are met again.
            map.Reserve(round.Add);
            for (var i = 0; i < round.Add; i++)
            {
                var again = _expected.Count > 0 && i % 3 == 0;
                var key = again ? _expected.Keys.ElementAt(random.Next(Math.Min(20, _expected.Count))) : Key(random);
                var place = map.FindOrAdd(key, out var added);
                Assert.Equal(!again, added);
                ref var entry = ref map.At(place);
                (entry.State, entry.Level) = (random.Next(1, 1000), (byte)random.Next(1, 8));
                _expected[key] = (entry.State, entry.Level);
            }

            if (round.Drop > 30)
            {
                foreach (var key in _expected.Keys.Where((_, i) => i % round.Drop == 0).ToList())
                {
                    map.At(map.Find(key)).State = FactSpace.Empty;
                    _expected.Remove(key);
                }

                map.Purge();
            }
        }

        public void Check()
        {
            Assert.Equal(_expected.Count, map.Count);
            foreach (var (key, (state, level)) in _expected)
            {
                ref var entry = ref map.At(map.Find(key));
                Assert.Equal((key, state, level), (entry.Key, entry.State, entry.Level));
            }

            Assert.Equal(-1, map.Find(Key(random)));
            List<int> places = [];
            map.Collect(4, places);
            Assert.Equal(_expected.Count(subject => subject.Value.Level <= 4), places.Distinct().Count());
            Assert.All(places, place => Assert.InRange(map.At(place).Level, 1, 4));
        }
    }
}
