using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class SvixDialectTests
{
    private static readonly HrSource Source = Fixtures.Source("svix", ("Secrets:0", IntakeScenario.NextSecret), ("Secrets:1", IntakeScenario.Secret));

    [Fact]
    public void The_signature_is_that_of_standard_webhooks_under_other_names()
    {
        var body = Fixtures.Read("svix", "terminated.json");
        var signature = StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(IntakeScenario.Secret)!, "msg_1", 1795309200, body);

        var verification = Source.Verify(body, ("svix-id", "msg_1"), ("svix-timestamp", "1795309200"), ("svix-signature", $"v1,{new string('A', 43)}= v1a,x {signature}"));

        Assert.Equal((SignatureVerdict.Valid, 1, "msg_1"), (verification.Verdict, verification.SecretIndex, verification.SenderId));
        Assert.Equal(
            SignatureVerdict.MissingHeader,
            Source.Verify(body, ("webhook-id", "msg_1"), ("webhook-timestamp", "1795309200"), ("webhook-signature", signature)).Verdict);
        Assert.Equal(
            SignatureVerdict.Mismatch, Source.Verify(body, ("svix-id", "msg_2"), ("svix-timestamp", "1795309200"), ("svix-signature", signature)).Verdict);
    }

    [Fact]
    public void The_published_vector_verifies()
    {
        var source = Fixtures.Source("svix", ("Secrets:0", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        var verification = source.Dialect.Verify(
            Fixtures.Headers(
                ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("svix-timestamp", "1614265330"), ("svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")),
            """{"test": 2432232314}"""u8, source.Secrets, DateTimeOffset.FromUnixTimeSeconds(1614265330));

        Assert.Equal(SignatureVerdict.Valid, verification.Verdict);
    }

    [Fact]
    public void Bodies_are_those_of_the_dialect_standard() =>
        Assert.Equal(PersonEventKind.Terminated, Assert.Single(Source.Read(Fixtures.Read("svix", "terminated.json")).Events).Kind);
}
