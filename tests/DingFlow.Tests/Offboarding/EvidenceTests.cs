using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Evidence;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Offboarding;

/// <summary>The evidence says everything, and its hash is recomputed by code that is not ours.</summary>
public sealed class EvidenceTests
{
    [Fact]
    public async Task The_hash_is_recomputed_from_the_text_by_somebody_else()
    {
        var (pack, text) = await PackAsync();

        // Newtonsoft parses, sorts and writes: none of the program's own code.
        var evidence = (JObject)Parse(text)["evidence"]!;
        var canonical = Encoding.UTF8.GetBytes(Sorted(evidence).ToString(Formatting.None));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(canonical)), pack.Hash.Value);
        Assert.Equal(pack.Hash.Value, (string?)Parse(text)["hash"]!["value"]);

        // One letter more or less is another hash.
        evidence["employeeId"] = "E1003";
        Assert.NotEqual(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Sorted(evidence).ToString(Formatting.None)))), pack.Hash.Value);
    }

    [Fact]
    public async Task It_says_who_said_so_the_snapshot_the_steps_the_reading_and_the_clock()
    {
        var (pack, text) = await PackAsync();
        var evidence = Parse(text)["evidence"]!;

        var told = Assert.Single(evidence["told"]!);
        Assert.Equal(("hr/acme", "terminated"), ((string?)told["source"], (string?)told["kind"]));
        Assert.Equal(JTokenType.Null, told["signature"]!.Type);
        Assert.Equal([true, true], evidence["snapshot"]!.Select(a => (bool)a["wasEnabled"]!));
        var groups = evidence["steps"]!.Single(s => (string?)s["id"] == "entra.groups");
        Assert.Equal(("done", "confirmed"), ((string?)groups["outcome"], (string?)groups["readBack"]));
        Assert.Equal(JTokenType.String, groups["requestId"]!.Type);
        Assert.Contains(groups["changes"]!, c => (string?)c["name"] == "VPN" && (string?)c["state"] == "taken");
        Assert.Equal((900_000, true), ((int)evidence["clock"]!["targetMilliseconds"]!, (bool)evidence["clock"]!["withinTarget"]!));
        Assert.Equal(JTokenType.Integer, evidence["clock"]!["millisecondsToVerified"]!.Type);
        Assert.Equal("full", (string?)evidence["plan"]!["policy"]);
        Assert.DoesNotContain("sandbox.example", text, StringComparison.Ordinal);
        Assert.Equal(CaseState.Verified, pack.Evidence.State);
    }

    [Fact]
    public async Task It_follows_account_change_of_OCSF()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        var events = EvidenceOcsf.Of(c).Select(e => (JObject)Parse(e!.ToJsonString())).ToList();

        Assert.All(events, e =>
        {
            // Required by the class in schema.ocsf.io 1.3.0.
            Assert.Equal((3001, 3, 1, 1), ((int)e["class_uid"]!, (int)e["category_uid"]!, (int)e["severity_id"]!, (int)e["status_id"]!));
            Assert.Equal((3001 * 100) + (int)e["activity_id"]!, (int)e["type_uid"]!);
            Assert.Equal(JTokenType.Integer, e["time"]!.Type);
            Assert.Equal(("DingFlow", "1.3.0", c.CaseId), ((string?)e["metadata"]!["product"]!["name"], (string?)e["metadata"]!["version"], (string?)e["metadata"]!["correlation_uid"]));
            Assert.Equal(JTokenType.String, e["user"]!["uid"]!.Type);
            Assert.Equal(("DingFlow", "hr/acme"), ((string?)e["actor"]!["app_name"], (string?)e["actor"]!["invoked_by"]));
        });
        Assert.Equal(events.Count, events.Select(e => (string?)e["metadata"]!["uid"]).Distinct().Count());
        Assert.Equal(2, events.Count(e => (int)e["activity_id"]! == 5));
        Assert.Equal(["Helpdesk administrators", "VPN"], events.Where(e => (int)e["activity_id"]! == 8 && ((string?)e["message"])!.StartsWith("entra.groups", StringComparison.Ordinal))
            .Select(e => (string?)e["policy"]!["name"]).Order());
    }

    [Theory]
    [InlineData("en", "Evidence of an offboarding")]
    [InlineData("zh-Hant", "離職停權證據")]
    [InlineData("zh-Hans", "离职停权证据")]
    [InlineData("pt", "Prova de desligamento")]
    public async Task It_is_printed_in_four_languages(string language, string title)
    {
        var (pack, _) = await PackAsync();

        var page = EvidenceHtml.Write(pack with { Evidence = pack.Evidence with { Notes = ["<script>alert(1)</script>"] } }, language);

        Assert.StartsWith("<!DOCTYPE html>", page, StringComparison.Ordinal);
        Assert.Contains($"lang=\"{language}\"", page, StringComparison.Ordinal);
        Assert.Contains($"<h1>{System.Net.WebUtility.HtmlEncode(title)}</h1>", page, StringComparison.Ordinal);
        Assert.Contains(pack.Hash.Value, page, StringComparison.Ordinal);
        Assert.Contains("&lt;script&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.Contains("VPN", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_word_that_a_page_may_need_is_there_in_every_language()
    {
        Assert.All(EvidenceHtml.All, text =>
        {
            Assert.Equal(EvidenceHtml.Languages, text.Value.Keys);
            Assert.All(text.Value.Values, Assert.NotEmpty);
        });
        string[] needed =
        [
            .. Words<CaseState>("state"), .. Words<StepOutcome>("outcome"), .. Words<ReadBack>("readBack"), .. Words<AccountStatus>("account"), .. Words<CaseMode>("mode"),
            .. Words<ChangeState>("change"), .. Words<PersonEventKind>("event"), .. StepCatalogue.All.Select(step => $"step.{step.Id}"),
        ];
        Assert.Empty(needed.Except(EvidenceHtml.All.Keys));
    }

    [Theory]
    [InlineData("""{"b":1,"a":[true,null,"é\u20ac\n\"\\\u001f"],"A":{}}""", "{\"A\":{},\"a\":[true,null,\"é€\\n\\\"\\\\\\u001f\"],\"b\":1}")]
    public void The_canonical_form_is_that_of_RFC_8785(string json, string canonical)
    {
        using var document = JsonDocument.Parse(json);

        Assert.Equal(canonical, Encoding.UTF8.GetString(CanonicalJson.Bytes(document.RootElement)));
        using var fraction = JsonDocument.Parse("0.5");
        Assert.Throws<ArgumentException>(() => CanonicalJson.Bytes(fraction.RootElement));
    }

    private static async Task<(EvidencePack Pack, string Text)> PackAsync()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
        var pack = EvidencePack.Of(c, TimeSpan.FromMinutes(15), driver.Time.GetUtcNow());
        return (pack, System.Text.Json.JsonSerializer.Serialize(pack, EvidenceJson.Default.EvidencePack));
    }

    private static IEnumerable<string> Words<T>(string prefix)
        where T : struct, Enum => Enum.GetNames<T>().Select(name => $"{prefix}.{char.ToLowerInvariant(name[0])}{name[1..]}");

    private static JToken Parse(string text)
    {
        using var reader = new JsonTextReader(new StringReader(text)) { DateParseHandling = DateParseHandling.None, Culture = CultureInfo.InvariantCulture };
        return JToken.Load(reader);
    }

    private static JToken Sorted(JToken token) => token switch
    {
        JObject o => new JObject(o.Properties().OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => new JProperty(p.Name, Sorted(p.Value)))),
        JArray a => new JArray(a.Select(Sorted)),
        _ => token.DeepClone(),
    };
}
