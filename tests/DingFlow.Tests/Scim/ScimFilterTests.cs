using CsCheck;
using DingFlow.Scim;

namespace DingFlow.Tests.Scim;

public sealed class ScimFilterTests
{
    private static readonly ScimUser Wei = new()
    {
        UserName = "wei.chan@sandbox.example",
        ExternalId = "Ext-1",
        Active = true,
        DisplayName = "Wei \"W\" Chan",
        GivenName = "Wei",
        FamilyName = "Chan",
        Emails = [new ScimEmail("wei@sandbox.example", "work", true), new ScimEmail("wei@home.example", "home")],
        EmployeeNumber = "E7",
        CreatedAt = new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero),
        ModifiedAt = new DateTimeOffset(2026, 11, 23, 0, 0, 0, TimeSpan.Zero),
    };

    [Theory]
    [InlineData("userName eq \"wei.chan@sandbox.example\"", true)]
    [InlineData("USERNAME EQ \"WEI.CHAN@SANDBOX.EXAMPLE\"", true)]
    [InlineData("userName ne \"somebody\"", true)]
    [InlineData("userName co \"CHAN\"", true)]
    [InlineData("userName sw \"wei.\"", true)]
    [InlineData("userName ew \".example\"", true)]
    [InlineData("userName sw \"chan\"", false)]
    [InlineData("externalId eq \"Ext-1\"", true)]
    [InlineData("externalId eq \"ext-1\"", false)]
    [InlineData("id eq \"0123\"", true)]
    [InlineData("active eq true", true)]
    [InlineData("active eq \"False\"", false)]
    [InlineData("active ne false", true)]
    [InlineData("displayName eq \"Wei \\\"W\\\" Chan\"", true)]
    [InlineData("displayName pr", true)]
    [InlineData("title pr", false)]
    [InlineData("not (title pr)", true)]
    [InlineData("title eq null", true)]
    [InlineData("userName ne null", true)]
    [InlineData("userName eq null", false)]
    [InlineData("name.familyName eq \"chan\" and name.givenName eq \"wei\"", true)]
    [InlineData("userName eq \"x\" or active eq true", true)]
    [InlineData("userName eq \"x\" or active eq true and title pr", false)]
    [InlineData("(userName eq \"x\" or active eq true) and externalId pr", true)]
    [InlineData("not (userName eq \"x\") and active eq true", true)]
    [InlineData("emails eq \"wei@home.example\"", true)]
    [InlineData("emails.type eq \"work\"", true)]
    [InlineData("emails[type eq \"work\" and value co \"@home\"]", false)]
    [InlineData("emails[type eq \"work\" and value co \"@sandbox\"]", true)]
    [InlineData("emails[type eq \"home\"].value eq \"wei@home.example\"", true)]
    [InlineData("emails[ type eq \"work\" ].value eq \"wei@home.example\"", false)]
    [InlineData("emails[not (type eq \"work\")] and userName pr", true)]
    [InlineData("emails[primary eq true].value sw \"wei@s\"", true)]
    [InlineData("meta.lastModified gt \"2026-11-22T12:00:00Z\"", true)]
    [InlineData("meta.lastModified gt \"2026-11-23T12:00:00Z\"", false)]
    [InlineData("meta.created le \"2026-11-22T08:00:00+08:00\"", true)]
    [InlineData("meta.resourceType eq \"User\"", true)]
    [InlineData("schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", true)]
    [InlineData("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq \"E7\"", true)]
    [InlineData("urn:example:other:2.0:User:shoeSize eq 44", false)]
    [InlineData("userName gt \"wei\" and userName lt \"wej\"", true)]
    public void A_filter_selects_as_the_rfc_says(string text, bool expected)
    {
        var filter = ScimFilterParser.ParseFilter(text);

        Assert.NotNull(filter);
        Assert.Equal(expected, filter.Matches(new ScimUserValues("0123", Wei)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("userName")]
    [InlineData("userName eq")]
    [InlineData("userName eq x")]
    [InlineData("userName eq \"x")]
    [InlineData("userName eq \"x\\\"")]
    [InlineData("userName eq \"\\u12\"")]
    [InlineData("userName is \"x\"")]
    [InlineData("userName eq \"x\" and")]
    [InlineData("userName eq \"x\" active eq true")]
    [InlineData("and userName eq \"x\"")]
    [InlineData("(userName eq \"x\"")]
    [InlineData("userName eq \"x\")")]
    [InlineData("not userName eq \"x\"")]
    [InlineData("emails[type eq \"work\"")]
    [InlineData("emails[]")]
    [InlineData("emails[emails[type eq \"work\"]]")]
    [InlineData("emails[type eq \"work\"].value")]
    [InlineData("active gt true")]
    [InlineData("active co \"t\"")]
    [InlineData("userName gt true")]
    [InlineData("nonsense eq \"x\"")]
    [InlineData("1 eq 1")]
    [InlineData("userName eq \"x\"; drop")]
    public void What_is_no_filter_is_refused(string text) => Assert.Null(ScimFilterParser.ParseFilter(text));

    [Fact]
    public void A_filter_has_limits()
    {
        Assert.NotNull(ScimFilterParser.ParseFilter(Nested(ScimFilterParser.MaxDepth - 1)));
        Assert.Null(ScimFilterParser.ParseFilter(Nested(ScimFilterParser.MaxDepth)));
        Assert.Null(ScimFilterParser.ParseFilter(Nested(100_000)));
        Assert.NotNull(ScimFilterParser.ParseFilter(Chain(ScimFilterParser.MaxTerms)));
        Assert.Null(ScimFilterParser.ParseFilter(Chain(ScimFilterParser.MaxTerms + 1)));
        Assert.Null(ScimFilterParser.ParseFilter($"userName eq \"{new string('x', ScimFilterParser.MaxLength)}\""));

        static string Nested(int depth) => $"{new string('(', depth)}userName pr{new string(')', depth)}";
        static string Chain(int terms) => string.Join(" and ", Enumerable.Repeat("id pr", terms));
    }

    [Theory]
    [InlineData("userName eq \"a\"", "n a")]
    [InlineData("active eq true and userName eq \"a\"", "n a")]
    [InlineData("userName eq \"a\" or externalId eq \"b\"", "n a,x b")]
    [InlineData("userName eq \"a\" or active eq true", null)]
    [InlineData("emails[type eq \"work\"].value eq \"c\"", "e c")]
    [InlineData("id eq \"d\"", "id d")]
    [InlineData("not (userName eq \"a\")", null)]
    [InlineData("userName sw \"a\"", null)]
    public void A_filter_by_an_identifier_needs_no_reading_of_everybody(string text, string? lookups) => Assert.Equal(
        lookups, ScimQuery.LookupsOf(ScimFilterParser.ParseFilter(text)!) is { } found ? string.Join(',', found.Select(l => $"{l.Kind} {l.Value}")) : null);

    [Theory]
    [InlineData("active", "active", null)]
    [InlineData("name.givenName", "name.givenname", null)]
    [InlineData("emails[type eq \"work\"].value", "emails", "value")]
    [InlineData("emails[type eq \"work\"]", "emails", null)]
    [InlineData("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", "enterprise:employeenumber", null)]
    [InlineData("urn:ietf:params:scim:schemas:core:2.0:User", "", null)]
    [InlineData("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName", "name.familyname", null)]
    [InlineData("urn:example:other:2.0:User:x", "urn:", null)]
    public void A_path_leads_to_its_attribute(string text, string attribute, string? part)
    {
        var path = ScimFilterParser.ParsePath(text);

        Assert.Equal((attribute, part), (path?.Attribute, path?.Part));
    }

    [Theory]
    [InlineData("")]
    [InlineData("emails[type eq \"work\"")]
    [InlineData("emails[type eq \"work\"].value.x")]
    [InlineData("emails[type eq \"work\"] .value")]
    [InlineData("emails[type eq \"work\"].")]
    [InlineData("active = false")]
    [InlineData("$[*]\u0000")]
    public void What_is_no_path_is_refused(string text) => Assert.Null(ScimFilterParser.ParsePath(text));

    [Fact]
    public void No_text_breaks_the_parser()
    {
        var word = Pick.One(
            "userName", "active", "emails", "emails[", "].value", "]", "(", ")", " and ", " or ", "not ", " eq ", " co ", " pr", "\"x\"", "\"", "\\", "true",
            "null", "1.5e3", " ", ".", ":", "urn:ietf:params:scim:schemas:core:2.0:User:", "name.givenName", "[type eq \"work\"]", "\uD800", "é", "\0");
        Gen.OneOf(word.Array[0, 24].Select(string.Concat), Gen.String[0, 60]).Sample(
            text =>
            {
                var filter = ScimFilterParser.ParseFilter(text);
                ScimFilterParser.ParsePath(text);
                filter?.Matches(new ScimUserValues("0123", Wei));
                _ = filter is null ? null : ScimQuery.LookupsOf(filter);
            },
            iter: 20_000);
    }

    [Fact]
    public void A_filter_means_what_its_parts_mean()
    {
        var atom = Pick.One(
            ("active eq true", true), ("active eq false", false), ("userName sw \"wei\"", true), ("userName eq \"x\"", false), ("title pr", false),
            ("emails[type eq \"work\"]", true), ("emails[type eq \"other\"]", false));
        var expression = Gen.Recursive<(string Text, bool Value)>((depth, inner) => depth >= 4 ? atom : Gen.OneOf(
            atom,
            Gen.Select(inner, inner, (a, b) => ($"({a.Text}) and ({b.Text})", a.Value && b.Value)),
            Gen.Select(inner, inner, (a, b) => ($"({a.Text}) or ({b.Text})", a.Value || b.Value)),
            inner.Select(a => ($"not ({a.Text})", !a.Value))));

        expression.Where(e => e.Text.Length < ScimFilterParser.MaxLength).Sample(
            e => Assert.Equal(e.Value, ScimFilterParser.ParseFilter(e.Text)?.Matches(new ScimUserValues("0123", Wei)) ?? e.Value), iter: 2000);
    }
}
