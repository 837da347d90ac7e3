using System.Text;
using DingFlow.DingTalk;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Intake;

/// <summary>Pushes that DingTalk could not deliver are fetched from both of its lists, once, and what may be missing is told.</summary>
public sealed class LostPushTests : IAsyncLifetime
{
    private readonly DataDirectory _data = new();
    private readonly List<AlertMessage> _alerts = [];
    private readonly LineOfMessages _line = new(TimeProvider.System);
    private SqliteDatabase _database = null!;
    private ServiceProvider _services = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static DateTimeOffset Now { get; } = TimeProvider.System.GetUtcNow();

    private SandboxServer Sandbox { get; set; } = null!;

    private LostPushes Pushes => _services.GetRequiredService<LostPushes>();

    public async ValueTask InitializeAsync()
    {
        Sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        _database = new(_data.Path);
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Deliveries:EncryptionKey"] = Convert.ToBase64String(new byte[32]),
            ["DingTalk:Tenants:sandbox:CorpId"] = SandboxOptions.CorpId,
            ["DingTalk:Tenants:sandbox:AppKey"] = SandboxOptions.AppKey,
            ["DingTalk:Tenants:sandbox:AppSecret"] = SandboxOptions.AppSecret,
            ["DingTalk:Tenants:sandbox:Token"] = SandboxOptions.CallbackToken,
            ["DingTalk:Tenants:sandbox:AesKey"] = SandboxOptions.CallbackAesKey,
            ["DingTalk:Tenants:sandbox:BaseUrl"] = Sandbox.DingTalk.ToString(),
            ["DingTalk:Tenants:sandbox:LegacyBaseUrl"] = Sandbox.DingTalkLegacy.ToString(),
        }).Build();
        var faults = new SettingsFaults();
        var services = new ServiceCollection();
        services.AddLogging().AddSingleton(TimeProvider.System).AddSingleton<IConfiguration>(configuration);
        services.AddSingleton<IEntityStore>(new SqliteEntityStore(_database, TimeProvider.System));
        services.AddSingleton<IMessageQueue>(_line).AddSingleton<IAlertSender>(new AlertList(_alerts));
        services.AddDingTalk(configuration, faults).AddIntake(configuration, faults);
        faults.ThrowIfAny();
        _services = services.BuildServiceProvider();
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await Sandbox.DisposeAsync();
        _database.Dispose();
        _data.Dispose();
    }

    [Fact]
    public async Task What_both_lists_show_is_one_delivery_and_is_told_once()
    {
        Lose("user_leave_org", -60, """{"userid":["sb-1001","sb-1002"],"corpid":"CORP"}""");
        Lose("user_add_org", -50, """{"userid":["sb-1003"]}""");
        Lose("bpms_instance_change", -40, """{"processInstanceId":"p","type":"finish","result":"agree","bizCategoryId":"hrm.terminationAndHandover","staffId":"sb-1004"}""");
        Lose("bpms_instance_change", -30, """{"processInstanceId":"p","type":"finish","result":"refuse","bizCategoryId":"hrm.termination","staffId":"sb-1005"}""");
        await Pushes.ReadAsync(Cancellation);
        await Pushes.ReadAsync(Cancellation);

        Assert.Equal(
            [(PersonEventKind.LeftOrganisation, "sb-1001"), (PersonEventKind.LeftOrganisation, "sb-1002"), (PersonEventKind.ResignationAgreed, "sb-1004")],
            (await EventsAsync()).Select(e => (e.Kind, e.DingTalkUserId!)).Order());
        var told = Assert.Single(_alerts);
        Assert.Equal(("intake.lost_pushes", "4", "3"), (told.Type, told.Details["pushes"], told.Details["leavers"]));
    }

    [Theory]
    [InlineData("failedResults")]
    [InlineData("get_call_back_failed_result")]
    public async Task One_list_that_cannot_be_read_is_made_up_for_by_the_other(string broken)
    {
        Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, Operation = broken }]);
        Lose("user_leave_org", -60, """{"userid":["sb-1001"]}""");
        await Pushes.ReadAsync(Cancellation);

        Assert.Equal("sb-1001", Assert.Single(await EventsAsync()).DingTalkUserId);
        Assert.DoesNotContain(_alerts, a => a.Type == "intake.push_gap");
    }

    [Fact]
    public async Task More_than_a_page_is_read_to_the_end()
    {
        for (var i = 0; i < 450; i++)
        {
            Lose("user_leave_org", -3000 + i, $$"""{"userid":["u{{i}}"]}""");
        }

        await Pushes.ReadAsync(Cancellation);

        Assert.Equal(450, (await EventsAsync()).Count);
        Assert.DoesNotContain(_alerts, a => a.Type == "intake.push_gap");
    }

    [Fact]
    public async Task An_answer_lost_by_the_list_that_forgets_is_a_gap_unless_the_other_list_was_read()
    {
        Lose("user_leave_org", -60, """{"userid":["sb-1001"]}""");
        Sandbox.Faults.Set([
            new() { Kind = SandboxFaultKind.LostAfter, Operation = "get_call_back_failed_result" }, new() { Kind = SandboxFaultKind.Denied, Operation = "failedResults" },
        ]);
        await Pushes.ReadAsync(Cancellation);
        Assert.Equal("intake.push_gap", Assert.Single(_alerts).Type);
        Assert.Empty(await EventsAsync());

        // The other list has not forgotten it.
        Sandbox.Faults.Clear();
        await Pushes.ReadAsync(Cancellation);
        Assert.Single(await EventsAsync());
    }

    [Fact]
    public async Task A_push_that_cannot_be_read_is_kept_and_a_person_told()
    {
        Lose("user_leave_org", -60, """{"nobody":1}""");
        await Pushes.ReadAsync(Cancellation);

        Assert.Contains(_alerts, a => a.Type == "intake.unreadable_event");
    }

    [Fact]
    public void Both_lists_give_the_same_bytes_for_the_same_push()
    {
        var one = LostPushes.BodyOf(new("user_leave_org", Now, Newtonsoft.Json.Linq.JObject.Parse("""{"userid":["a"],"corpid":"c"}""")));
        var other = LostPushes.BodyOf(new("user_leave_org", Now, Newtonsoft.Json.Linq.JObject.Parse("""{"CorpId":"c","UserId":["a"],"TimeStamp":"1"}""")));

        Assert.Equal(Encoding.UTF8.GetString(one.Span), Encoding.UTF8.GetString(other.Span));
    }

    private void Lose(string tag, int seconds, string data) =>
        Sandbox.Directory.AddFailedPush(new(tag, Now.AddSeconds(seconds), data.Replace("CORP", SandboxOptions.CorpId, StringComparison.Ordinal)));

    /// <summary>Everything that the offboarding would hear.</summary>
    private async Task<IReadOnlyList<PersonEvent>> EventsAsync()
    {
        var inbox = _services.GetRequiredService<IInbox>();
        await inbox.SweepAsync(Cancellation);
        var events = new List<PersonEvent>();
        foreach (var message in _line.Waiting.ToList())
        {
            if (await inbox.ReadAsync(OffboardingMessage.Parse(message.Body.Span).Delivery!, Cancellation) is { } work)
            {
                events.AddRange(work.Events);
                Assert.Equal(LostPushes.Fetched, work.VerifiedBy);
            }
        }

        return events;
    }

    private sealed class AlertList(List<AlertMessage> alerts) : IAlertSender
    {
        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            if (!alerts.Exists(a => a.AlertId == alert.AlertId))
            {
                alerts.Add(alert);
            }

            return Task.CompletedTask;
        }
    }
}
