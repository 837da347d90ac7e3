using System.Text;
using CsCheck;
using DingFlow.Tests.Scim;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// Canonical forms and pseudonyms as known answers. They must never change: whoever was counted under one form would be counted again
/// under another.
/// </summary>
public sealed class CanonicalSubjectTests
{
    /// <summary>Bytes 0 to 31.</summary>
    private static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Theory]
    [InlineData(SubjectType.EmployeeId, "E1001", "acme-zhuhai", "employee\nacme-zhuhai\nE1001")]
    [InlineData(SubjectType.EmployeeId, " e1001 ", "Acme-Zhuhai", "employee\nacme-zhuhai\nE1001")]
    [InlineData(SubjectType.EmployeeId, "Ｅ１００１", "acme-zhuhai", "employee\nacme-zhuhai\nE1001")]
    [InlineData(SubjectType.CustomerId, "客户-7", "acme-sg", "customer\nacme-sg\n客户-7")]
    [InlineData(SubjectType.CustomerId, "ab", "acme-sg", "customer\nacme-sg\nab")]
    [InlineData(SubjectType.Opaque, "aB", "acme-sg", "opaque\nacme-sg\naB")]
    [InlineData(SubjectType.DingTalkUserId, "sb-1001", "dingcorp1", "dingtalk-user\ndingcorp1\nsb-1001")]
    [InlineData(SubjectType.UnionId, "tiPi2Uu7", "", "dingtalk-union\n\ntiPi2Uu7")]
    [InlineData(SubjectType.Email, "E1001@Sandbox.Example.", "", "email\n\ne1001@sandbox.example")]
    [InlineData(SubjectType.Email, "e1001＠sandbox.example", "", "email\n\ne1001@sandbox.example")]
    [InlineData(SubjectType.Email, "wang@公司.cn", "", "email\n\nwang@xn--55qx5d.cn")]
    [InlineData(SubjectType.Email, "wang@b\u00fccher.example", "", "email\n\nwang@xn--bcher-kva.example")]
    [InlineData(SubjectType.Email, "Wang@B\u00dcCHER.example", "", "email\n\nwang@xn--bcher-kva.example")]
    [InlineData(SubjectType.Email, "wang@XN--BCHER-KVA.example", "", "email\n\nwang@xn--bcher-kva.example")]
    [InlineData(SubjectType.Email, "wang@公司\u3002cn", "", "email\n\nwang@xn--55qx5d.cn")]
    [InlineData(SubjectType.Mobile, "138 0013-8000", "", "mobile\n\n+8613800138000")]
    [InlineData(SubjectType.Mobile, "+86 138 0013 8000", "", "mobile\n\n+8613800138000")]
    [InlineData(SubjectType.Mobile, "0086(138)00138000", "", "mobile\n\n+8613800138000")]
    [InlineData(SubjectType.Mobile, "8613800138000", "", "mobile\n\n+8613800138000")]
    [InlineData(SubjectType.Mobile, "+853 6612 3456", "", "mobile\n\n+85366123456")]
    [InlineData(SubjectType.IdCard, "11010519491231002x", "", "id-cn\n\n11010519491231002X")]
    [InlineData(SubjectType.IdCard, "440524800101001", "", "id-cn\n\n440524198001010013")]
    [InlineData(SubjectType.Passport, "p 123-456", "pt", "passport\nPT\nP123456")]
    [InlineData(SubjectType.HongKongIdCard, "a123456(3)", "", "id-hk\n\nA1234563")]
    [InlineData(SubjectType.HongKongIdCard, "AB987654(3)", "", "id-hk\n\nAB9876543")]
    [InlineData(SubjectType.MacauIdCard, "1234567(8)", "", "id-mo\n\n12345678")]
    [InlineData(SubjectType.EmployeeId, "E1001\u200b", "acme-zhuhai", "employee\nacme-zhuhai\nE1001")]
    [InlineData(SubjectType.EmployeeId, "\ufeffE10\u00ad01", "acme-zhuhai", "employee\nacme-zhuhai\nE1001")]
    [InlineData(SubjectType.CustomerId, "Jos\u00e9", "acme-sg", "customer\nacme-sg\nJos\u00e9")]
    [InlineData(SubjectType.CustomerId, "\ufa0e", "acme-sg", "customer\nacme-sg\n\ufa0e")]
    [InlineData(SubjectType.EntraObjectId, "{0F8FAD5B-D9CB-469F-A165-70867728950E}", "", "entra-object\n\n0f8fad5b-d9cb-469f-a165-70867728950e")]
    public void Spellings_of_one_identifier_have_one_form(SubjectType type, string identifier, string scope, string expected) =>
        Assert.Equal(expected, Canonical(type, identifier, scope));

    [Theory]
    [InlineData(SubjectType.EmployeeId, "", "acme")]
    [InlineData(SubjectType.EmployeeId, " \u3000", "acme")]
    [InlineData(SubjectType.EmployeeId, "E1\n2", "acme")]
    [InlineData(SubjectType.EmployeeId, "E1", "")]
    [InlineData(SubjectType.DingTalkUserId, "sb-1", "")]
    [InlineData(SubjectType.Email, "nobody", "")]
    [InlineData(SubjectType.Email, "@example.com", "")]
    [InlineData(SubjectType.Email, "a b@example.com", "")]
    [InlineData(SubjectType.Email, "A <a@example.com>", "")]
    [InlineData(SubjectType.Mobile, "66123456", "")]
    [InlineData(SubjectType.Mobile, "12800138000", "")]
    [InlineData(SubjectType.Mobile, "+0013800138000", "")]
    [InlineData(SubjectType.Mobile, "call me", "")]
    [InlineData(SubjectType.IdCard, "110105194912310021", "")]
    [InlineData(SubjectType.IdCard, "110105194913310027", "")]
    [InlineData(SubjectType.IdCard, "1101051949", "")]
    [InlineData(SubjectType.Passport, "P123456", "")]
    [InlineData(SubjectType.Passport, "P123456", "ZZ")]
    [InlineData(SubjectType.Passport, "P1", "PT")]
    [InlineData(SubjectType.HongKongIdCard, "A123456(4)", "")]
    [InlineData(SubjectType.HongKongIdCard, "1234567", "")]
    [InlineData(SubjectType.MacauIdCard, "2234567(8)", "")]
    [InlineData(SubjectType.EntraObjectId, "0f8fad5b", "")]
    [InlineData(SubjectType.CustomerId, "Jose\u0301", "acme-sg")]
    [InlineData(SubjectType.Email, "jose\u0301@example.com", "")]
    [InlineData(SubjectType.CustomerId, "\u1112\u1161\u11ab", "acme-sg")]
    [InlineData(SubjectType.CustomerId, "\u304b\u3099", "acme-sg")]
    [InlineData(SubjectType.CustomerId, "\uf900", "acme-sg")]
    [InlineData(SubjectType.EmployeeId, "\u200b", "acme")]
    public void What_can_be_read_in_two_ways_or_not_at_all_is_refused(SubjectType type, string identifier, string scope) =>
        Assert.Null(Canonical(type, identifier, scope));

    [Fact]
    public void Half_of_a_surrogate_pair_is_refused()
    {
        Assert.Null(Canonical(SubjectType.EmployeeId, "E\ud83d", "acme"));
        Assert.NotNull(Canonical(SubjectType.EmployeeId, "E\ud83d\ude00", "acme"));
    }

    /// <summary>Computed with another implementation of HMAC-SHA-256.</summary>
    [Theory]
    [InlineData(SubjectType.EmployeeId, "E1001", "acme-zhuhai", "08646ad08f677fc416007fcc2f7e12f8052f9d0ab6e66b9e54763fcfb1844d7d")]
    [InlineData(SubjectType.Email, "E1001@sandbox.example", "", "2a5bb2f4e1b65ff7f15d65a441960ae4b6960823ebe33853fc4ccce4ca2f80a7")]
    [InlineData(SubjectType.Mobile, "13800138000", "", "61187e692f7fb26225212a2381d17f65d000571dd7ea1e6742d1072537013f08")]
    [InlineData(SubjectType.IdCard, "11010519491231002X", "", "90644475a05fc5e3c2c0f0ae0fab163b21ac08bce3f376ca774264ec137094d1")]
    [InlineData(SubjectType.DingTalkUserId, "sb-1001", "dingcorp1", "fa70b1eac052991f66676fa0b830b71a192fce42d9a2747418b04c8a85c6e16d")]
    [InlineData(SubjectType.Passport, "P123456", "PT", "8e0ea5a9463fda1fe20dcc1c9318002920aed703d12c14e2bfe24d3f9f5fee85")]
    [InlineData(SubjectType.HongKongIdCard, "A123456(3)", "", "75f27ad036708fc90c1862b38eed41370d7951223e7de7de481c01e38a13cf9c")]
    [InlineData(SubjectType.CustomerId, "客户-7", "acme-sg", "1f045639df04e63674c01ab5525785e2db8d7405edcedb9f647659521d5e380f")]
    public void A_pseudonym_is_the_keyed_hash_of_the_form(SubjectType type, string identifier, string scope, string expected)
    {
        using var pseudonymizer = new PseudonymKey(Key).CreatePseudonymizer();

        // Twice, since the worker keeps state between calls.
        for (var i = 0; i < 2; i++)
        {
            Assert.True(pseudonymizer.TryPseudonymize(type, identifier, scope, out var pseudonym));
            Assert.Equal(expected, pseudonym.ToString());
        }
    }

    [Fact]
    public void A_key_has_an_id_that_never_changes_and_32_bytes_or_more()
    {
        Assert.Equal("fa3111ed3539709d", new PseudonymKey(Key).Id);
        Assert.Throws<ArgumentException>(() => new PseudonymKey(new byte[31]));
    }

    [Theory]
    [InlineData("110105201506010016", "2015-06-01")]
    [InlineData("440524800101001", "1980-01-01")]
    [InlineData("110105201506010015", null)]
    [InlineData("nobody", null)]
    public void An_identity_number_tells_the_birth_date(string number, string? expected) =>
        Assert.Equal(expected is null ? null : DateOnly.Parse(expected, System.Globalization.CultureInfo.InvariantCulture), CanonicalSubject.BirthDate(SubjectType.IdCard, number));

    [Fact]
    public void A_form_is_its_own_form_whatever_is_sent() =>
        Gen.Select(Gen.Enum<SubjectType>(), Gen.String[0, 40], Pick.One("acme", "PT", "dingcorp1")).Sample((type, identifier, scope) =>
        {
            if (Canonical(type, identifier, scope) is { } form)
            {
                var again = form.Split('\n')[2];
                Assert.Equal(form, Canonical(type, again, scope));
                Assert.DoesNotContain(form, character => character != '\n' && char.IsControl(character));
            }
        });

    [Fact]
    public void Every_mainland_mobile_number_has_one_form_in_every_usual_spelling() =>
        Gen.Select(Gen.Int[3, 9], Gen.Int[0, 999_999_999], Gen.Int[0, 4]).Sample((second, rest, style) =>
        {
            var number = $"1{second}{rest:d9}";
            var spelt = style switch
            {
                0 => number,
                1 => $"+86{number}",
                2 => $"0086-{number}",
                3 => $"86 {number[..3]} {number[3..7]} {number[7..]}",
                _ => $"+86 ({number[..3]}) {number[3..]}",
            };
            Assert.Equal($"mobile\n\n+86{number}", Canonical(SubjectType.Mobile, spelt, ""));
        });

    private static string? Canonical(SubjectType type, string identifier, string scope)
    {
        Span<byte> bytes = stackalloc byte[CanonicalSubject.MaximumBytes];
        return CanonicalSubject.TryWrite(type, identifier, scope, bytes, out var written) ? Encoding.UTF8.GetString(bytes[..written]) : null;
    }
}
