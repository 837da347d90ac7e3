using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The brake and its release by two people, the pause of a source and the clock by day, over HTTP against the real program.</summary>
public sealed class GuardTests
{
    private const string FirstKey = "first-key-of-the-tests-0123456789";
    private const string SecondKey = "second-key-of-the-tests-0123456789";
    private const string ApproverKey = "approver-key-of-the-tests-0123456789";
    private const string Reason = """{"reason":"HR confirmed the list"}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Held_leavers_go_on_when_two_people_agree_a_paused_source_waits_and_the_days_are_counted()
    {
        var secret = HrSender.NewSecret();
        await using var program = await DingFlowProcess.StartStandaloneAsync(Settings(secret));
        using var walk = new Walk(program, "acme", secret, FirstKey);
        using var second = program.CreateOperator(SecondKey);
        using var approver = program.CreateOperator(ApproverKey);

        // One leaver passes; the next is held and nothing of theirs is touched.
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1001"));
        await walk.Operations.VerifiedAsync("E1001");
        var held = await HeldAsync(walk, "E1002");

        await OneCaseIsReleasedByTwoAsync(walk, held, second, approver);
        await AllAreReleasedByTwoAsync(walk, second, approver);
        await APausedSourceWaitsAsync(walk, approver, secret);
        await TheDaysAreCountedAsync(walk);
    }

    private static Dictionary<string, string> Settings(string secret) => new()
    {
        ["HrSources__acme__Dialect"] = "standard",
        ["HrSources__acme__Secrets__0"] = secret,
        ["HrSources__other__Dialect"] = "standard",
        ["HrSources__other__Secrets__0"] = secret,
        ["Offboarding__Brake__Count"] = "1",
        ["Offboarding__Brake__Window"] = "01:00:00",
        ["Auth__ApiKeys__first__Hash"] = ConfiguredProgram.HashOf(FirstKey),
        ["Auth__ApiKeys__first__Roles"] = "operations.read,operations.write",
        ["Auth__ApiKeys__second__Hash"] = ConfiguredProgram.HashOf(SecondKey),
        ["Auth__ApiKeys__second__Roles"] = "operations.read,operations.write",
        ["Auth__ApiKeys__approver__Hash"] = ConfiguredProgram.HashOf(ApproverKey),
        ["Auth__ApiKeys__approver__Roles"] = "operations.read,operations.write,operations.approve",
    };

    private static async Task OneCaseIsReleasedByTwoAsync(Walk walk, JObject held, HttpClient second, HttpClient approver)
    {
        var path = $"/api/offboarding/{held["caseId"]}/release";
        Assert.Equal("count", (string?)held["quarantine"]!["reason"]);
        (await walk.Program.Client.AskAsync(HttpMethod.Post, path, Reason)).IsProblem(401, "unauthorized");
        (await walk.Operator.AskAsync(HttpMethod.Post, path, """{"reason":"  "}""")).IsProblem(400, "malformed");
        (await walk.Operator.AskAsync(HttpMethod.Post, "/api/offboarding/00000000000000000000000000000000/release", Reason)).IsProblem(404, "not-found");

        var alone = await walk.Operator.AskAsync(HttpMethod.Post, path, Reason);
        Assert.Equal((202, "quarantined", false), (alone.Status, (string?)alone.Json["state"], (bool)alone.Json["released"]!));
        Assert.Equal("a second, different principal with operations.approve", (string?)alone.Json["awaits"]);
        (await walk.Operator.AskAsync(HttpMethod.Post, path, Reason)).IsProblem(409, "conflict");

        // Two who may not approve are two consents and still no release.
        var unapproved = await second.AskAsync(HttpMethod.Post, path, Reason);
        Assert.Equal((202, false), (unapproved.Status, (bool)unapproved.Json["released"]!));
        await IsUntouchedAsync(walk, "E1002");

        var released = await approver.AskAsync(HttpMethod.Post, path, Reason);
        Assert.Equal((202, "running", true, JTokenType.Null), (released.Status, (string?)released.Json["state"], (bool)released.Json["released"]!, TypeOf(released.Json["awaits"])));
        var verified = await walk.Operations.VerifiedAsync("E1002");
        await IsFrozenAsync(walk, "E1002");
        Assert.Equal(["key:first", "key:second", "key:approver"], verified["consents"]!.Select(c => (string?)c["by"]));
        (await approver.AskAsync(HttpMethod.Post, path, Reason)).IsProblem(409, "conflict");
    }

    private static async Task AllAreReleasedByTwoAsync(Walk walk, HttpClient second, HttpClient approver)
    {
        const string Path = "/api/offboarding/quarantine/release";
        const string All = """{"reason":"a branch closes","all":true}""";
        string[] leavers = ["E1003", "E1004", "E1005"];
        foreach (var leaver in leavers)
        {
            await HeldAsync(walk, leaver);
        }

        (await walk.Operator.AskAsync(HttpMethod.Post, Path, Reason)).IsProblem(400, "malformed");
        Counts(await walk.Operator.AskAsync(HttpMethod.Post, Path, All), released: 0, awaiting: 3, already: 0);
        Counts(await walk.Operator.AskAsync(HttpMethod.Post, Path, All), released: 0, awaiting: 0, already: 3);

        // Who was held after the first person had agreed waits for a second one.
        await HeldAsync(walk, "E1006");
        Counts(await approver.AskAsync(HttpMethod.Post, Path, All), released: 3, awaiting: 1, already: 0);
        foreach (var leaver in leavers)
        {
            await walk.Operations.VerifiedAsync(leaver);
            await IsFrozenAsync(walk, leaver);
        }

        await IsUntouchedAsync(walk, "E1006");
        Counts(await second.AskAsync(HttpMethod.Post, Path, """{"reason":"a branch closes","all":true,"source":"hr/other"}"""), released: 0, awaiting: 0, already: 0);
        Counts(await second.AskAsync(HttpMethod.Post, Path, All), released: 1, awaiting: 0, already: 0);
        await walk.Operations.VerifiedAsync("E1006");
    }

    private static async Task APausedSourceWaitsAsync(Walk walk, HttpClient approver, string secret)
    {
        (await walk.Operator.AskAsync(HttpMethod.Post, "/api/hr/nobody/pause", Reason)).IsProblem(404, "unknown-source");
        var paused = await walk.Operator.AskAsync(HttpMethod.Post, "/api/hr/acme/pause", """{"reason":"the feed looks wrong"}""");
        Assert.Equal((202, true, "key:first"), (paused.Status, (bool)paused.Json["paused"]!, (string?)paused.Json["pause"]!["by"]));

        // Accepted and kept, while what another source sends after it is worked on.
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1007"));
        await new HrSender(walk.Program.Client, "other", secret).AcceptedAsync(HrSender.Leaver("E1008"));
        await QuarantinedAsync(walk, "E1008");
        var status = await walk.Operator.AskAsync(HttpMethod.Get, "/api/hr/acme/status");
        Assert.Equal((200, true), (status.Status, (bool)status.Json["paused"]!));
        Assert.Empty(await walk.Operations.CasesOfAsync("E1007"));
        await IsUntouchedAsync(walk, "E1007");

        var resumed = await walk.Operator.AskAsync(HttpMethod.Post, "/api/hr/acme/resume", """{"reason":"HR mended it"}""");
        Assert.Equal((202, false), (resumed.Status, (bool)resumed.Json["paused"]!));
        var held = await QuarantinedAsync(walk, "E1007");
        foreach (var person in (HttpClient[])[walk.Operator, approver])
        {
            Assert.Equal(202, (await person.AskAsync(HttpMethod.Post, $"/api/offboarding/{held["caseId"]}/release", Reason)).Status);
        }

        await walk.Operations.VerifiedAsync("E1007");
        await IsFrozenAsync(walk, "E1007");
    }

    private static async Task TheDaysAreCountedAsync(Walk walk)
    {
        (await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding/statistics?timeZone=Nowhere/Town")).IsProblem(400, "malformed");
        (await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding/statistics?from=2026-02-01&to=2026-01-01")).IsProblem(400, "malformed");

        var statistics = (await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding/statistics?timeZone=Asia/Macau")).Json;
        Assert.Equal(("Asia/Macau", 900), ((string?)statistics["timeZone"], (int)statistics["targetSeconds"]!));
        Assert.Equal([("freeze", 900)], statistics["plans"]!.Select(p => ((string?)p["plan"], (int)p["targetSeconds"]!)));

        // The test may run across midnight: what the days add up to is what happened.
        var days = statistics["days"]!.Cast<JObject>().ToList();
        var cases = await walk.Operations.AllCasesAsync();
        Assert.Equal(8, cases.Count);
        Assert.Equal((8, 7, 0, 7), (Sum("cases"), Sum("measured"), Sum("breached"), Sum("held")));
        Assert.Equal((7, 1), (days.Sum(day => (int?)day["states"]!["verified"] ?? 0), days.Sum(day => (int?)day["states"]!["quarantined"] ?? 0)));
        var waited = cases.Where(c => Operations.StateOf(c) == "verified").Select(c => (double)c["secondsToVerified"]!).Order().ToList();
        Assert.Equal(waited[^1], days.Where(day => day["secondsToVerified"] is JObject).Max(day => (double)day["secondsToVerified"]!["max"]!));
        if (days is [var only])
        {
            // Of seven by nearest rank the median is the fourth.
            Assert.Equal((waited[3], waited[6]), ((double)only["secondsToVerified"]!["p50"]!, (double)only["secondsToVerified"]!["p99"]!));
        }

        int Sum(string name) => days.Sum(day => (int)day[name]!);
    }

    private static async Task<JObject> HeldAsync(Walk walk, string employeeId)
    {
        await walk.Hr.AcceptedAsync(HrSender.Leaver(employeeId));
        var held = await QuarantinedAsync(walk, employeeId);
        await IsUntouchedAsync(walk, employeeId);
        return held;
    }

    private static Task<JObject> QuarantinedAsync(Walk walk, string employeeId) => Eventually.GetAsync(
        async () => await walk.Operations.CasesOfAsync(employeeId) is [var only] && Operations.StateOf(only) == "quarantined" ? only : null,
        () => $"{employeeId} held by the brake", Cancellation);

    private static async Task IsUntouchedAsync(Walk walk, string employeeId) => await IsAsync(walk, employeeId, frozen: false);

    private static async Task IsFrozenAsync(Walk walk, string employeeId) => await IsAsync(walk, employeeId, frozen: true);

    private static async Task IsAsync(Walk walk, string employeeId, bool frozen)
    {
        var person = await walk.Sandbox.PersonAsync(employeeId);
        Assert.Equal((frozen, !frozen), ((bool)person["dingTalk"]!["disabled"]!, (bool)person["entra"]!["accountEnabled"]!));
    }

    private static void Counts(Answer answer, int released, int awaiting, int already)
    {
        Assert.Equal(202, answer.Status);
        Assert.Equal(
            (released, awaiting, already, 0, 0),
            ((int)answer.Json["released"]!, (int)answer.Json["awaitingSecond"]!, (int)answer.Json["alreadyConsented"]!, (int)answer.Json["notHeld"]!, (int)answer.Json["remaining"]!));
    }

    private static JTokenType TypeOf(JToken? token) => token?.Type ?? JTokenType.Null;
}
