using DingFlow.HrSystems;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What the signals of an identity provider do to people and cases, and what they do not.</summary>
public sealed class AccountSignalEventTests
{
    private const string Provider = "hr/idp";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Revoked_sessions_end_everywhere_and_leave_the_accounts_alone_without_a_case()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        var wait = await driver.Get<SessionEnding>().EndAsync(Signal(PersonEventKind.SessionsRevoked, "E1001"), Place(driver), Cancellation);
        await driver.SettleAsync();

        Assert.Null(wait);
        var person = driver.Sandbox.Directory["E1001"];
        Assert.Equal(1, person.Mutations[SandboxOperations.SignOut]);
        Assert.Equal(1, person.Mutations[SandboxOperations.GraphRevoke]);
        Assert.False(person.Mutations.ContainsKey(SandboxOperations.Disable));
        Assert.False(person.Mutations.ContainsKey(SandboxOperations.GraphUpdate));
        Assert.Empty(await driver.AllCasesAsync());
        Assert.Empty(driver.Alerts);
    }

    [Theory]
    [InlineData("E1021")] // Has an ordinary account, which the organisation cannot sign out.
    [InlineData("nobody")]
    public async Task Who_has_no_session_that_could_be_ended_is_no_trouble(string employeeId)
    {
        await using var driver = await OffboardingDriver.StartAsync();

        Assert.Null(await driver.Get<SessionEnding>().EndAsync(Signal(PersonEventKind.SessionsRevoked, employeeId), Place(driver), Cancellation));

        Assert.Empty(driver.Alerts);
        Assert.Empty(await driver.AllCasesAsync());
    }

    [Fact]
    public async Task A_dry_run_ends_no_session()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.Get<SessionEnding>().EndAsync(Signal(PersonEventKind.SessionsRevoked, "E1001") with { DryRun = true }, Place(driver), Cancellation);

        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
    }

    [Fact]
    public async Task A_system_that_throttles_is_tried_again_for_an_hour_and_then_people_are_told()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Set([new SandboxFault { Operation = SandboxOperations.GraphRevoke, Kind = SandboxFaultKind.Throttled, RetryAfter = TimeSpan.FromSeconds(25) }]);
        var place = Place(driver);

        var first = await driver.Get<SessionEnding>().EndAsync(Signal(PersonEventKind.SessionsRevoked, "E1001"), place, Cancellation);
        driver.Time.Advance(TimeSpan.FromHours(1));
        var last = await driver.Get<SessionEnding>().EndAsync(Signal(PersonEventKind.SessionsRevoked, "E1001"), place with { Attempt = 9 }, Cancellation);

        Assert.True(first >= TimeSpan.FromSeconds(20), $"{first}");
        Assert.Null(last);
        Assert.Equal("signals.sessions_not_ended", Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task A_disabled_account_freezes_like_a_leaver_and_the_case_says_who_said_what()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Signal(PersonEventKind.AccountDisabled, "E1001") with { Reason = "account-disabled: hijacking" });
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal((CaseState.Verified, PersonEventKind.AccountDisabled, "account-disabled: hijacking"), (c.State, Assert.Single(c.Signals).Kind, c.Reason));
    }

    [Fact]
    public async Task An_account_that_is_enabled_again_calls_off_what_the_same_source_said()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Signal(PersonEventKind.AccountDisabled, "E1001"));
        await driver.SettleAsync();

        await driver.HearAsync(Signal(PersonEventKind.AccountEnabled, "E1001", minutes: 5));

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.True(c.Superseded);
        Assert.Contains("enabled the account again", Assert.Single(c.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_account_that_is_enabled_again_never_takes_back_what_HR_said()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(3) });
        await driver.HearAsync(Signal(PersonEventKind.AccountEnabled, "E1001", minutes: 5));

        Assert.Equal(CaseState.Scheduled, (await driver.OnlyCaseAsync("E1001")).State);
        driver.Time.Advance(TimeSpan.FromDays(3));
        await driver.SweepAsync();
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task An_account_of_a_leaver_that_is_enabled_elsewhere_has_the_freeze_read_back_at_once()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Sandbox.Directory.Change("E1001", static p => p with { Entra = p.Entra! with { AccountEnabled = true } });

        await driver.HearAsync(Signal(PersonEventKind.AccountEnabled, "E1001", minutes: 5));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.False(driver.Sandbox.Directory["E1001"].Entra!.AccountEnabled);
        Assert.Contains(driver.Alerts, static alert => alert.Type == "offboarding.alive_again");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_disabled_account_that_arrives_after_the_news_that_it_was_enabled_freezes_nobody(bool byEmailOnly)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var identify = byEmailOnly ? (Func<PersonEvent, PersonEvent>)(static e => e with { EmployeeId = null }) : static e => e;
        await driver.HearAsync(identify(Signal(PersonEventKind.AccountEnabled, "E1001", minutes: 5)));

        await driver.HearAsync(identify(Signal(PersonEventKind.AccountDisabled, "E1001", minutes: 1)));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Cancelled, Assert.Single(await driver.AllCasesAsync()).State);
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
    }

    private static PersonEvent Signal(PersonEventKind kind, string employeeId, int minutes = 0) => new()
    {
        Kind = kind,
        Source = Provider,
        EmployeeId = employeeId,
        Email = Leaver.EmailOf(employeeId),
        Immediate = true,
        OccurredAt = OffboardingDriver.Start.AddMinutes(minutes),
    };

    private static LookupPlace Place(OffboardingDriver driver) => new("delivery-1", 0, 0, driver.Time.GetUtcNow());
}
