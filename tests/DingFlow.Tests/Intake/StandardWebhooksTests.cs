using System.Text;
using CsCheck;
using DingFlow.Intake;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Intake;

public sealed class StandardWebhooksTests
{
    private const string Id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    private const long Timestamp = 1614265330;
    private const string Signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    private static readonly byte[] Secret = StandardWebhooks.DecodeSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")!;
    private static readonly byte[] OtherSecret = StandardWebhooks.DecodeSecret(IntakeScenario.NextSecret)!;
    private static readonly byte[] Body = Encoding.UTF8.GetBytes("""{"test": 2432232314}""");

    [Fact]
    public void The_published_vector_is_signed_and_verified()
    {
        Assert.Equal(Signature, StandardWebhooks.Sign(Secret, Id, Timestamp, Body));
        Assert.Equal(new HrVerification(SignatureVerdict.Valid, 0, Id), Verify(Signature));
    }

    [Fact]
    public void The_secret_that_signed_is_named() => Assert.Equal(1, Verify(Signature, secrets: [OtherSecret, Secret]).SecretIndex);

    [Theory]
    [InlineData($"v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= {Signature}")]
    [InlineData($"{Signature} v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData($"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {Signature}")]
    [InlineData($"v2,whatever  {Signature}")]
    public void One_valid_signature_among_others_suffices(string list) => Assert.Equal(SignatureVerdict.Valid, Verify(list).Verdict);

    [Theory]
    [InlineData("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")]
    [InlineData("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")]
    public void Without_a_valid_signature_it_does_not_match(string list) => Assert.Equal(SignatureVerdict.Mismatch, Verify(list).Verdict);

    [Theory]
    [InlineData("v1,")]
    [InlineData("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O")]
    [InlineData("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O!=")]
    public void A_malformed_signature_is_refused(string list) => Assert.Equal(SignatureVerdict.MalformedHeader, Verify(list).Verdict);

    [Fact]
    public void Too_many_signatures_are_refused() =>
        Assert.Equal(SignatureVerdict.MalformedHeader, Verify(string.Join(' ', Enumerable.Repeat(Signature, 17))).Verdict);

    [Theory]
    [InlineData(-300, SignatureVerdict.Valid)]
    [InlineData(300, SignatureVerdict.Valid)]
    [InlineData(-301, SignatureVerdict.Stale)]
    [InlineData(301, SignatureVerdict.Stale)]
    public void An_attempt_may_be_five_minutes_old_or_ahead(int seconds, SignatureVerdict expected) =>
        Assert.Equal(expected, Verify(Signature, now: Timestamp + seconds).Verdict);

    [Theory]
    [InlineData(StandardWebhooks.IdHeader)]
    [InlineData(StandardWebhooks.TimestampHeader)]
    [InlineData(StandardWebhooks.SignatureHeader)]
    public void A_missing_header_is_refused_and_so_is_one_given_twice(string name)
    {
        var headers = Headers(Signature);
        headers[name] = new[] { headers[name][0], headers[name][0] };
        Assert.Equal(SignatureVerdict.MalformedHeader, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);

        headers.Remove(name);
        Assert.Equal(SignatureVerdict.MissingHeader, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a,b")]
    [InlineData("a\nb")]
    [InlineData("ä")]
    public void An_id_that_could_not_be_kept_is_refused(string id)
    {
        var headers = Headers(StandardWebhooks.Sign(Secret, id, Timestamp, Body));
        headers[StandardWebhooks.IdHeader] = id;

        Assert.Equal(SignatureVerdict.MalformedHeader, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);
    }

    [Fact]
    public void An_id_may_have_128_characters() =>
        Assert.Equal((true, false), (StandardWebhooks.IsId(new string('a', 128)), StandardWebhooks.IsId(new string('a', 129))));

    [Theory]
    [InlineData("")]
    [InlineData("-1614265330")]
    [InlineData("+1614265330")]
    [InlineData(" 1614265330")]
    [InlineData("1614265330.0")]
    [InlineData("1614265330000")]
    [InlineData("2021-02-25T15:02:10Z")]
    public void A_timestamp_is_digits_only(string timestamp)
    {
        var headers = Headers(Signature);
        headers[StandardWebhooks.TimestampHeader] = timestamp;

        Assert.Equal(SignatureVerdict.MalformedHeader, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);
    }

    [Fact]
    public void Any_change_of_the_body_id_or_time_breaks_the_signature()
    {
        var headers = Headers(Signature);
        Assert.Equal(SignatureVerdict.Mismatch, StandardWebhooks.Verify(headers, [.. Body, (byte)' '], [Secret], At(Timestamp)).Verdict);
        headers[StandardWebhooks.TimestampHeader] = "1614265331";
        Assert.Equal(SignatureVerdict.Mismatch, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);
        headers[StandardWebhooks.TimestampHeader] = "1614265330";
        headers[StandardWebhooks.IdHeader] = "other";
        Assert.Equal(SignatureVerdict.Mismatch, StandardWebhooks.Verify(headers, Body, [Secret], At(Timestamp)).Verdict);
    }

    [Fact]
    public void Without_secrets_nothing_is_valid() => Assert.Equal(SignatureVerdict.Mismatch, Verify(Signature, secrets: []).Verdict);

    [Theory]
    [InlineData(23, false)]
    [InlineData(24, true)]
    [InlineData(64, true)]
    [InlineData(65, false)]
    public void A_secret_has_24_to_64_bytes(int bytes, bool valid) =>
        Assert.Equal(valid, StandardWebhooks.DecodeSecret("whsec_" + Convert.ToBase64String(new byte[bytes])) is not null);

    [Theory]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [InlineData("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS")]
    [InlineData("whsec_")]
    public void A_secret_is_whsec_and_base64(string secret) => Assert.Null(StandardWebhooks.DecodeSecret(secret));

    [Fact]
    public void Random_headers_are_refused_and_never_throw() => Gen.Select(Gen.String, Gen.String, Gen.String, Gen.Byte.Array[0, 50]).Sample(
        (id, timestamp, list, body) =>
        {
            var headers = new HeaderDictionary
            {
                [StandardWebhooks.IdHeader] = id, [StandardWebhooks.TimestampHeader] = timestamp, [StandardWebhooks.SignatureHeader] = list,
            };
            var loose = new HeaderDictionary
            {
                [StandardWebhooks.IdHeader] = Id, [StandardWebhooks.TimestampHeader] = "1614265330", [StandardWebhooks.SignatureHeader] = $"v1,{list}",
            };
            return StandardWebhooks.Verify(headers, body, [Secret], At(Timestamp)).Verdict != SignatureVerdict.Valid
                && StandardWebhooks.Verify(loose, body, [Secret], At(Timestamp)).Verdict != SignatureVerdict.Valid;
        },
        iter: 2000);

    private static HrVerification Verify(string list, long now = Timestamp, byte[][]? secrets = null) =>
        StandardWebhooks.Verify(Headers(list), Body, secrets ?? [Secret], At(now));

    private static HeaderDictionary Headers(string list) => new()
    {
        [StandardWebhooks.IdHeader] = Id, [StandardWebhooks.TimestampHeader] = "1614265330", [StandardWebhooks.SignatureHeader] = list,
    };

    private static DateTimeOffset At(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds);
}
