using DingFlow.Settings;

namespace DingFlow.Tests.Hosting;

public sealed class WordsTests
{
    [Theory]
    [InlineData("needsHuman")]
    [InlineData("NEEDSHUMAN")]
    [InlineData("NeedsHuman")]
    public void A_whole_name_in_any_case_is_a_member(string text)
    {
        Assert.True(Words.TryRead<Outcome>(text, out var value));
        Assert.Equal(Outcome.NeedsHuman, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("+1")]
    [InlineData(" done")]
    [InlineData("done,needsHuman")]
    [InlineData("needs")]
    public void Numbers_lists_and_parts_of_a_name_are_none(string text) => Assert.False(Words.TryRead<Outcome>(text, out _));

    [Fact]
    public void All_members_are_told_as_they_are_written_outside() => Assert.Equal("done, needsHuman", Words.All<Outcome>());

    private enum Outcome
    {
        Done,
        NeedsHuman,
    }
}
