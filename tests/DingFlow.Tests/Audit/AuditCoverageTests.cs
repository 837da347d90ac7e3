using System.Text;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Signals;
using DingFlow.Tests.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Audit;

/// <summary>
/// Every management route that changes something or reads something of a person leaves one entry that says who, by which key, in which
/// request and why. The routes are those of <c>openapi.json</c>: a new one needs a call here, or a reason why it leaves none.
/// </summary>
public sealed class AuditCoverageTests
{
    /// <summary>Routes for callers with a role that leave no entry, and why.</summary>
    private static readonly Dictionary<string, string> s_without = new(StringComparer.Ordinal)
    {
        ["getThresholds"] = "counts of an exporter against the rules; nobody is in them",
        ["listLatchedTiers"] = "tiers of an exporter; nobody is in them",
        ["getTransferCounters"] = "counts of an exporter; nobody is in them",
        ["getTransferBatch"] = "what became of a batch, in numbers and the sender's record ids",
        ["listOpeningBalances"] = "counts of an exporter; nobody is in them",
        ["listTransferScenarios"] = "what filings ask on scenarios; recipients are companies, reached by an office",
        ["getTransferScenario"] = "what filings ask on a scenario; its recipient is a company, reached by an office",
        ["listIncidents"] = "counts of an exporter's incidents; nobody is in them",
        ["getIncident"] = "counts of an incident; nobody is in them",
        ["getOffboardingPlan"] = "the plans in force",
        ["getOffboardingStatistics"] = "counts and times by day; nobody is in them",
        ["getHrSource"] = "how a source is set",
        ["testHrSource"] = "judges what the caller brings; nothing is read or kept",
        ["testSignalSource"] = "judges what the caller brings; nothing is read or kept",
        ["listParkedMessages"] = "messages of our own, with references; nobody is in them",
        ["getParkedMessage"] = "a message of our own, with references; nobody is in it",
        ["listAuditHolds"] = "cases by their opaque ids, and why they are held",
        ["getHealthProbe"] = "whether dependencies answer",
        ["listScimGroups"] = "there are none",
        ["createScimGroup"] = "refused always: groups are not provisioned",
        ["getScimServiceProviderConfig"] = "what the service can do",
        ["listScimResourceTypes"] = "what the service can do",
        ["getScimResourceType"] = "what the service can do",
        ["listScimSchemas"] = "what the service can do",
        ["getScimSchema"] = "what the service can do",
    };

    /// <summary>What follows in the caller's name from what the entry says.</summary>
    private static readonly HashSet<string> s_consequences = new(StringComparer.Ordinal)
    {
        "authentication.accepted", "transfers.change_begun", "offboarding.case_state_changed", "intake.delivery_accepted",
        };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static JObject Description => JObject.Parse(File.ReadAllText(Path.Combine(Repository.Root, "functions", "openapi.json")));

    /// <summary>The operations whose callers hold a role; webhooks and probes say openly that they ask for none.</summary>
    private static IReadOnlyList<string> Managed =>
    [
        .. ((JObject)Description["paths"]!).Properties().SelectMany(static path => ((JObject)path.Value).Properties())
            .Where(static method => method.Value is JObject operation && operation["operationId"] is not null && operation["security"] is not JArray { Count: 0 })
            .Select(static method => (string)method.Value["operationId"]!),
    ];

