using CsCheck;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Sandbox;

public sealed class GraphFilterTests
{
    private static readonly string[] Words =
    [
        "employeeId", "mail", "eq", "and", "or", "(", ")", "'", "''", "'E1001'", "/any(p:p eq 'x')", "startsWith(", ",", " ", "true", "é",
    ];

    [Fact]
    public void Any_text_is_either_a_filter_or_refused() => Gen.Int[0, Words.Length - 1].Array[0, 40].Sample(
        indexes =>
        {
            var text = string.Concat(indexes.Select(index => Words[index]));
            var fault = Record.Exception(() => GraphFilter.Parse(text).Matches(SandboxSeed.Person("E1001")));
            return fault is null or GraphFilterException;
        },
        iter: 20_000);

    [Theory]
    [InlineData("employeeId eq 'E1001' or mail eq 'x' and mail eq 'y'", true)]
    [InlineData("(employeeId eq 'E1001' or mail eq 'x') and mail eq 'y'", false)]
    [InlineData("employeeId eq ' E1001'", false)]
    [InlineData("displayName eq 'O''Neil'", false)]
    public void And_binds_more_tightly_than_or(string filter, bool matches) =>
        Assert.Equal(matches, GraphFilter.Parse(filter).Matches(SandboxSeed.Person("E1001")));

    [Fact]
    public void Depth_and_length_are_limited()
    {
        Assert.Throws<GraphFilterException>(() => GraphFilter.Parse(new string('(', 3_000)));
        Assert.Throws<GraphFilterException>(() => GraphFilter.Parse($"mail eq '{new string('x', 5_000)}'"));
    }
}
