using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>Which case an event opens, joins or calls off.</summary>
public sealed class CaseEventTests
{
    [Fact]
    public void A_younger_case_of_a_person_has_the_greater_id_whatever_the_clock_does()
    {
        var earlier = CaseId.New(OffboardingDriver.Start);
        Assert.All(
            Enumerable.Range(0, 50).Select(i => CaseId.NewAfter(earlier, OffboardingDriver.Start.AddMinutes(-i))),
            id => Assert.Equal((true, true), (string.CompareOrdinal(id, earlier) > 0, CaseId.IsValid(id))));
    }

    [Fact]
    public async Task The_same_delivery_again_changes_nothing()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var delivery = await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.HearAsync(Leaver.Terminated("E1001"), delivery);
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"), delivery);
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Single(c.Signals);
        Assert.Equal(1, driver.Sandbox.Directory["E1001"].Mutations[SandboxOperations.Disable]);
    }

    [Fact]
    public async Task One_leaver_under_two_identifiers_at_once_is_one_case_found_under_both()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { JobNumber = null }, Entra = p.Entra! with { EmployeeId = null } });

        await driver.HearAsync(Leaver.Terminated("E1002") with { DingTalkUserId = null });
        await driver.HearAsync(Leaver.Terminated("X77", "hr/other") with { Email = null, DingTalkUserId = "sb-1002" });
        await driver.HearAsync(Leaver.LeftDingTalk("sb-1002"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1002");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(3, c.Signals.Count);
        Assert.Equal(c.CaseId, (await driver.OnlyCaseAsync("X77")).CaseId);
        var merged = (await driver.AllCasesAsync()).Where(o => o.CaseId != c.CaseId).ToList();
        Assert.All(merged, m => Assert.True(m is { State: CaseState.Cancelled, MergedInto: not null }));
        Assert.Equal(1, driver.Sandbox.Directory["E1002"].Mutations[SandboxOperations.Disable]);

        // Each leads to the other in the trail, and every case to its deliveries: a legal hold covers them all.
        var joined = driver.Trail.Events.Where(static one => one.Kind.Name == "offboarding.case_joined").Select(static one => (one.CaseId, one.Details[CaseLinks.OtherCase])).ToList();
        Assert.All(merged, m => Assert.Contains((m.CaseId, m.MergedInto!), joined));
        Assert.All(merged, m => Assert.Contains((m.MergedInto!, m.CaseId), joined));
        Assert.Superset(
            c.Signals.Select(static signal => signal.DeliveryId).ToHashSet(),
            driver.Trail.Events.Where(one => one.CaseId == c.CaseId && one.Details.ContainsKey(CaseLinks.Delivery)).Select(static one => one.Details[CaseLinks.Delivery]).ToHashSet());
    }

    [Fact]
    public async Task Two_leavers_do_not_get_into_each_others_case()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.HearAsync(Leaver.Terminated("E1002"));
        await driver.SettleAsync();

        var (one, two) = (await driver.OnlyCaseAsync("E1001"), await driver.OnlyCaseAsync("E1002"));
        Assert.NotEqual(one.CaseId, two.CaseId);
        Assert.All([one, two], c => Assert.Equal(CaseState.Verified, c.State));
    }

    [Fact]
    public async Task The_same_employee_id_of_two_companies_is_two_people()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other") with { Email = "e1002@sandbox.example", DingTalkUserId = null });
        await driver.SettleAsync();

        var cases = await driver.CasesAsync("E1001");
        Assert.Equal(2, cases.Count);
        Assert.Contains(cases, c => c.State == CaseState.Verified);
        Assert.Contains(cases, c => c.State == CaseState.NeedsHuman);
        Assert.Empty(driver.Sandbox.Directory["E1002"].Mutations);
    }

    [Fact]
    public async Task A_leave_dated_ahead_waits_for_its_date_and_its_clock_starts_there()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var leaves = OffboardingDriver.Start.AddDays(14);
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = leaves });
        await driver.SettleAsync();
        await driver.SweepAsync();
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal((CaseState.Scheduled, leaves, leaves.AddMinutes(15)), (c.State, c.ScheduledFor, c.DueAt));
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);

        driver.Time.Advance(leaves - driver.Time.GetUtcNow() - TimeSpan.FromMinutes(1));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(CaseState.Scheduled, (await driver.OnlyCaseAsync("E1001")).State);

        await driver.PassAsync(TimeSpan.FromMinutes(1));
        c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(0, c.SecondsToVerified);
    }

    [Fact]
    public async Task An_immediate_word_overrides_the_date()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(14) });
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task Of_two_dates_of_one_sender_the_later_word_counts_and_of_two_senders_the_earlier_date()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var date = OffboardingDriver.Start.AddDays(10);
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = date });
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = date.AddDays(5) });
        Assert.Equal(date.AddDays(5), (await driver.OnlyCaseAsync("E1001")).ScheduledFor);

        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other") with { Immediate = false, EffectiveAt = date.AddDays(9) });
        Assert.Equal(date.AddDays(5), (await driver.OnlyCaseAsync("E1001")).ScheduledFor);
        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other") with { Immediate = false, EffectiveAt = date.AddDays(1) });
        Assert.Equal(date.AddDays(1), (await driver.OnlyCaseAsync("E1001")).ScheduledFor);
    }

    [Theory]
    [InlineData(PersonEventKind.TerminationCancelled)]
    [InlineData(PersonEventKind.Rehired)]
    public async Task A_leave_called_off_before_its_date_freezes_nobody(PersonEventKind kind)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(1) });
        await driver.HearAsync(Leaver.Of(kind, "E1001"));
        await driver.PassAsync(TimeSpan.FromDays(2));
        await driver.SweepAsync();
        await driver.SettleAsync();

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1001")).State);
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
    }

    [Fact]
    public async Task A_leave_called_off_after_the_freeze_goes_to_a_person()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.Equal("offboarding.needs_human", Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task A_cancellation_that_overtakes_its_termination_still_wins()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1001", OffboardingDriver.Start.AddMinutes(1)));
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1001")).State);
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
    }

    [Fact]
    public async Task Leave_rehire_leave_is_two_cases_and_ends_frozen()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1001", OffboardingDriver.Start.AddHours(1)));
        driver.Sandbox.Directory.Change("E1001", p => p with
        {
            DingTalk = p.DingTalk! with { Disabled = false }, Entra = p.Entra! with { AccountEnabled = true },
        });
        driver.Time.Advance(TimeSpan.FromHours(2));
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = OffboardingDriver.Start.AddHours(2) });
        await driver.SettleAsync();

        var cases = await driver.CasesAsync("E1001");
        Assert.Equal(2, cases.Count);
        Assert.Equal(CaseState.Verified, cases[0].State);
        Assert.True(driver.Sandbox.Directory["E1001"].DingTalk!.Disabled);
        Assert.False(driver.Sandbox.Directory["E1001"].Entra!.AccountEnabled);
    }

    [Fact]
    public async Task A_second_word_after_verification_reads_the_accounts_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Sandbox.Directory.Change("E1001", p => p with { DingTalk = p.DingTalk! with { Disabled = false } });
        driver.Time.Advance(TimeSpan.FromMinutes(5));
        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.True(driver.Sandbox.Directory["E1001"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task Lists_come_newest_first_and_page_without_loss()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        for (var i = 0; i < 7; i++)
        {
            await driver.HearAsync(Leaver.Terminated($"E90{i:00}"));
            driver.Time.Advance(TimeSpan.FromDays(10));
        }

        var store = driver.Get<CaseStore>();
        var seen = new List<string?>();
        CaseCursor? cursor = null;
        do
        {
            var page = await store.ListAsync(_ => true, 3, cursor, TestContext.Current.CancellationToken);
            Assert.True(page.Cases.Count <= 3);
            seen.AddRange(page.Cases.Select(c => c.EmployeeId));
            cursor = page.Next;
        }
        while (cursor is not null);

        Assert.Equal(Enumerable.Range(0, 7).Reverse().Select(i => $"E90{i:00}"), seen);
    }
}