    [Fact]
    public async Task Every_management_route_leaves_one_entry_with_the_caller_its_key_the_request_and_the_reason_and_names_nobody()
    {
        await using var scenario = await Scenario.StartAsync();
        var calls = await scenario.CallAllAsync();

        Assert.Equal(Managed.Order(StringComparer.Ordinal), calls.Keys.Concat(s_without.Keys).Order(StringComparer.Ordinal));
        var entries = await scenario.EntriesAsync();
        var wrong = new List<string>();
        foreach (var (operation, call) in calls)
        {
            var of = entries.Where(entry => (string?)entry["requestId"] == call.RequestId && entry["actor"]!["key"] is not null
                && !s_consequences.Contains((string)entry["kind"]!)).ToList();
            if (of is not [var entry])
            {
                wrong.Add($"{operation} ({call.Status}): {of.Count} entries: {string.Join(", ", of.Select(static one => one["kind"]))}");
                continue;
            }

            var said = ((string?)entry["kind"], (string?)entry["actor"]!["key"], (string?)entry["reason"], entry["payloadHash"]?.Type == JTokenType.String);
            var expected = (call.Kind, call.Key, call.Reason, call.HasPayload ?? said.Item4);
            if (said != expected)
            {
                wrong.Add($"{operation} ({call.Status}): {said} instead of {expected}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        await scenario.NobodyIsNamedAsync(entries);
    }

    /// <summary>A call that was made.</summary>
    /// <param name="Kind">Which entry it must leave.</param>
    /// <param name="Key">By which key it was made.</param>
    /// <param name="Reason">What was said as its reason.</param>
    /// <param name="HasPayload">Whether what was decided upon is hashed; a body that names a person is not, since so little could be guessed back. For a batch it is the batch's matter.</param>
    /// <param name="RequestId">The request.</param>
    /// <param name="Status">How it was answered.</param>
    private sealed record Call(string Kind, string Key, string? Reason, bool? HasPayload, string RequestId, int Status);

    private sealed class Scenario : IAsyncDisposable
    {
        private const string OpsKey = "operator-key-of-the-coverage-0123456789";
        private const string SecondKey = "second-key-of-the-coverage-0123456789";
        private const string ScimKey = "provider-key-of-the-coverage-0123456789";
        private const string Why = "as the works council was told";

        private readonly Dictionary<string, Call> _calls = new(StringComparer.Ordinal);
        private readonly DataDirectory _data = new();
        private readonly string _secret = HrSender.NewSecret();
        private SandboxServer _sandbox = null!;
        private LoopbackServer _subscriber = null!;
        private DingFlowProcess _program = null!;
        private HttpClient _ops = null!;
        private HttpClient _second = null!;
        private HttpClient _scim = null!;

        public static async Task<Scenario> StartAsync()
        {
            var scenario = new Scenario();
            await scenario.PrepareAsync();
            return scenario;
        }

        public async Task<IReadOnlyDictionary<string, Call>> CallAllAsync()
        {
            await OffboardingAsync();
            await ReconciliationAsync();
            await TransfersAsync();
            await AlertsAsync();
            await IntakeAsync();
            await ScimAsync();
            await ParkedAsync();
            await AuditAsync();
            return _calls;
        }

        /// <summary>Every entry; what still waited beside its state is moved into the trail first.</summary>
        public async Task<IReadOnlyList<JToken>> EntriesAsync()
        {
            await TickAsync("SweepAudit");
            List<JToken> entries = [];
            var next = "";
            do
            {
                var page = await _ops.AskAsync(HttpMethod.Get, $"/api/audit?limit=1000{next}");
                Assert.Equal(200, page.Status);
                entries.AddRange(page.Json["items"]!);
                next = (string?)page.Json["next"] is { } more ? $"&next={more}" : "";
            }
            while (next.Length > 0);
            return entries;
        }

        public async Task NobodyIsNamedAsync(IReadOnlyList<JToken> entries)
        {
            await _program.TerminateAsync();
            var people = _sandbox.Directory.People;
            string[] personal =
            [
                "@sandbox.example", "9988776655", .. people.Select(static person => person.Name), .. people.Select(static person => person.Mobile).OfType<string>(),
                .. people.Select(static person => person.DingTalk?.UserId).OfType<string>(),
            ];
            var texts = entries.Select(static entry => entry.ToString(Newtonsoft.Json.Formatting.None)).Concat((_program.Output + _program.Errors).Split('\n'));
            Assert.All(texts, text => Assert.DoesNotContain(personal, one => text.Contains(one, StringComparison.OrdinalIgnoreCase)));
        }

        public async ValueTask DisposeAsync()
        {
            _ops?.Dispose();
            _second?.Dispose();
            _scim?.Dispose();
            if (_program is not null)
            {
                await _program.DisposeAsync();
            }

            if (_subscriber is not null)
            {
                await _subscriber.DisposeAsync();
            }

            if (_sandbox is not null)
            {
                await _sandbox.DisposeAsync();
            }

            _data.Dispose();
        }

        private async Task PrepareAsync()
        {
            Directory.CreateDirectory(_data.Path);
            using (var database = new SqliteDatabase(_data.Path))
            {
                // A day that is over, for a proof; two messages that nobody could handle.
                var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow().AddDays(-1));
                await using (var trail = new AuditTrail(new SqliteEntityStore(database, time), new(), time, NullLogger<AuditTrail>.Instance))
                {
                    await trail.AppendAsync(TrailDriver.Event("old"), Cancellation);
                }

                using var queue = new EmbeddedQueue(database, TimeProvider.System, NullLogger<EmbeddedQueue>.Instance);
                foreach (var id in (string[])["dead-1", "dead-2"])
                {
                    await queue.SendAsync(Queues.Offboarding, [new() { MessageId = id, SessionId = id, Body = """{"kind":"nobody"}"""u8.ToArray() }], Cancellation);
                    for (var delivery = 0; delivery < Queues.Offboarding.MaxDeliveryCount; delivery++)
                    {
                        await queue.AbandonAsync(await queue.ReceiveAsync(Queues.Offboarding, Cancellation), "given back", Cancellation);
                    }
                }
            }

            _sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
            _subscriber = await LoopbackServer.StartAsync(static context =>
            {
                context.Response.StatusCode = StatusCodes.Status202Accepted;
                return Task.CompletedTask;
            });
            _program = await DingFlowProcess.StartStandaloneAsync(
                OutsideSandbox.Settings(
                    _sandbox,
                    ("HrSources:hr:Dialect", "standard"), ("HrSources:hr:Secrets:0", _secret), ("HrSources:gusto:Dialect", "gusto"), ("HrSources:gusto:Handshake", "true"),
                    ("HrSources:gusto:Api:ClientId", "client"), ("HrSources:gusto:Api:ClientSecret", "client-secret"), ("HrSources:gusto:Api:RefreshToken", "refresh-token"),
                    ("HrSources:idp:Dialect", "scim"), ("HrSources:idp:DryRun", "true"),
                    ("Exporters:acme-zhuhai:Name", "Acme"), ("Recipients:acme-sg:Name", "Acme Singapore"), ("Recipients:acme-sg:Country", "SG"),
                    ("Offboarding:Brake:Count", "1"), ("Offboarding:Brake:Window", "01:00:00"),
                    ("Auth:ApiKeys:ops:Hash", ConfiguredProgram.HashOf(OpsKey)),
                    ("Auth:ApiKeys:ops:Roles", string.Join(',', DingFlow.Hosting.Roles.All.Where(static role => role != DingFlow.Hosting.Roles.Scim))),
                    ("Auth:ApiKeys:second:Hash", ConfiguredProgram.HashOf(SecondKey)), ("Auth:ApiKeys:second:Roles", "operations.read,operations.approve,compliance.read,compliance.write"),
                    ("Auth:ApiKeys:idp:Hash", ConfiguredProgram.HashOf(ScimKey)), ("Auth:ApiKeys:idp:Roles", "scim"),
                    ("Signals:Issuer", "https://dingflow.example/api"), ("Signals:SigningKeys:0", TransmitterScenario.NewKey()),
                    ("Signals:Subscribers:crm:Url", _subscriber.Address.ToString()), ("Signals:Subscribers:crm:Audience", "https://crm.example"),
                    ("Signals:Subscribers:crm:Token", "the-bearer-token-of-the-subscriber"),
                    ("Logging:LogLevel:Default", "Debug")),
                _data.Path);
            (_ops, _second, _scim) = (_program.CreateOperator(OpsKey), _program.CreateOperator(SecondKey), _program.CreateOperator(ScimKey));
        }

        private async Task OffboardingAsync()
        {
            var hr = new HrSender(_program.Client, "hr", _secret);
            var operations = new Operations(_second);
            var delivery = await hr.AcceptedAsync(HrSender.Leaver("E1001"));
            var verified = (string)(await operations.VerifiedAsync("E1001"))["caseId"]!;
            await hr.AcceptedAsync(HrSender.Leaver("E1021"));
            var held = await CaseAsync("E1021", "quarantined");
            await hr.AcceptedAsync(HrSender.Leaver("E1002"));
            await CaseAsync("E1002", "quarantined");
            await hr.AcceptedAsync(HrSender.Leaver("E1006", change: data =>
            {
                data["effectiveAt"] = "2099-11-22T09:00:00+08:00";
                data["immediate"] = false;
            }));
            var scheduled = await CaseAsync("E1006", "scheduled");

            await GetAsync("listOffboardingCases", "offboarding.cases_listed", "/api/offboarding");
            await GetAsync("getOffboardingCase", "offboarding.case_read", $"/api/offboarding/{verified}");
            await GetAsync("getOffboardingEvidence", "offboarding.evidence_exported", $"/api/offboarding/{verified}/evidence", payload: true);
            await PostAsync("searchOffboardingCases", "offboarding.person_searched", "/api/offboarding/search", """{"email":"e1001@sandbox.example"}""");
            await PostAsync("dryRunOffboarding", "offboarding.dry_run", "/api/offboarding/dry-run", """{"employeeId":"E1008","source":"hr/hr"}""");
            await PostAsync("runRehearsal", "offboarding.rehearsed", "/api/rehearsals", "{}", payload: true);
            await PostAsync("cancelOffboardingCase", "offboarding.case_action", $"/api/offboarding/{scheduled}/cancel", Reason(), 202, Why, true);
            await PostAsync("releaseOffboardingCase", "offboarding.case_action", $"/api/offboarding/{held}/release", Reason(), 202, Why, true);
            await PostAsync("releaseQuarantine", "offboarding.case_action", "/api/offboarding/quarantine/release", $$"""{"all":true,"source":"hr/hr","reason":"{{Why}}"}""", 202, Why, true);
            Assert.Equal(202, (await _second.AskAsync(HttpMethod.Post, $"/api/offboarding/{held}/release", Reason())).Status);
            await CaseAsync("E1021", "needsHuman");
            await PostAsync("retryOffboardingCase", "offboarding.case_action", $"/api/offboarding/{held}/retry", Reason(), 202, Why, true);
            await PostAsync("reactivateOffboardingCase", "offboarding.case_action", $"/api/offboarding/{verified}/reactivate", Reason(), 202, Why, true);
            await PostAsync("replayDelivery", "intake.delivery_replayed", $"/api/deliveries/{delivery}/replay", Reason(), 202, Why, true);
        }

        private async Task ReconciliationAsync()
        {
            var people = Enumerable.Range(1001, 25).Where(static n => n != 1005).Select(static n => n == 1003 ? $"E{n},sb-{n},2026-01-01,Asia/Macau" : $"E{n},sb-{n},,");
            using (var request = new HttpRequestMessage(HttpMethod.Put, "/api/hr/hr/roster")
            {
                Content = new StringContent($"employeeId,dingTalkUserId,leavesAt,timeZone\n{string.Join('\n', people)}\n", Encoding.UTF8, "text/csv"),
            })
            {
                Note("putHrRoster", "offboarding.roster_put", "ops", null, true, await _ops.AskAsync(request), 200);
            }

            await PostAsync("requestReconciliation", "offboarding.reconciliation_requested", "/api/offboarding/reconciliations", null, 202);
            IReadOnlyList<JToken> findings = [];
            await Eventually.IsTrueAsync(
                async () => (findings = [.. (await _second.AskAsync(HttpMethod.Get, "/api/offboarding/findings")).Json["items"]!]).Count >= 4, () => "findings", Cancellation);
            await GetAsync("listFindings", "offboarding.findings_read", "/api/offboarding/findings");
            await PostAsync("dismissFinding", "offboarding.finding_dismissed", $"/api/offboarding/findings/{Finding("unknownToHr")}/dismiss", Reason(), 202, Why, true);
            await PostAsync("openFinding", "offboarding.finding_opened", $"/api/offboarding/findings/{Finding("leftHr")}/open", Reason(), 202, Why, true);
            string Finding(string kind) => (string)findings.First(one => (string?)one["kind"] == kind)["findingId"]!;
        }

        private async Task TransfersAsync()
        {
            const string batch = """
                [{"id":"t-1","occurredAt":"2026-11-22T09:00:00+08:00","exporter":"acme-zhuhai","subject":{"type":"employeeId","id":"E1001"},"fields":["name","mobile","bankCardNumber"],
                  "origin":"CN","destination":"SG","recipient":"acme-sg","purpose":"payroll","legalBasis":"contract","method":"api","system":"dingtalk"}]
                """;
            await PostAsync("previewTransfers", "transfers.previewed", "/api/transfers/preview", batch);
            var recorded = await PostAsync("recordTransfers", "transfers.batch_recorded", "/api/transfers", batch, 202, payload: null);
            var batchId = (string)recorded.Json["batchId"]!;
            await Eventually.IsTrueAsync(
                async () => (int)(await _ops.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=acme-zhuhai&year=2026")).Json["subjects"]! == 1, () => "one subject", Cancellation);
            await GetAsync("getReport", "reports.taken", "/api/reports/acme-zhuhai/2026", payload: true);
            await PostAsync("lookUpSubject", "transfers.subject_looked_up", "/api/subjects/lookup", Subject(), 200, Why);
            await PostAsync("eraseSubject", "transfers.subject_erased", "/api/subjects/erase", Subject(), null, Why);
            await PostAsync(
                "uniteSubjects", "transfers.subjects_united", "/api/subjects/unite",
                $$"""{"exporter":"acme-zhuhai","reason":"{{Why}}","subjects":[{"type":"employeeId","id":"E1001"},{"type":"email","id":"e1001@sandbox.example"}]}""", null, Why);
            using (var request = new HttpRequestMessage(HttpMethod.Put, "/api/transfers/opening-balances")
            {
                Content = new StringContent(
                    """{"exporter":"acme-zhuhai","year":2026,"counter":"cn.counted.sensitive","count":4321,"source":"HR export of June"}""", Encoding.UTF8, "application/json"),
            })
            {
                Note("setOpeningBalance", "transfers.opening_balance_set", "ops", "HR export of June", true, await _ops.AskAsync(request), null);
            }

            Note(
                "removeOpeningBalance", "transfers.opening_balance_removed", "ops", null, false,
                await _ops.AskAsync(HttpMethod.Delete, "/api/transfers/opening-balances?exporter=acme-zhuhai&year=2026&counter=cn.counted.sensitive"), null);
            using (var request = new HttpRequestMessage(HttpMethod.Put, "/api/transfers/scenarios/acme-zhuhai/payroll")
            {
                Content = new StringContent($$$"""{"reason":"{{{Why}}}","terms":{"recipient":"acme-sg","purpose":"payroll","recipientContact":"e1001@sandbox.example"}}""", Encoding.UTF8, "application/json"),
            })
            {
                Note("putTransferScenario", "transfers.scenario_recorded", "ops", Why, true, await _ops.AskAsync(request), null);
            }

            await PostAsync("withdrawTransferScenario", "transfers.scenario_withdrawn", "/api/transfers/scenarios/acme-zhuhai/payroll/withdraw", Reason(), 200, Why, true);
            await PostAsync("recountTransfers", "transfers.recounted", "/api/transfers/recount?exporter=acme-zhuhai", null, 200);
            await TickAsync("CheckThresholds");
            var tiers = await _ops.AskAsync(HttpMethod.Get, "/api/thresholds/acme-zhuhai/tiers");
            var tier = (string)tiers.Json["items"]![0]!["key"]!;
            await PostAsync("reviewTier", "thresholds.tier_reviewed", $"/api/thresholds/acme-zhuhai/tiers/{tier}/review", Reason(), 200, Why, true);
            await PostAsync("voidTransferBatch", "transfers.batch_voided", $"/api/transfers/batches/{batchId}/void", Reason(), null, Why, true);
            using (var request = new HttpRequestMessage(HttpMethod.Put, "/api/incidents/acme-zhuhai/INC-1")
            {
                Content = new StringContent(
                    """{"discoveredAt":"2026-11-20T09:00:00+08:00","persons":1200,"sensitivePersons":40,"eeaPersons":3,"records":5000,"categories":["finance"],"description":"A payroll file went astray."}""",
                    Encoding.UTF8, "application/json"),
            })
            {
                Note("putIncident", "incidents.reported", "ops", null, true, await _ops.AskAsync(request), null);
            }

            await PostAsync("closeIncident", "incidents.closed", "/api/incidents/acme-zhuhai/INC-1/close", Reason(), 200, Why, true);
        }

        private async Task AlertsAsync()
        {
            JToken? alert = null;
            await Eventually.IsTrueAsync(
                async () => (alert = (await _second.AskAsync(HttpMethod.Get, "/api/alerts?state=open&type=thresholds")).Json["items"]!.FirstOrDefault()) is not null,
                () => "an alert", Cancellation);
            var id = (string)alert!["id"]!;
            await GetAsync("listAlerts", "alerts.read", "/api/alerts");
            await GetAsync("getAlert", "alerts.read", $"/api/alerts/{id}");
            var until = TimeProvider.System.GetUtcNow().AddDays(1).ToString("O", System.Globalization.CultureInfo.InvariantCulture);
            await PostAsync("silenceAlert", "alerts.silenced", $"/api/alerts/{id}/silence", $$"""{"until":"{{until}}","reason":"{{Why}}"}""", 200, Why, true);
            await PostAsync("acknowledgeAlert", "alerts.acknowledged", $"/api/alerts/{id}/acknowledge", Reason(), 200, Why, true);
        }

        private async Task IntakeAsync()
        {
            Assert.Equal(200, (await _program.Client.AskAsync(HttpMethod.Post, "/api/hr/gusto", """{"verification_token":"a-verification-token-of-gusto"}""")).Status);
            await GetAsync("getHrHandshake", "intake.handshake_read", "/api/hr/gusto/handshake");
            await PostAsync("pauseHrSource", "intake.source_paused", "/api/hr/hr/pause", Reason(), null, Why, true);
            await PostAsync("resumeHrSource", "intake.source_resumed", "/api/hr/hr/resume", Reason(), null, Why, true);
            await PostAsync("verifySignalSubscriber", "signals.verification_sent", "/api/signals/subscribers/crm/verify", """{"state":"abc"}""", 200, payload: true);
        }

        private async Task ScimAsync()
        {
            const string users = "/api/scim/v2/idp/Users";
            var created = await ScimAsync("createScimUser", "scim.user_created", HttpMethod.Post, users, User("e1019@sandbox.example"), 201);
            var user = $"{users}/{created.Json["id"]}";
            await ScimAsync("listScimUsers", "scim.user_read", HttpMethod.Get, $"{users}?count=10", null, 200);
            await ScimAsync("searchScimUsers", "scim.user_read", HttpMethod.Post, $"{users}/.search", """{"filter":"userName eq \"e1019@sandbox.example\""}""", 200);
            await ScimAsync("getScimUser", "scim.user_read", HttpMethod.Get, user, null, 200);
            await ScimAsync("replaceScimUser", "scim.user_changed", HttpMethod.Put, user, User("e1019@sandbox.example", "9988776655"), 200);
            await ScimAsync(
                "patchScimUser", "scim.user_changed", HttpMethod.Patch, user,
                """{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}""", 200);
            await ScimAsync("deleteScimUser", "scim.user_removed", HttpMethod.Delete, user, null, 204);

            static string User(string name, string nickName = "") =>
                $$"""{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{{name}}","displayName":"{{nickName}}","active":true,"externalId":"E1019","emails":[{"value":"{{name}}","primary":true}]}""";
        }

        private async Task ParkedAsync()
        {
            IReadOnlyList<JToken> parked = [];
            await Eventually.IsTrueAsync(
                async () => (parked = [.. (await _ops.AskAsync(HttpMethod.Get, "/api/parked-messages?queue=offboarding")).Json["items"]!]).Count >= 2, () => "parked messages", Cancellation);
            await PostAsync("replayParkedMessage", "messaging.message_replayed", $"/api/parked-messages/{parked[0]["parkedId"]}/replay", Reason(), 202, Why, true);
            await PostAsync("discardParkedMessage", "messaging.message_discarded", $"/api/parked-messages/{parked[1]["parkedId"]}/discard", Reason(), 202, Why, true);
        }

        private async Task AuditAsync()
        {
            await TickAsync("SealAudit");
            await GetAsync("searchAudit", "audit.read", "/api/audit?limit=1", payload: true);
            await PostAsync("searchAuditSubject", "audit.read", "/api/audit/search", $$"""{"type":"employeeId","identifier":"E1001","reason":"{{Why}}"}""", 200, Why, true);
            await GetAsync("exportAudit", "audit.exported", "/api/audit/export?format=csv", payload: true);
            await GetAsync("verifyAudit", "audit.verified", "/api/audit/verify", payload: true);
            await GetAsync("proveAuditEntry", "audit.proof_exported", "/api/audit/main/1/proof", payload: true);
            await GetAsync("getPermissionReport", "permissions.report_made", "/api/permissions/report", payload: true);
            var caseId = (string)(await new Operations(_ops).CasesOfAsync("E1002"))[0]["caseId"]!;
            await PostAsync("placeAuditHold", "audit.hold_placed", "/api/audit/holds", $$"""{"caseId":"{{caseId}}","reason":"{{Why}}"}""", 201, Why, true);
            await PostAsync("releaseAuditHold", "audit.hold_released", $"/api/audit/holds/{caseId}/release", Reason(), 204, Why, true);
        }

        private async Task<string> CaseAsync(string employeeId, string state)
        {
            JObject? found = null;
            await Eventually.IsTrueAsync(
                async () => (await new Operations(_second).CasesOfAsync(employeeId)) is [var only] && Operations.StateOf(found = only) == state,
                () => $"a case of {employeeId} that is {state}: {found}", Cancellation);
            return (string)found!["caseId"]!;
        }

        private async Task TickAsync(string function)
        {
            using var socket = _program.CreateSocketClient();
            Assert.Equal(200, (await socket.AskAsync(HttpMethod.Post, $"/{function}", FunctionsHostStandIn.Tick(function))).Status);
        }

        private async Task GetAsync(string operation, string kind, string path, bool payload = false) =>
            Note(operation, kind, "ops", null, payload, await _ops.AskAsync(HttpMethod.Get, path), 200);

        private async Task<Answer> PostAsync(
            string operation, string kind, string path, string? body, int? status = 200, string? reason = null, bool? payload = false)
        {
            var answer = await _ops.AskAsync(HttpMethod.Post, path, body);
            Note(operation, kind, "ops", reason, payload, answer, status);
            return answer;
        }

        private async Task<Answer> ScimAsync(string operation, string kind, HttpMethod method, string path, string? body, int status)
        {
            var answer = await _scim.AskAsync(method, path, body);
            Note(operation, kind, "idp", null, kind != "scim.user_read", answer, status);
            return answer;
        }

        private void Note(string operation, string kind, string key, string? reason, bool? payload, Answer answer, int? status)
        {
            Assert.True(status is null || answer.Status == status, $"{operation}: {answer.Status} {answer.Text}");
            _calls[operation] = new(kind, key, reason, payload, answer.Headers["x-request-id"], answer.Status);
        }

        private static string Reason() => $$"""{"reason":"{{Why}}"}""";

        private static string Subject() => $$"""{"subject":{"type":"employeeId","id":"E1001"},"exporter":"acme-zhuhai","reason":"{{Why}}"}""";
    }
}
