using DingFlow.Intake;

namespace DingFlow.Tests.Intake;

public sealed class GitHubDialectTests
{
    private static readonly HrSource Source = Fixtures.Source("github", ("Secrets:0", "It's a Secret to Everybody"));

    [Fact]
    public void The_published_vector_verifies()
    {
        const string Signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        var body = "Hello, World!"u8.ToArray();

        var verification = Source.Verify(body, ("X-Hub-Signature-256", Signature), ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"));

        Assert.Equal((SignatureVerdict.Valid, "72d3162e-cc78-11e3-81ab-4c9367dc0958"), (verification.Verdict, verification.SenderId));
        Assert.Equal(SignatureVerdict.MalformedHeader, Source.Verify(body, ("X-Hub-Signature-256", Signature["sha256=".Length..])).Verdict);
        Assert.Equal(SignatureVerdict.Mismatch, Source.Verify("Hello, World?"u8.ToArray(), ("X-Hub-Signature-256", Signature)).Verdict);
    }

    [Fact]
    public void Bodies_are_those_of_the_dialect_standard() =>
        Assert.Equal("E1001", Assert.Single(Source.Read(Fixtures.Read("github", "terminated.json")).Events).EmployeeId);
}
