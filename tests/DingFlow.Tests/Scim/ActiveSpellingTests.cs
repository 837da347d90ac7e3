using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Scim;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Scim;

/// <summary>How identity providers are known to say that somebody leaves, and what must not pass for it.</summary>
public sealed class ActiveSpellingTests
{
    public static TheoryData<string, string> Deactivations => new()
    {
        { "RFC 7644", """{"op":"replace","path":"active","value":false}""" },
        { "Microsoft Entra", """{"op":"Replace","path":"active","value":"False"}""" },
        { "Microsoft Entra, mapped by hand", """{"op":"Replace","path":"active","value":"false"}""" },
        { "Microsoft Entra, as it once was", """{"op":"Replace","path":"active","value":[{"$ref":null,"value":"False"}]}""" },
        { "Microsoft Entra, adding", """{"op":"Add","path":"active","value":"False"}""" },
        { "Okta", """{"op":"replace","value":{"active":false}}""" },
        { "OneLogin", """{"op":"replace","value":{"active":"false"}}""" },
        { "capitals", """{"OP":"REPLACE","PATH":"Active","VALUE":"FALSE"}""" },
        { "full path", """{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:active","value":false}""" },
        { "full path as a name", """{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User:active":false}}""" },
        { "schema as a name", """{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"active":false}}}""" },
        { "schema as the path", """{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User","value":{"active":false}}""" },
        { "empty path", """{"op":"replace","path":"","value":{"active":false}}""" },
        { "no path, null", """{"op":"replace","path":null,"value":{"active":false}}""" },
        { "removed", """{"op":"remove","path":"active"}""" },
        { "with other attributes", """{"op":"add","value":{"displayName":"x","active":false,"title":"y"}}""" },
        { "last of several", """{"op":"replace","path":"active","value":true},{"op":"replace","path":"active","value":false}""" },
    };

