using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Looks at cases as the people do who run the program.</summary>
internal sealed class Operations(HttpClient client)
{
    private static readonly string[] Concluded = ["verified", "needsHuman", "failed", "cancelled"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The cases of a person that did not become part of another one.</summary>
    public async Task<IReadOnlyList<JObject>> CasesOfAsync(string employeeId)
    {
        var answer = await client.AskAsync(HttpMethod.Get, $"/api/offboarding?employeeId={employeeId}");
        Assert.Equal(200, answer.Status);
        return [.. Items(answer).Where(item => item["mergedInto"] is null or { Type: JTokenType.Null })];
    }

    /// <summary>Every case, page after page.</summary>
    public async Task<IReadOnlyList<JObject>> AllCasesAsync()
    {
        var cases = new List<JObject>();
        string? next = null;
        do
        {
            var answer = await client.AskAsync(HttpMethod.Get, $"/api/offboarding?limit=200{(next is null ? "" : $"&next={next}")}");
            Assert.Equal(200, answer.Status);
            cases.AddRange(Items(answer));
            next = (string?)answer.Json["next"];
        }
        while (next is not null);
        return cases;
    }

    /// <summary>The person's one case as soon as it is concluded.</summary>
    public async Task<JObject> ConcludedAsync(string employeeId)
    {
        IReadOnlyList<JObject> seen = [];
        return await Eventually.GetAsync(
            async () => (seen = await CasesOfAsync(employeeId)) is [var only] && Concluded.Contains(StateOf(only)) ? only : null,
            () => $"one concluded case of {employeeId} among {JsonConvert.SerializeObject(seen.Select(c => c.ToString(Formatting.None)).ToList())}", Cancellation);
    }

    /// <summary>The person's one case as soon as it is verified. Any other conclusion fails the test.</summary>
    public async Task<JObject> VerifiedAsync(string employeeId)
    {
        var concluded = await ConcludedAsync(employeeId);
        Assert.True(StateOf(concluded) == "verified", concluded.ToString());
        return concluded;
    }

    public static string StateOf(JObject @case) => (string)@case["state"]!;

    public static JObject Step(JObject @case, string id) => @case["steps"]!.Cast<JObject>().Single(step => (string?)step["id"] == id);

    private static IEnumerable<JObject> Items(Answer answer) => answer.Json["items"]!.Cast<JObject>();
}
