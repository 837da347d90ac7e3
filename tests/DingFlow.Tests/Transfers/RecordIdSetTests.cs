using CsCheck;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

public sealed class RecordIdSetTests
{
    [Fact]
    public void It_is_a_set_of_texts_whatever_their_length()
    {
        // A few ids of every length, so that they meet again, fill places beside one another and leave holes.
        var id = Gen.Int[0, 40].SelectMany(length => Gen.String[Gen.Char["abé中"], length, length]);
        Gen.Select(id, Gen.Int[0, 2]).List[0, 3000].Sample(operations =>
        {
            var (known, ids) = (new HashSet<string>(StringComparer.Ordinal), new RecordIdSet());
            foreach (var (text, operation) in operations)
            {
                switch (operation)
                {
                    case 0:
                        Assert.Equal(known.Add(text), ids.Add(text));
                        break;
                    case 1:
                        known.Remove(text);
                        ids.Remove(text);
                        break;
                    default:
                        Assert.Equal(known.Contains(text), ids.Contains(text));
                        break;
                }
            }

            foreach (var (text, _) in operations)
            {
                Assert.Equal(known.Contains(text), ids.Contains(text));
            }
        }, iter: 200);
    }

    [Fact]
    public void Records_are_new_once_whether_their_ids_come_together_or_one_by_one()
    {
        var id = Gen.Int[0, 18].SelectMany(length => Gen.String[Gen.Char["ab"], length, length]);
        id.List[0, 50].List[1, 20].Sample(parts =>
        {
            var (known, ids) = (new HashSet<string>(StringComparer.Ordinal), new RecordIdSet());
            foreach (var part in parts)
            {
                var records = part.ConvertAll(text => new SubjectTransfer(text, "", default, default, [], TransferCircumstances.Unknown));
                Assert.Equal(records.Where(record => known.Add(record.RecordId)), ids.AddNew(records), ReferenceEqualityComparer.Instance);
            }
        }, iter: 200);
    }

    [Fact]
    public void A_hundred_thousand_ids_that_differ_in_a_digit_are_all_kept()
    {
        var ids = new RecordIdSet();
        for (var number = 0; number < 100_000; number++)
        {
            Assert.True(ids.Add($"t-{number}"));
        }

        for (var number = 0; number < 100_000; number++)
        {
            Assert.False(ids.Add($"t-{number}"));
            Assert.False(ids.Contains($"u-{number}"));
        }
    }
}
