using DingFlow.Messaging;
using DingFlow.Offboarding;

namespace DingFlow.Tests.Offboarding;

/// <summary>A sender that repeats itself fills no case.</summary>
public sealed class CaseWordsTests
{
    [Fact]
    public async Task After_thousands_of_words_the_next_one_still_freezes()
    {
        await using var driver = await OffboardingDriver.StartAsync(inMemory: true);
        var ahead = Leaver.Terminated("E1023") with { DingTalkUserId = null, Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(400) };
        for (var i = 0; i < 2000; i++)
        {
            await driver.HearAsync(ahead with { OccurredAt = OffboardingDriver.Start.AddDays(-1).AddSeconds(i) });
        }

        var waiting = await driver.OnlyCaseAsync("E1023");
        Assert.Equal((CaseState.Scheduled, 2000), (waiting.State, waiting.Signals.Count + waiting.WordsLeftOut));
        Assert.InRange(waiting.Signals.Count, 2, CaseWords.Most);
        Assert.Equal("delivery-1", waiting.Signals[0].DeliveryId);

        await driver.HearAsync(Leaver.Terminated("E1019", "hr/other") with { DingTalkUserId = null });
        await driver.HearAsync(Leaver.Terminated("E1023") with { DingTalkUserId = null });
        await driver.SettleAsync();
        var c = await driver.OnlyCaseAsync("E1023");
        Assert.True(c.StartedAt is not null && c.Steps.Any(s => s.Attempts > 0), $"{c.State} {string.Join(' ', c.Notes)}");
    }

    [Fact]
    public void The_word_that_decides_the_date_is_kept_however_many_older_ones_come_after_it()
    {
        var start = OffboardingDriver.Start;
        var c = new OffboardingCase { CaseId = "c", State = CaseState.Scheduled, ReceivedAt = start, DueAt = start };
        var decides = Word(0, start.AddHours(9), start.AddDays(3));
        c = CaseWords.Heard(CaseWords.Heard(c, Word(1, start, start.AddDays(9))), decides);
        for (var i = 2; i < 200; i++)
        {
            var word = Word(i, start.AddMinutes(i), start.AddDays(8));
            c = CaseWords.Heard(c, word);
            Assert.Contains(word, c.Signals);
        }

        Assert.Contains(decides, c.Signals);
        Assert.Equal(start.AddDays(3), CaseDates.Of(c.Signals)!.Value.LeavesAt);
        Assert.Equal(200, c.Signals.Count + c.WordsLeftOut);

        CaseSignal Word(int number, DateTimeOffset saidAt, DateTimeOffset leavesAt) => new()
        {
            DeliveryId = $"d{number}", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = start.AddDays(1), OccurredAt = saidAt, LeavesAt = leavesAt,
        };
    }
}
