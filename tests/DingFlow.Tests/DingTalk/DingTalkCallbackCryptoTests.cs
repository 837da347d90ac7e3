using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CsCheck;
using DingFlow.DingTalk;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkCallbackCryptoTests
{
    private const string Random16 = "0123456789abcdef";

    private static readonly DingTalkCallbackCrypto Synthetic = new(
        "dingflowtesttoken", "DingFlowTestAesKey0123456789abcdefghijklmnQ", "dingflowtestappkey01");

    /// <summary>Real and synthetic pushes: token, AES key, owner, timestamp, nonce, signature, ciphertext, message.</summary>
    public static TheoryData<string, string, string, string, string, string, string, string> Vectors { get; } = new()
    {
        {
            "tokenxxxx", "o1w0aum42yaptlz8alnhwikjd3jenzt9cb9wmzptgus", "dingxxxxxx", "1605695694141", "WelUQl6bCqcBa2fM",
            "f36f4ba5337d426c7d4bca0dbcb06b3ddc1388fc",
            "X1VSe9cTJUMZu60d3kyLYTrBq5578ZRJtteU94wG0Q4Uk6E/wQYeJRIC0/UFW5Wkya1Ihz9oXAdLlyC9TRaqsQ==",
            "success"
        },
        {
            "mryue", "Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7", "ding6ccabc44d2c8d38b", "1608001896814", "WL4PK6yA",
            "03044561471240d4a14bb09372dfcfd4fd0e40cb",
            "0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3",
            """{"EventType":"check_url"}"""
        },
        {
            "123456", "4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij", "suite4xxxxxxxxxxxxxxx", "1445827045067", "nEXhMP4r",
            "5a65ceeef9aab2d149439f82dc191dd6c5cbe2c0",
            "1a3NBxmCFwkCJvfoQ7WhJHB+iX3qHPsc9JbaDznE1i03peOk1LaOQoRz3+nlyGNhwmwJ3vDMG+OzrHMeiZI7gTRWVdUBmfxjZ8Ej23JVYa9VrYeJ5as7XM/ZpulX8NEQis44w53h1qAgnC3PRzM7Zc/D6Ibr0rgUathB6zRHP8PYrfgnNOS9PhSBdHlegK+AGGanfwjXuQ9+0pZcy0w9lQ==",
            """{"EventType":"check_create_suite_url","Random":"LPIdSnlF","TestSuiteKey":"suite4xxxxxxxxxxxxxxx"}"""
        },
    };

    /// <summary>Synthetic pushes under one set of keys: signature, ciphertext, message.</summary>
    public static TheoryData<string, string, string, string> SyntheticVectors { get; } = new()
    {
        {
            "S1", "816b8f4e945a9e3f2a92eee822e5df03f4948dce",
            "L9Z7C+4GbKhBKa/cFh3dn3OXnEHRVQYWA+Co/0fUm/O7BFT2Lu5ZStgNybP68NH40b0bdQZrndlpcb8shZrD7latMJdwBJST0mu1y8t6ADdwHOgqYUu46/Lu1i7i8Itd",
            """{"EventType":"check_url"}"""
        },
        {
            "S2", "9a79dd75bfaacf3a91bed4073a8b186fc20fb12f",
            "L9Z7C+4GbKhBKa/cFh3dn7hPZZRh4F9xqR4CgxvkM56g1lCd7Wspgu/njyYM1mh3EbK8Dgkwi/EWckTcHVTss+0oUswqkJaz9X2ta50asPvp3+b/iqLYBTBQVMATC/1nKZqLmI63cQukVdJfpy3y5LcVCYMAZ7B7bj+VeecIgjpAvRYyDEBAigcyLMAISMGsfUpfA/iHzJzzXLy1mjy6i3EoaKZXiougBPPDp+cmyPbmrRtg4NI9ghaZksHktZd4nOGEtrjY1XUdn5erxtE+2tOSwDwthMMPF2bvBNeACX2thgx0A/6kOpqcyTJi7z39YB+cSROr5jjUsTQkEjuLfQ==",
            """{"eventId":"00000000000000000000000000000001","CorpId":"dingcorp0000000000000000000000000001","EventType":"user_leave_org","UserId":["test-user-0001"],"OptStaffId":"test-admin-0001","TimeStamp":"1767225600000"}"""
        },
        {
            "S3", "c34cf34d649003983e9268a19604049e4a86470a",
            "L9Z7C+4GbKhBKa/cFh3dnxkAZFDWbiUQ4xC6UUR+t0nF0HJQLtPeVuCP0Ww+EAepLMlD0A91515fmQvPS2aMIWorVAfGhVpCvZOAR6dfI8Q351Q9u4A4aR4DGb/vqQRTwUFob3ZqU9inRhNDWZbIYTmMn0OYOFKSkOWRchMm2KP/80bU76pIi3Hy+u0uykwhOTRSWBEPqdszwJiaydl+fsEIIiz++nulQj2yGp+GXZKaq+B506rEJLrpq4rgeem2eZgSO1/77GClYK1/KcV01pZM21DBfbLClFm5VkmMR1qPWAyJoHB7TfKQK1QOezQh524ELeXoCFRg1wJosNBqxXdqd8ygC+OM832+PG2hUwovLF2HvVhMowSFHrbsR/5B",
            """{"EventType":"hrm_mdm_user_change","EventTime":1767225600000,"CorpId":"dingcorp0000000000000000000000000001","BizId":"1767225600000","eventId":"00000000000000000000000000000002","changeType":4,"staffId":"test-user-0001"}"""
        },
        {
            "S4", "e1719e0a1d75f8a7e84e53051dcaf41c4f7413f0",
            "L9Z7C+4GbKhBKa/cFh3dn/aWSKh8SPuAuvYYLJHkK0l3Mk8Cz3g3OuiAF8lr7ACO9O18qGjYDuLvUHjK/OP8T6RfkRCtHIRtSosb5VmWjyJhKEesXxqE0Af1opczbXdp",
            """{"EventType":"check_url","备注":"离职冻结测试"}"""
        },
        {
            "S5", "7f2e6bcc122b3d334910f99cbb78f8691106a835",
            "L9Z7C+4GbKhBKa/cFh3dn6S7GkuiVY/wIIdwSdEqKtTsEss2ZGn6BwbyPV3HRfzYD2YqqWSmXslKfiMq7OlPeoyBCzoipYry8Qts+mroCpf8Wbod5AlZmtGqTz+upi+G",
            """{"EventType":"check_ur"}"""
        },
        {
            "S6", "d0d20fd50cb3615771e0a19a8081e76322a7051a",
            "L9Z7C+4GbKhBKa/cFh3dn/aWSKh8SPuAuvYYLJHkK0lOmBHQmMx3IT5caIOMWTZJTx7K6kRYg4CPx57uqQtoZlNQZ7pynZ1TGbzgmY/gi8M9i5rM4xzb58pvKSM13Bxh",
            """{"EventType":"check_url"}""" + "                              "
        },
        {
            "S8", "22f617d82fecb140de4d2810c7a4d6e25e850586",
            "L9Z7C+4GbKhBKa/cFh3dnza6FppPoT71d6bAeU3A/S2yl2m8Wbcui0q3hM0stbUUz+n4EKpcC5gy5uq6JGQKdA==",
            "success"
        },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Published_vectors_open(
        string token, string aesKey, string owner, string timestamp, string nonce, string signature, string encrypt, string message)
    {
        var crypto = new DingTalkCallbackCrypto(token, aesKey, owner);

        var result = crypto.Open(signature, timestamp, nonce, encrypt);

        Assert.Equal(DingTalkCallbackVerdict.Valid, result.Verdict);
        Assert.Equal(message, Encoding.UTF8.GetString(result.Message.Span));
        Assert.Equal(signature, crypto.Sign(timestamp, nonce, encrypt));
    }

    [Theory]
    [MemberData(nameof(SyntheticVectors))]
    public void Synthetic_vectors_open_and_are_written_alike(string name, string signature, string encrypt, string message)
    {
        var result = Synthetic.Open(signature, "1767225601000", "TestNonce1", encrypt);

        Assert.Equal((name, DingTalkCallbackVerdict.Valid), (name, result.Verdict));
        Assert.Equal(message, Encoding.UTF8.GetString(result.Message.Span));
        Assert.Equal(encrypt, Synthetic.Encrypt(message, Encoding.ASCII.GetBytes(Random16)));
    }

    [Fact]
    public void A_message_padded_to_16_bytes_opens()
    {
        var result = Synthetic.Open(
            "6a181120574801224369a841c4576208c6ecbcb7", "1767225601000", "TestNonce1",
            "L9Z7C+4GbKhBKa/cFh3dn9/+hUuvBQubCfCFJe6yDulgbJ1maCNQDumqdnnkNkvmcoBnwxJ5tzwYLmz1byZbqQ==");

        Assert.Equal(DingTalkCallbackVerdict.Valid, result.Verdict);
        Assert.Equal("success!", Encoding.UTF8.GetString(result.Message.Span));
    }

    [Fact]
    public void The_published_vector_with_a_wild_length_is_refused()
    {
        var crypto = new DingTalkCallbackCrypto("123456", "4g5j64qlyl3zvetqxz5jiocdr586fn2zvjpa8zls3ij", "suite4xxxxxxxxxxxxxxx");

        var result = crypto.Decrypt("DwCJ9BMxu4r+VTe9TD+AWc1yfxqs7d2YgepFe4XruMgh1+6pTjCCq4nqAM6StRcafOx5a1OfwmX3ckSBifatlA==");

        Assert.NotEqual(DingTalkCallbackVerdict.Valid, result.Verdict);
    }

    [Theory]
    [InlineData("")]
    [InlineData("816b8f4e945a9e3f2a92eee822e5df03f4948dc")]
    [InlineData("816b8f4e945a9e3f2a92eee822e5df03f4948dcf")]
    [InlineData("816b8f4e945a9e3f2a92eee822e5df03f4948dcg")]
    [InlineData("816b8f4e945a9e3f2a92eee822e5df03f4948dce00")]
    public void A_wrong_signature_is_refused_before_anything_is_decrypted(string signature)
    {
        var result = Synthetic.Open(signature, "1767225601000", "TestNonce1", SyntheticEncrypt("S1"));

        Assert.Equal(DingTalkCallbackVerdict.BadSignature, result.Verdict);
        Assert.True(result.Message.IsEmpty);
    }

    [Fact]
    public void A_wrong_token_is_refused()
    {
        var other = new DingTalkCallbackCrypto("othertoken", "DingFlowTestAesKey0123456789abcdefghijklmnQ", "dingflowtestappkey01");

        var result = other.Open("816b8f4e945a9e3f2a92eee822e5df03f4948dce", "1767225601000", "TestNonce1", SyntheticEncrypt("S1"));

        Assert.Equal(DingTalkCallbackVerdict.BadSignature, result.Verdict);
    }

    [Theory]
    [InlineData("dingflowtestappkey02")]
    [InlineData("dingflowtestappkey0")]
    [InlineData("dingflowtestappkey011")]
    public void A_message_for_another_owner_is_refused(string owner)
    {
        var other = new DingTalkCallbackCrypto("dingflowtesttoken", "DingFlowTestAesKey0123456789abcdefghijklmnQ", owner);

        Assert.Equal(DingTalkCallbackVerdict.OtherOwner, OpenSigned(other, SyntheticEncrypt("S1")).Verdict);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64!")]
    [InlineData("AAAA")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAA")]
    public void What_is_no_ciphertext_is_refused(string encrypt) =>
        Assert.Equal(DingTalkCallbackVerdict.BadCiphertext, OpenSigned(Synthetic, encrypt).Verdict);

    [Fact]
    public void A_flipped_bit_is_refused()
    {
        var bytes = Convert.FromBase64String(SyntheticEncrypt("S1"));
        bytes[^1] ^= 1;

        Assert.Equal(DingTalkCallbackVerdict.BadPadding, OpenSigned(Synthetic, Convert.ToBase64String(bytes)).Verdict);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(33)]
    [InlineData(255)]
    public void A_padding_that_cannot_be_is_refused(byte padding) =>
        Assert.Equal(DingTalkCallbackVerdict.BadPadding, OpenSigned(Synthetic, Forge(7, plaintext => plaintext[^1] = padding)).Verdict);

    [Fact]
    public void A_padding_of_unequal_bytes_is_refused() =>
        Assert.Equal(DingTalkCallbackVerdict.BadPadding, OpenSigned(Synthetic, Forge(7, plaintext => plaintext[^2] ^= 1)).Verdict);

    [Theory]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(int.MaxValue)]
    [InlineData(28)]
    public void A_length_that_points_outside_is_refused(int length) =>
        Assert.Equal(DingTalkCallbackVerdict.BadLength, OpenSigned(Synthetic, Forge(length, static _ => { })).Verdict);

    [Fact]
    public void A_message_shorter_than_its_header_is_refused()
    {
        var plaintext = new byte[32];
        plaintext.AsSpan().Fill(32);

        Assert.Equal(DingTalkCallbackVerdict.BadLength, OpenSigned(Synthetic, EncryptRaw(plaintext)).Verdict);
    }

    [Theory]
    [InlineData("DingFlowTestAesKey0123456789abcdefghijklmn")]
    [InlineData("DingFlowTestAesKey0123456789abcdefghijklm+Q")]
    [InlineData("")]
    public void An_aes_key_that_cannot_be_one_is_refused_at_once(string aesKey) =>
        Assert.Throws<ArgumentException>(() => new DingTalkCallbackCrypto("token", aesKey, "owner"));

    [Fact]
    public void A_reply_opens_and_has_a_time_in_milliseconds_and_its_own_nonce()
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(1767225601000);

        var (first, second) = (Synthetic.Seal("success", now), Synthetic.Seal("success", now));

        Assert.Equal("1767225601000", first.TimeStamp);
        Assert.Equal(16, first.Nonce.Length);
        Assert.NotEqual(first.Nonce, second.Nonce);
        Assert.NotEqual(first.Encrypt, second.Encrypt);
        var opened = Synthetic.Open(first.Signature, first.TimeStamp, first.Nonce, first.Encrypt);
        Assert.Equal("success", Encoding.UTF8.GetString(opened.Message.Span));
    }

    [Fact]
    public void Whatever_is_sealed_opens_and_is_padded_to_32_bytes() => Gen.String.Sample(
        message =>
        {
            var text = string.Concat(message.EnumerateRunes());
            var reply = Synthetic.Seal(text, DateTimeOffset.UnixEpoch);
            var opened = Synthetic.Open(reply.Signature, reply.TimeStamp, reply.Nonce, reply.Encrypt);
            return opened.Verdict == DingTalkCallbackVerdict.Valid
                && Encoding.UTF8.GetString(opened.Message.Span) == text
                && Convert.FromBase64String(reply.Encrypt).Length % 32 == 0;
        },
        iter: 500);

    [Fact]
    public void Random_ciphertexts_are_refused_and_never_throw() => Gen.Byte.Array[0, 200].Sample(
        bytes =>
        {
            var encrypt = Convert.ToBase64String(bytes);
            return OpenSigned(Synthetic, encrypt).Verdict is not (DingTalkCallbackVerdict.Valid or DingTalkCallbackVerdict.BadSignature);
        },
        iter: 2000);

    [Fact]
    public void Random_texts_in_every_place_are_refused_and_never_throw() => Gen.Select(Gen.String, Gen.String, Gen.String, Gen.String).Sample(
        (signature, timestamp, nonce, encrypt) =>
            Synthetic.Open(signature, timestamp, nonce, encrypt).Verdict == DingTalkCallbackVerdict.BadSignature
            && OpenSigned(Synthetic, encrypt).Verdict == DingTalkCallbackVerdict.BadCiphertext,
        iter: 1000);

    private static string SyntheticEncrypt(string name) => SyntheticVectors.Single(row => row.Data.Item1 == name).Data.Item3;

    private static DingTalkCallbackResult OpenSigned(DingTalkCallbackCrypto crypto, string encrypt) =>
        crypto.Open(crypto.Sign("1767225601000", "TestNonce1", encrypt), "1767225601000", "TestNonce1", encrypt);

    /// <summary>A message of 7 bytes with the given length field, then spoilt.</summary>
    private static string Forge(int length, Action<byte[]> spoil)
    {
        var content = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Random16}????successdingflowtestappkey01"));
        BinaryPrimitives.WriteInt32BigEndian(content.AsSpan(16), length);
        var padding = 32 - (content.Length % 32);
        byte[] plaintext = [.. content, .. Enumerable.Repeat((byte)padding, padding)];
        spoil(plaintext);
        return EncryptRaw(plaintext);
    }

    private static string EncryptRaw(byte[] plaintext)
    {
        using var aes = Aes.Create();
        aes.Key = Convert.FromBase64String("DingFlowTestAesKey0123456789abcdefghijklmnQ=");
        return Convert.ToBase64String(aes.EncryptCbc(plaintext, aes.Key.AsSpan(0, 16), PaddingMode.None));
    }
}
