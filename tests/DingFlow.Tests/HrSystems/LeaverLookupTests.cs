using DingFlow.HrSystems;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Remote;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.HrSystems;

public sealed class LeaverLookupTests
{
    private const string Employee = "GET /api/v1/employees/67890/";
    private static readonly (string, string)[] Bamboo = [("Api:Key", "bamboo-api-key")];

    [Fact]
    public async Task A_leaver_of_bamboohr_gets_number_address_and_day()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", [.. Bamboo, ("TimeZone", "Asia/Macau")]);
        driver.StandIn.On(
            Employee, Answers.Json("""{"id":"67890","employeeNumber":"E1001","workEmail":"e1001@sandbox.example","status":"Active","terminationDate":"2026-12-24"}"""));

        var person = await driver.ResolveAsync(LookupHint.Changed);

        Assert.Equal((PersonEventKind.Terminated, "E1001", "e1001@sandbox.example", false), (person.Kind, person.EmployeeId, person.Email, person.Immediate));
        Assert.Equal(new DateTimeOffset(2026, 12, 24, 0, 0, 0, TimeSpan.FromHours(8)), person.EffectiveAt);
        Assert.Null(person.Lookup);
        var request = Assert.Single(driver.StandIn.Received);
        Assert.Equal($"Basic {Convert.ToBase64String("bamboo-api-key:x"u8)}", request.Headers.Authorization);
        Assert.Equal("?fields=employeeNumber%2CworkEmail%2Cstatus%2CterminationDate&onlyCurrent=false", request.Query);
        Assert.DoesNotContain(driver.Logs.Lines, static line => line.Text.Contains("e1001@", StringComparison.Ordinal) || line.Text.Contains("api-key", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"employeeNumber":"E1001","status":"Inactive","terminationDate":"2026-11-20"}""", PersonEventKind.Terminated, true)]
    [InlineData("""{"employeeNumber":"E1001","status":"Inactive","terminationDate":"0000-00-00"}""", PersonEventKind.Terminated, true)]
    [InlineData("""{"employeeNumber":"E1001","status":"Active","terminationDate":"0000-00-00"}""", PersonEventKind.Rehired, false)]
    [InlineData("""{"employeeNumber":"E1001","status":"Active","terminationDate":"2020-01-31"}""", PersonEventKind.Rehired, false)]
    public async Task What_bamboohr_says_decides(string answer, PersonEventKind kind, bool immediate)
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.On(Employee, Answers.Json(answer));

        var person = await driver.ResolveAsync(LookupHint.Changed);

        Assert.Equal((kind, immediate, null), (person.Kind, person.Immediate, person.EffectiveAt));
    }

    [Fact]
    public async Task Hibob_is_asked_by_its_service_user_and_answers_in_either_form()
    {
        await using var driver = await LeaverLookupDriver.StartAsync(
            "hibob", ("Api:ClientId", "SERVICE-1"), ("Api:ClientSecret", "token-1"), ("SiteTimeZones:Macau", "Asia/Macau"));
        driver.StandIn.On(
            "POST /v1/people/3332",
            Answers.Json("""{"/root/email":{"value":"e1001@sandbox.example"},"/work/employeeIdInCompany":{"value":1001},"/work/site":{"value":"Macau"},"/internal/lifecycleStatus":{"value":"employed"},"/internal/terminationDate":{"value":"2026-12-31"}}"""),
            Answers.Json("""{"email":"e1001@sandbox.example","work":{"employeeIdInCompany":1001,"site":"Macau"},"internal":{"lifecycleStatus":"Garden leave","terminationDate":"2026-12-31"}}"""));

        var announced = await driver.ResolveAsync(LookupHint.Changed, "3332");
        var left = await driver.ResolveAsync(LookupHint.Left, "3332");

        Assert.Equal(
            (PersonEventKind.Terminated, "1001", new DateTimeOffset(2026, 12, 31, 0, 0, 0, TimeSpan.FromHours(8))), (announced.Kind, announced.EmployeeId, announced.EffectiveAt));
        Assert.Equal((PersonEventKind.Terminated, "e1001@sandbox.example", true), (left.Kind, left.Email, left.Immediate));
        var request = driver.StandIn.Received[0];
        Assert.Equal($"Basic {Convert.ToBase64String("SERVICE-1:token-1"u8)}", request.Headers.Authorization);
        Assert.Contains("internal.lifecycleStatus", request.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Personio_gives_a_token_for_credentials_and_the_employment_that_lasts_counts()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("personio", ("Api:ClientId", "papi-1"), ("Api:ClientSecret", "secret-1"));
        driver.StandIn
            .On("POST /v2/auth/token", Answers.Json("""{"access_token":"papi-token-1","expires_in":86400}"""))
            .Always("GET /v2/persons/8001", Answers.Json("""{"id":"8001","email":"e1001@sandbox.example"}"""))
            .On(
                "GET /v2/persons/8001/employments",
                Answers.Json("""{"_data":[{"status":"INACTIVE","termination":{"termination_date":"2020-01-31"}},{"status":"ACTIVE","termination":{"last_working_date":"2026-11-30","termination_date":"2026-12-31"}}]}"""),
                Answers.Json("""{"_data":[{"status":"INACTIVE","termination":{"termination_date":"2026-11-21"}}]}"""));

        var moved = await driver.ResolveAsync(LookupHint.Left, "8001");
        var left = await driver.ResolveAsync(LookupHint.Left, "8001");

        // The end of the last working day in Berlin.
        Assert.Equal((new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.FromHours(1)), null), (moved.EffectiveAt, moved.EmployeeId));
        Assert.Equal((PersonEventKind.Terminated, true), (left.Kind, left.Immediate));
        Assert.Equal("client_id=papi-1&client_secret=secret-1&grant_type=client_credentials", driver.StandIn.Received[0].Body);
        Assert.All(driver.StandIn.Received.Skip(1), static request => Assert.Equal("Bearer papi-token-1", request.Headers.Authorization));
    }

    [Fact]
    public async Task A_refused_token_is_renewed_once()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("personio", ("Api:ClientId", "papi-1"), ("Api:ClientSecret", "secret-1"));
        driver.StandIn
            .On("POST /v2/auth/token", Answers.Json("""{"access_token":"one","expires_in":86400}"""), Answers.Json("""{"access_token":"two","expires_in":86400}"""))
            .On("GET /v2/persons/8001", Answers.Status(401), Answers.Json("""{"email":"e1001@sandbox.example"}"""))
            .On("GET /v2/persons/8001/employments", Answers.Json("""{"_data":[{"status":"INACTIVE"}]}"""));

        await driver.ResolveAsync(LookupHint.Left, "8001");

        Assert.Equal("Bearer two", driver.StandIn.ReceivedAt("GET /v2/persons/8001")[1].Headers.Authorization);
    }

    [Fact]
    public async Task Gusto_replaces_its_refresh_token_which_is_stored_before_it_counts()
    {
        (string, string)[] settings = [("Api:ClientId", "id"), ("Api:ClientSecret", "secret"), ("Api:RefreshToken", "refresh-0"), ("Api:Version", "2026-02-01")];
        await using var driver = await LeaverLookupDriver.StartAsync("gusto", settings);
        driver.StandIn
            .On(
                "POST /oauth/token", Answers.Json("""{"access_token":"access-1","refresh_token":"refresh-1","expires_in":7200}"""),
                Answers.Json("""{"access_token":"access-2","refresh_token":"refresh-2","expires_in":7200}"""))
            .Always("GET /v1/employees/e-1", Answers.Json("""{"uuid":"e-1","work_email":"e1001@sandbox.example","terminated":false,"terminations":[{"effective_date":"2026-11-30"}]}"""));

        var person = Assert.IsType<LeaverResolution.Resolved>(await driver.AskAsync(LookupHint.Leaving, "e-1")).Event;
        var afterRestart = driver.NewLookup();
        await driver.AskAsync(LookupHint.Leaving, "e-1", lookup: afterRestart);
        driver.Time.Advance(TimeSpan.FromHours(2));
        await driver.AskAsync(LookupHint.Leaving, "e-1", lookup: afterRestart);

        Assert.Equal(new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.FromHours(-8)), person.EffectiveAt);
        Assert.Equal(["refresh-0", "refresh-1"], driver.StandIn.ReceivedAt("POST /oauth/token").Select(static r => (string?)Newtonsoft.Json.Linq.JObject.Parse(r.Body)["refresh_token"]));
        Assert.Equal(
            ["Bearer access-1", "Bearer access-1", "Bearer access-2"], driver.StandIn.ReceivedAt("GET /v1/employees/e-1").Select(static r => r.Headers.Authorization.ToString()));
        Assert.Equal("2026-02-01", driver.StandIn.ReceivedAt("GET /v1/employees/e-1")[0].Headers["X-Gusto-API-Version"]);
        var row = await driver.Store.GetAsync("HrTokens", "hr|acme", "oauth", TestContext.Current.CancellationToken);
        Assert.Equal(-1, row!.Properties.Require<byte[]>("Sealed").AsSpan().IndexOf("refresh-2"u8));
    }

    [Theory]
    [InlineData("""{"terminated":false,"terminations":[]}""", LookupHint.LeaveCancelled, PersonEventKind.TerminationCancelled)]
    [InlineData("""{"terminated":false,"terminations":[{"effective_date":"2026-12-24"}]}""", LookupHint.LeaveCancelled, PersonEventKind.Terminated)]
    [InlineData("""{"terminated":false,"terminations":[{"effective_date":"2020-12-24"}]}""", LookupHint.Returned, PersonEventKind.Rehired)]
    [InlineData("""{"terminated":true,"terminations":[{"effective_date":"2026-11-20"}]}""", LookupHint.Left, PersonEventKind.Terminated)]
    [InlineData("""{"terminated":true,"terminations":[]}""", LookupHint.Deleted, PersonEventKind.Terminated)]
    [InlineData("""{"terminated":false,"terminations":[]}""", LookupHint.AccessRevoked, PersonEventKind.Terminated)]
    public async Task Event_and_answer_together_decide(string answer, LookupHint hint, PersonEventKind kind)
    {
        await using var driver = await LeaverLookupDriver.StartAsync("gusto", ("Api:Key", "access"));
        driver.StandIn.On("GET /v1/employees/e-1", Answers.Json($$"""{"employee_code":"E1001",{{answer[1..]}}"""));

        Assert.Equal(kind, (await driver.ResolveAsync(hint, "e-1")).Kind);
    }

    [Fact]
    public async Task A_rehire_that_lies_ahead_changes_nothing_yet()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("gusto", ("Api:Key", "access"));
        driver.StandIn.On("GET /v1/employees/e-1", Answers.Json("""{"employee_code":"E1001","terminated":true}"""));

        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Returned, "e-1"));
        Assert.Empty(driver.Alerts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Somebody_on_leave_is_frozen_only_if_the_settings_say_so(bool freeze)
    {
        await using var driver = await LeaverLookupDriver.StartAsync(
            "hibob", ("Api:ClientId", "id"), ("Api:ClientSecret", "secret"), ("FreezeOnLeave", freeze ? "true" : "false"));
        driver.StandIn.On("POST /v1/people/1", Answers.Json("""{"/root/email":{"value":"e1001@sandbox.example"},"/internal/lifecycleStatus":{"value":"Parental leave"}}"""));

        var resolution = await driver.AskAsync(LookupHint.Inactive, "1");

        Assert.Equal(freeze, resolution is LeaverResolution.Resolved { Event: { Kind: PersonEventKind.Terminated, Immediate: true } });
        Assert.Equal(!freeze, resolution is LeaverResolution.Done);
        Assert.Empty(driver.Alerts);
    }

    [Fact]
    public async Task An_answer_that_lags_behind_is_asked_for_again_and_then_left_to_people()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.Always(Employee, Answers.Json("""{"employeeNumber":"E1001","status":"Active"}"""));

        var first = await driver.AskAsync(LookupHint.Left);
        var second = await driver.AskAsync(LookupHint.Left, attempt: 4);
        Assert.Empty(driver.Alerts);
        var last = await driver.AskAsync(LookupHint.Left, attempt: 5);

        Assert.Equal((TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(160)), (Wait(first), Wait(second)));
        Assert.IsType<LeaverResolution.Done>(last);
        Assert.Equal("hr.lookup_contradiction", Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task An_unknown_person_is_an_alert()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.On(Employee, Answers.Status(404));

        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Left));

        var alert = Assert.Single(driver.Alerts);
        Assert.Equal(("hr.lookup_not_found", AlertSeverity.Critical, "hr/acme"), (alert.Type, alert.Severity, alert.About));
        Assert.Equal("0123456789abcdef0123456789abcdef", alert.Details["deliveryId"]);
    }

    [Fact]
    public async Task Throttling_closes_the_window_for_everybody_who_would_ask()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.On(Employee, Answers.Status(503, ("Retry-After", "90")), Answers.Json("""{"employeeNumber":"E1001","status":"Inactive"}"""));

        var throttled = await driver.AskAsync(LookupHint.Changed);
        driver.Time.Advance(TimeSpan.FromSeconds(30));
        var closed = await driver.AskAsync(LookupHint.Changed, attempt: 1);
        driver.Time.Advance(TimeSpan.FromSeconds(60));
        var open = await driver.AskAsync(LookupHint.Changed, attempt: 2);

        Assert.Equal((TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(60)), (Wait(throttled), Wait(closed)));
        Assert.IsType<LeaverResolution.Resolved>(open);
        Assert.Equal(2, driver.StandIn.Received.Count);
    }

    [Fact]
    public async Task The_reset_of_hibobs_window_is_obeyed()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("hibob", ("Api:ClientId", "id"), ("Api:ClientSecret", "secret"));
        driver.StandIn.On(
            "POST /v1/people/1", Answers.Status(429, ("X-RateLimit-Reset", (Fixtures.Now.ToUnixTimeSeconds() + 42).ToString(System.Globalization.CultureInfo.InvariantCulture))));

        Assert.Equal(TimeSpan.FromSeconds(42), Wait(await driver.AskAsync(LookupHint.Left, "1")));
    }

    [Fact]
    public async Task No_more_calls_begin_in_a_minute_than_the_settings_allow()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", [.. Bamboo, ("Api:CallsPerMinute", "2")]);
        driver.StandIn.Always(Employee, Answers.Json("""{"employeeNumber":"E1001","status":"Inactive"}"""));

        await driver.AskAsync(LookupHint.Changed);
        driver.Time.Advance(TimeSpan.FromSeconds(20));
        await driver.AskAsync(LookupHint.Changed);
        var third = await driver.AskAsync(LookupHint.Changed);
        driver.Time.Advance(TimeSpan.FromSeconds(40));
        var fourth = await driver.AskAsync(LookupHint.Changed);

        Assert.Equal(TimeSpan.FromSeconds(40), Wait(third));
        Assert.IsType<LeaverResolution.Resolved>(fourth);
    }

    [Fact]
    public async Task A_refusal_of_our_access_is_told_at_once_and_tried_again_for_a_day()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.Always(Employee, Answers.Status(403));

        Assert.Equal(TimeSpan.FromSeconds(10), Wait(await driver.AskAsync(LookupHint.Left)));
        Assert.Equal(TimeSpan.FromMinutes(30), Wait(await driver.AskAsync(LookupHint.Left, attempt: 12, age: TimeSpan.FromHours(23))));
        Assert.Equal(["hr.lookup_refused"], driver.Alerts.Select(static alert => alert.Type));
        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Left, attempt: 40, age: TimeSpan.FromHours(25)));
        Assert.Equal("hr.lookup_failed", driver.Alerts[^1].Type);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("")]
    public async Task An_answer_that_is_none_is_an_alert(string answer)
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.On(Employee, Answers.Text("application/json", answer));

        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Left));
        Assert.Equal("hr.lookup_failed", Assert.Single(driver.Alerts).Type);
    }

    [Theory]
    [InlineData("""{"status":"Inactive"}""", "hr.lookup_no_identifier")]
    [InlineData("""{"status":"Inactive","workEmail":"nobody"}""", "hr.lookup_no_identifier")]
    [InlineData("""{"status":"Inactive","workEmail":"e1001@other.example"}""", "hr.lookup_outside_confines")]
    [InlineData("""{"status":"Inactive","employeeNumber":"E1001"}""", "hr.lookup_outside_confines")]
    public async Task Who_cannot_be_named_or_lies_outside_is_left_to_people(string answer, string alert)
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.On(Employee, Answers.Json(answer));

        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Left, domains: ["sandbox.example"]));
        Assert.Equal(alert, Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task The_hr_systems_own_id_is_nobodys_number_unless_the_settings_say_so()
    {
        const string Answer = """{"status":"Inactive","workEmail":"e1001@sandbox.example"}""";
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        await using var trusting = await LeaverLookupDriver.StartAsync("bamboohr", [.. Bamboo, ("Api:IdIsEmployeeNumber", "true")]);
        driver.StandIn.On(Employee, Answers.Json(Answer));
        trusting.StandIn.On(Employee, Answers.Json(Answer));

        Assert.Null((await driver.ResolveAsync(LookupHint.Left)).EmployeeId);
        Assert.Equal("67890", (await trusting.ResolveAsync(LookupHint.Left)).EmployeeId);
    }

    [Fact]
    public async Task A_source_that_is_gone_from_the_settings_is_an_alert()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);

        Assert.IsType<LeaverResolution.Done>(await driver.AskAsync(LookupHint.Left, source: "hr/other"));
        Assert.Equal("hr.lookup_not_configured", Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task An_id_goes_into_the_address_escaped()
    {
        await using var driver = await LeaverLookupDriver.StartAsync("bamboohr", Bamboo);
        driver.StandIn.Always("GET /api/v1/employees/..%2Fadmin/", Answers.Status(404)).Always("GET /api/v1/employees/../admin/", Answers.Status(404));

        await driver.AskAsync(LookupHint.Left, "../admin");

        Assert.StartsWith("/api/v1/employees/", Assert.Single(driver.StandIn.Received).Path, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_access_stops_the_start()
    {
        var faults = new SettingsFaults();
        HrSystemOptions.Read(
            new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["HrSources:a:Dialect"] = "bamboohr", ["HrSources:b:Dialect"] = "hibob", ["HrSources:c:Dialect"] = "Personio", ["HrSources:d:Dialect"] = "gusto",
                ["HrSources:e:Dialect"] = "standard", ["HrSources:f:Dialect"] = "bamboohr", ["HrSources:f:Api:BaseUrl"] = "http://acme.example",
                ["HrSources:f:Api:Key"] = "k", ["HrSources:f:SiteTimeZones:x"] = "nowhere",
            }).Build(),
            faults);

        Assert.Equal(
            [
                "HrSources:a:Api:BaseUrl", "HrSources:a:Api:Key", "HrSources:b:Api:ClientId", "HrSources:b:Api:ClientSecret", "HrSources:c:Api:ClientId",
                "HrSources:c:Api:ClientSecret", "HrSources:d:Api:ClientId", "HrSources:d:Api:ClientSecret", "HrSources:d:Api:RefreshToken",
                "HrSources:f:Api:BaseUrl", "HrSources:f:SiteTimeZones:x",
            ],
            faults.All.Select(static fault => fault[..fault.IndexOf(": ", StringComparison.Ordinal)]).Order(StringComparer.Ordinal));
    }

    private static TimeSpan Wait(LeaverResolution resolution) => Assert.IsType<LeaverResolution.Later>(resolution).Wait;
}