    [Theory]
    [MemberData(nameof(Deactivations))]
    public async Task Every_known_spelling_deprovisions(string sender, string operation)
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));

        var answer = await program.PatchAsync(id, operation);

        Assert.True((200, false) == (answer.Status, (bool?)answer.Json["active"]), $"{sender}: {answer.Text}");
        Assert.Equal(PersonEventKind.Terminated, Assert.Single(await program.EventsAsync()).Kind);
    }

    [Theory]
    [InlineData("""{"op":"replace","path":"active","value":null}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":""}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":"no"}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":0}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":{}}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":[false,false]}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active"}""", "invalidValue")]
    [InlineData("""{"op":"replace","value":false}""", "invalidValue")]
    [InlineData("""{"op":"replace","value":{"active":false,"Active":true}}""", "invalidSyntax")]
    [InlineData("""{"op":"delete","path":"active"}""", "invalidSyntax")]
    [InlineData("""{"op":"1","path":"active","value":false}""", "invalidSyntax")]
    [InlineData("""{"path":"active","value":false}""", "invalidSyntax")]
    [InlineData("""{"op":"remove"}""", "noTarget")]
    [InlineData("""{"op":"replace","path":"activ","value":false}""", "invalidPath")]
    [InlineData("""{"op":"replace","path":"active[","value":false}""", "invalidPath")]
    [InlineData("""{"op":"replace","path":"active[value eq \"x\"]","value":false}""", "invalidPath")]
    [InlineData("""{"op":"replace","path":7,"value":false}""", "invalidPath")]
    [InlineData("""{"op":"replace","path":"id","value":"x"}""", "mutability")]
    [InlineData("""{"op":"replace","path":"meta.created","value":"x"}""", "mutability")]
    [InlineData("""{"op":"remove","path":"userName"}""", "mutability")]
    [InlineData("""{"op":"replace","path":"userName","value":""}""", "invalidValue")]
    [InlineData("""{"op":"replace","path":"active","value":false},{"op":"replace","path":"activ","value":1}""", "invalidPath")]
    [InlineData("7", "invalidSyntax")]
    public async Task What_is_no_clear_instruction_is_refused_and_changes_nothing(string operation, string scimType)
    {
        await using var program = await ScimProgram.StartAsync();
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));
        var before = await program.GetAsync(id);

        (await program.PatchAsync(id, operation)).IsScimError(400, scimType);

        Assert.True(JToken.DeepEquals(before, await program.GetAsync(id)));
        Assert.Empty(await program.EventsAsync());
    }

    [Theory]
    [InlineData("""{"op":"add","path":"emails","value":[{"value":"new@x.example","type":"home"}]}""", "wei@x.example work True,new@x.example home False")]
    [InlineData("""{"op":"add","path":"emails","value":{"value":"new@x.example","primary":true}}""", "wei@x.example work False,new@x.example  True")]
    [InlineData("""{"op":"replace","path":"emails","value":[{"value":"new@x.example","type":"work","primary":"True"}]}""", "new@x.example work True")]
    [InlineData("""{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"new@x.example"}}""", "new@x.example work True")]
    [InlineData("""{"op":"replace","path":"emails[type eq \"work\" and primary eq true].value","value":"new@x.example"}""", "new@x.example work True")]
    [InlineData("""{"op":"add","path":"emails[type eq \"other\"].value","value":"new@x.example"}""", "wei@x.example work True,new@x.example other False")]
    [InlineData("""{"op":"replace","path":"emails[type eq \"work\"].type","value":"home"}""", "wei@x.example home True")]
    [InlineData("""{"op":"replace","path":"emails.value","value":"new@x.example"}""", "new@x.example work True")]
    [InlineData("""{"op":"remove","path":"emails[type eq \"work\"]"}""", "")]
    [InlineData("""{"op":"remove","path":"emails[type eq \"home\"]"}""", "wei@x.example work True")]
    [InlineData("""{"op":"remove","path":"emails[type eq \"work\"].value"}""", "")]
    [InlineData("""{"op":"remove","path":"emails"}""", "")]
    [InlineData("""{"op":"remove","path":"emails","value":[{"value":"WEI@x.example"}]}""", "")]
    [InlineData("""{"op":"replace","path":"emails","value":null}""", "")]
    [InlineData("""{"op":"replace","value":{"emails[type eq \"work\"].value":"new@x.example"}}""", "new@x.example work True")]
    public void E_mail_addresses_change_as_providers_mean_it(string operation, string expected)
    {
        var user = Wei();
        var draft = new ScimDraft(user);

        using var body = JsonDocument.Parse(ScimProgram.Patch(operation));
        Assert.Null(ScimPatch.Apply(body.RootElement, draft));

        Assert.Equal(expected, string.Join(',', draft.ToUser(user).Emails.Select(email => $"{email.Value} {email.Type} {email.Primary}")));
    }

    [Theory]
    [InlineData("""{"op":"replace","path":"emails","value":"[7]"}""", true)]
    [InlineData("""{"op":"replace","path":"emails","value":[7,8]}""", true)]
    [InlineData("""{"op":"replace","path":"emails","value":[[]]}""", false)]
    [InlineData("""{"op":"replace","path":"emails","value":[{"value":{}}]}""", false)]
    [InlineData("""{"op":"replace","path":"emails","value":[{"value":"a@b.example","primary":"perhaps"}]}""", false)]
    [InlineData("""{"op":"replace","path":"name","value":"Wei"}""", false)]
    [InlineData("""{"op":"replace","path":"displayName","value":{}}""", false)]
    [InlineData("""{"op":"replace","path":"displayName","value":true}""", false)]
    public void Values_of_another_type_are_refused(string operation, bool accepted)
    {
        using var body = JsonDocument.Parse(ScimProgram.Patch(operation));

        var fault = ScimPatch.Apply(body.RootElement, new ScimDraft(Wei()));

        Assert.Equal(accepted ? null : ScimType.InvalidValue, fault?.Type);
    }

    [Fact]
    public void There_are_not_endlessly_many_operations_or_addresses()
    {
        using var operations = JsonDocument.Parse(ScimProgram.Patch(
            [.. Enumerable.Repeat("""{"op":"remove","path":"displayName"}""", ScimPatch.MaxOperations + 1)]));
        using var addresses = JsonDocument.Parse(ScimProgram.Patch(
            $$"""{"op":"add","path":"emails","value":[{{string.Join(',', Enumerable.Range(0, 11).Select(n => $$"""{"value":"a{{n}}@x.example"}"""))}}]}"""));

        Assert.Equal(ScimType.InvalidSyntax, ScimPatch.Apply(operations.RootElement, new ScimDraft(Wei()))?.Type);
        Assert.Equal(ScimType.InvalidValue, ScimPatch.Apply(addresses.RootElement, new ScimDraft(Wei()))?.Type);
    }

    private static ScimUser Wei() => new()
    {
        UserName = "wei@x.example", Active = true, Emails = [new ScimEmail("wei@x.example", "work", true)],
        CreatedAt = DateTimeOffset.UnixEpoch, ModifiedAt = DateTimeOffset.UnixEpoch,
    };
}
