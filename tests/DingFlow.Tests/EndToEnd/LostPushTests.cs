using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What DingTalk could not push ends as a case all the same, agreed resignations on their last day.</summary>
public sealed class LostPushTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lost_pushes_of_a_leaver_and_of_an_agreed_resignation_become_cases()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        var now = TimeProvider.System.GetUtcNow();
        sandbox.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { LastWorkDay = now.AddDays(20) } });
        sandbox.Directory.AddFailedPush(new("user_leave_org", now.AddMinutes(-9), """{"userid":["sb-1001"]}"""));
        foreach (var (person, biz) in ((string, string)[])[("sb-1002", "hrm.termination"), ("sb-1003", "hrm.terminationAndHandover"), ("sb-1004", "hrm.leave")])
        {
            sandbox.Directory.AddFailedPush(new(
                "bpms_instance_change", now.AddMinutes(-8),
                $$"""{"processInstanceId":"{{person}}","type":"finish","result":"agree","bizCategoryId":"{{biz}}","staffId":"{{person}}"}"""));
        }

        sandbox.Directory.Change("E1005", p => p with { DingTalk = p.DingTalk! with { LastWorkDay = now.AddDays(20) } });
        foreach (var person in (string[])["sb-1005", "sb-1006"])
        {
            sandbox.Directory.AddFailedPush(new("hrm_mdm_user_change", now.AddMinutes(-7), $$"""{"changeType":4,"staffId":"{{person}}"}"""));
        }

        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        using var socket = program.CreateSocketClient();
        using var answer = await socket.PostAsync(
            new Uri("http://dingflow/FetchLostPushes"),
            new StringContent("""{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}""", Encoding.UTF8, "application/json"),
            Cancellation);
        Assert.True(answer.IsSuccessStatusCode);

        using var client = program.CreateOperator();
        var operations = new Operations(client);
        IReadOnlyList<Newtonsoft.Json.Linq.JObject> cases = [];
        await Eventually.IsTrueAsync(
            async () => (cases = await operations.AllCasesAsync()).Count == 5 && cases.Count(c => c["accounts"]!.HasValues) == 5
                && cases.Count(c => Operations.StateOf(c) == "verified") == 2,
            () => $"five cases: {string.Join("\n", cases)}", Cancellation);

        Assert.True(sandbox.Directory["E1001"].DingTalk!.Disabled);
        var scheduled = cases.Where(c => Operations.StateOf(c) == "scheduled").ToList();
        Assert.Equal(3, scheduled.Count);
        Assert.True(sandbox.Directory["E1006"].DingTalk!.Disabled); // DingTalk's HR names no last day of a leave that it recorded.
        Assert.Empty(sandbox.Directory["E1005"].Mutations);

        // The last working day ends in Shanghai; where DingTalk knows none, the usual notice of 30 days is assumed and said to be.
        var lastDay = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(now.AddDays(20), TimeZoneInfo.FindSystemTimeZoneById("Asia/Shanghai")).Date);
        var ends = new DateTimeOffset(lastDay.AddDays(1).ToDateTime(TimeOnly.MinValue), TimeSpan.FromHours(8));
        Assert.Equal(2, scheduled.Count(c => DateTimeOffset.Parse((string)c["scheduledFor"]!, null) == ends));
        Assert.Single(scheduled, c => (bool)c["signals"]![0]!["dateAssumed"]!);
        Assert.Empty(sandbox.Directory["E1002"].Mutations);
        Assert.Empty(sandbox.Directory["E1003"].Mutations);
        Assert.Empty(sandbox.Directory["E1004"].Mutations);
    }
}
