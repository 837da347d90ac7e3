using System.Text;
using CsCheck;

namespace DingFlow.Tests.Scim;

/// <summary>Whatever a caller sends, the answer is an answer, and what is not clearly a leaver is none.</summary>
public sealed class ScimFuzzTests
{
    private static readonly Gen<string> Value = Gen.Recursive<string>((depth, inner) => depth >= 3
        ? Scalar()
        : Gen.OneOf(
            Scalar(), inner.Array[0, 3].Select(items => $"[{string.Join(',', items)}]"),
            Gen.Select(Name(), inner).Array[0, 3].Select(pairs => $"{{{string.Join(',', pairs.Select(pair => $"{pair.Item1}:{pair.Item2}"))}}}")));

    private static readonly Gen<string> Operation = Gen.Select(
        Pick.One("\"add\"", "\"Replace\"", "\"REMOVE\"", "\"move\"", "1", "null"),
        Pick.One(
            "\"active\"", "\"emails\"", "\"emails[type eq \\\"work\\\"].value\"", "\"name\"", "\"userName\"", "\"title\"", "\"\"", "\"x[\"", "\"id\"",
            "null", "7", "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\""),
        Value, (op, path, value) => $$"""{"op":{{op}},"path":{{path}},"value":{{value}}}""");

    [Fact]
    public async Task No_patch_and_no_body_gives_a_5xx()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:MaxPerMinute", "1000000"));
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));
        var patch = Gen.OneOf(
            Operation.Array[0, 4].Select(operations => ScimProgram.Patch(operations)), Value, Value.Select(value => $$"""{"Operations":{{value}}}"""));

        await Gen.Select(patch, Pick.One("PATCH", "PUT", "POST", "SEARCH")).SampleAsync(
            async sent =>
            {
                var (body, method) = sent;
                var answer = method switch
                {
                    "POST" => await program.AskAsync("POST", "/Users", body),
                    "SEARCH" => await program.AskAsync("POST", "/Users/.search", body),
                    _ => await program.AskAsync(method, $"/Users/{id}", body),
                };
                Assert.True(answer.Status is >= 200 and < 500, $"{method} {body}: {answer.Status} {answer.Text}");
                if (answer.Status >= 400)
                {
                    answer.IsScimError(answer.Status, (string?)answer.Json["scimType"]);
                }
            },
            iter: 1500, threads: 1);
    }

    [Fact]
    public async Task No_bytes_give_a_5xx()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:MaxPerMinute", "1000000"));
        var id = await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));
        var seed = Encoding.UTF8.GetBytes(ScimProgram.Patch("""{"op":"Replace","path":"emails[type eq \"work\"].value","value":"é\ud83d\ude00"}"""));
        var mutated = Gen.Select(Gen.Int[0, seed.Length - 1], Gen.Byte).Array[1, 4].Select(changes =>
        {
            var bytes = seed.ToArray();
            foreach (var (index, value) in changes)
            {
                bytes[index] = value;
            }

            return bytes;
        });

        await Gen.OneOf(mutated, Gen.Byte.Array[0, 40]).SampleAsync(
            async bytes =>
            {
                var answer = await program.AskAsync("PATCH", $"/Users/{id}", "", change: request =>
                {
                    request.Content = new ByteArrayContent(bytes);
                    request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/scim+json");
                });
                Assert.True(answer.Status is 200 or 400, $"{Convert.ToHexString(bytes)}: {answer.Status} {answer.Text}");
            },
            iter: 1500, threads: 1);
        Assert.Empty(await program.EventsAsync());
    }

    [Fact]
    public async Task No_query_gives_a_5xx()
    {
        await using var program = await ScimProgram.StartAsync(("HrSources:acme:MaxPerMinute", "1000000"));
        await program.CreateAsync(ScimProgram.User("wei.chan@sandbox.example"));
        var text = Gen.OneOf(Gen.String[0, 20], Pick.One("userName eq \"x\"", "emails[type eq \"work\"]", "active eq tru", "-1", "99999999999", "name.givenName,emails"));

        await Gen.Select(text, text, text, text).SampleAsync(
            async sent =>
            {
                var (filter, startIndex, count, attributes) = sent;
                var answer = await program.AskAsync("GET", $"/Users?filter={Escaped(filter)}&startIndex={Escaped(startIndex)}&count={Escaped(count)}&attributes={Escaped(attributes)}&excludedAttributes={Escaped(filter)}");
                Assert.True(answer.Status is 200 or 400, $"{answer.Status} {answer.Text}");
            },
            iter: 600, threads: 1);

        static string Escaped(string text) => Uri.EscapeDataString(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)));
    }

    private static Gen<string> Scalar() => Pick.One(
        "true", "false", "null", "0", "-1.5e300", "\"\"", "\"False\"", "\"wei@x.example\"", "\"work\"", "\"\\ud800\"", "\"\\u0000\"", "{}", "[]");

    private static Gen<string> Name() => Pick.One(
        "\"active\"", "\"Active\"", "\"userName\"", "\"value\"", "\"type\"", "\"primary\"", "\"emails\"", "\"name\"", "\"name.givenName\"",
        "\"emails[type eq \\\"work\\\"].value\"", "\"schemas\"", "\"filter\"", "\"count\"", "\"\"", "\"\\ud800\"", "\"x\"",
        "\"urn:ietf:params:scim:schemas:core:2.0:User\"");
}

/// <summary>Choices for generated input.</summary>
internal static class Pick
{
    public static Gen<T> One<T>(params T[] items) => Gen.Int[0, items.Length - 1].Select(index => items[index]);
}
