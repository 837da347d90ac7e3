using System.Text.Json;
using System.Text.RegularExpressions;

namespace DingFlow.Tests.Deployment;

/// <summary>Checks on what would be deployed: no key, no role too many, no public door where private is asked for, everything watched.</summary>
public sealed partial class TemplateTests
{
    private const string RoleDefinitions = "/providers/Microsoft.Authorization/roleDefinitions/";

    public static TheoryData<string> Environments => [.. Bicep.Environments];

    [Fact]
    public async Task The_linter_has_nothing_to_say()
    {
        var (code, output) = await Bicep.RunAsync("lint", Bicep.PathOf("main.bicep"));

        Assert.True(code == 0 && output.Length == 0, output);
    }

    [Fact]
    public void Linter_rules_are_errors_or_off_with_a_reason()
    {
        // Off because they depend on the day (API versions age) or on a registry (there is none), or contradict the module names that
        // deploy.sh reads; the README says so.
        string[] off = ["no-module-name", "use-recent-api-versions", "use-recent-module-versions", "use-user-defined-types"];
        using var document = JsonDocument.Parse(File.ReadAllText(Bicep.PathOf("bicepconfig.json")));
        var rules = document.RootElement.GetProperty("analyzers").GetProperty("core").GetProperty("rules");

        Assert.True(rules.EnumerateObject().Count() > 30);
        Assert.All(rules.EnumerateObject(), rule => Assert.Equal(off.Contains(rule.Name) ? "off" : "error", rule.Value.GetProperty("level").GetString()));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task The_snapshot_is_what_would_be_deployed(string environment)
    {
        var path = Bicep.PathOf($"main.{environment}.snapshot.json");
        var predicted = await Bicep.SnapshotAsync(environment);
        if (Environment.GetEnvironmentVariable("DINGFLOW_UPDATE_SNAPSHOTS") == "1")
        {
            await File.WriteAllTextAsync(path, predicted, TestContext.Current.CancellationToken);
        }

        var kept = File.Exists(path) ? await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken) : "";
        var before = kept.Split('\n');
        var now = predicted.Split('\n');
        var differs = Enumerable.Range(0, Math.Max(before.Length, now.Length)).FirstOrDefault(i => i >= before.Length || i >= now.Length || before[i] != now[i], -1);
        Assert.True(
            differs < 0,
            $"infra/main.{environment}.snapshot.json is not what would be deployed, from line {differs + 1} on. Look at the change, then: "
            + "DINGFLOW_UPDATE_SNAPSHOTS=1 dotnet test tests/DingFlow.Tests --filter FullyQualifiedName~TemplateTests");
    }

    [Fact]
    public async Task No_key_leaves_a_resource_and_no_secret_is_a_plain_parameter()
    {
        var template = await Bicep.TemplateAsync();

        Assert.DoesNotMatch("(?i)list(Account)?(Keys|Secrets|Sas|ServiceSas|AccountSas)\\(", template);
        Assert.DoesNotMatch("(?i)AccountKey=|SharedAccessKey|SharedAccessSignature|DefaultEndpointsProtocol", template);
        using var document = JsonDocument.Parse(template);
        Assert.All(document.RootElement.GetProperty("parameters").EnumerateObject(), parameter =>
            Assert.True(
                parameter.Value.GetProperty("type").GetString() == "securestring" || !Secretive().IsMatch(parameter.Name),
                $"{parameter.Name} sounds like a secret"));
        Assert.Equal("securestring", document.RootElement.GetProperty("parameters").GetProperty("alertWebhook").GetProperty("type").GetString());
        Assert.DoesNotMatch("(?i)secret|key|password", string.Join(' ', document.RootElement.GetProperty("outputs").EnumerateObject().Select(o => o.Name)));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Nobody_signs_in_with_a_key(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);

        Assert.Equal(2, resources.Of("Microsoft.Storage/storageAccounts").Count());
        Assert.All(resources.Of("Microsoft.Storage/storageAccounts"), account =>
        {
            Assert.Equal(bool.FalseString, account.Property("allowSharedKeyAccess"));
            Assert.Equal(bool.FalseString, account.Property("allowBlobPublicAccess"));
            Assert.Equal(bool.TrueString, account.Property("defaultToOAuthAuthentication"));
            Assert.Equal(bool.TrueString, account.Property("supportsHttpsTrafficOnly"));
            Assert.Equal("TLS1_2", account.Property("minimumTlsVersion"));
        });
        Assert.All(resources.Of("Microsoft.Storage/storageAccounts/blobServices/containers"), c => Assert.Equal("None", c.Property("publicAccess")));
        var bus = resources.Of("Microsoft.ServiceBus/namespaces").Single();
        Assert.Equal(bool.TrueString, bus.Property("disableLocalAuth"));
        Assert.Equal("1.2", bus.Property("minimumTlsVersion"));
        Assert.Equal(bool.TrueString, resources.Of("Microsoft.Insights/components").Single().Property("DisableLocalAuth"));
        Assert.Equal(bool.TrueString, resources.Of("Microsoft.OperationalInsights/workspaces").Single().Property("features", "disableLocalAuth"));
        Assert.All(resources.Of("Microsoft.Web/sites/basicPublishingCredentialsPolicies"), p => Assert.Equal(bool.FalseString, p.Property("allow")));
        Assert.Equal(2, resources.Of("Microsoft.Web/sites/basicPublishingCredentialsPolicies").Count());
        Assert.DoesNotContain(resources, r => r.Type().EndsWith("/authorizationRules", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain(resources.AppSettings().Keys, s => s is "AzureWebJobsStorage" or "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING" or "WEBSITE_CONTENTSHARE");
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task The_vault_takes_roles_and_cannot_be_purged(string environment)
    {
        var vault = (await Bicep.ResourcesAsync(environment)).Of("Microsoft.KeyVault/vaults").Single();

        Assert.Equal(bool.TrueString, vault.Property("enableRbacAuthorization"));
        Assert.Equal(bool.TrueString, vault.Property("enablePurgeProtection"));
        Assert.Equal("90", vault.Property("softDeleteRetentionInDays"));
        Assert.Null(vault.At("properties", "accessPolicies"));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task The_identity_has_these_roles_in_these_places_and_no_other(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var queues = resources.Of("Microsoft.ServiceBus/namespaces/queues").Select(q => q.Id()).ToList();
        var expected = queues.SelectMany(q => new[] { (q, "serviceBusDataSender"), (q, "serviceBusDataReceiver") })
            .Append((Single("Microsoft.Storage/storageAccounts", "host"), "storageBlobDataOwner"))
            .Append((Single("Microsoft.Storage/storageAccounts", "data"), "storageTableDataContributor"))
            .Append((Single("Microsoft.Storage/storageAccounts/blobServices/containers", "/evidence"), "storageBlobDataContributor"))
            .Append((Single("Microsoft.Storage/storageAccounts/blobServices/containers", "/audit"), "storageBlobDataContributor"))
            .Append((Single("Microsoft.KeyVault/vaults", ""), "keyVaultSecretsUser"))
            .Append((Single("Microsoft.Insights/components", ""), "monitoringMetricsPublisher"));

        var given = resources.Of("Microsoft.Authorization/roleAssignments").Select(r => (ScopeOf(r), RoleOf(r))).ToList();

        Assert.Equal(expected.Order(), given.Order());
        Assert.All(resources.Of("Microsoft.Authorization/roleAssignments"), r => Assert.Equal("ServicePrincipal", r.Property("principalType")));

        string Single(string type, string part) => resources.Of(type).Single(r => r.Name().Contains(part, StringComparison.Ordinal)).Id();
    }

    [Fact]
    public async Task An_operator_may_write_secrets_and_releases_and_nothing_else()
    {
        const string Operators = "00000000-0000-0000-0000-00000000000b";
        var resources = Bicep.Resources(await Bicep.PredictAsync("prod", ("DINGFLOW_OPERATORS", Operators)));

        var given = resources.Of("Microsoft.Authorization/roleAssignments").Where(r => r.Property("principalId") == Operators)
            .Select(r => (ScopeOf(r).Split('/')[^1].Split('-')[0], RoleOf(r), r.Property("principalType")));

        Assert.Equal([("dingflow", "keyVaultSecretsOfficer", "Group"), ("releases", "storageBlobDataContributor", "Group")], given.Order());
    }

    /// <summary>The ids are those of Azure's built-in roles; none of them is an owner of Service Bus or of anything else.</summary>
    [Fact]
    public void Role_ids_are_the_built_in_ones()
    {
        var known = new Dictionary<string, string>
        {
            ["serviceBusDataSender"] = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
            ["serviceBusDataReceiver"] = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
            ["storageTableDataContributor"] = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
            ["storageBlobDataOwner"] = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            ["storageBlobDataContributor"] = "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            ["keyVaultSecretsUser"] = "4633458b-17de-408a-b874-0445c86b69e6",
            ["keyVaultSecretsOfficer"] = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
            ["monitoringMetricsPublisher"] = "3913510d-42f4-4e42-8a64-420c390055eb",
        };

        Assert.Equal(known, RoleNames().ToDictionary(r => r.Value, r => r.Key));
        // Owner, Contributor, User Access Administrator, Azure Service Bus Data Owner.
        string[] never =
        [
            "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
            "090c5cfd-751d-490a-894a-3ce6f1109419",
        ];
        var sources = string.Concat(Directory.EnumerateFiles(Bicep.PathOf(""), "*.*", SearchOption.AllDirectories).Select(File.ReadAllText));
        Assert.All(never, id => Assert.DoesNotContain(id, sources, StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("prod", "windows.net", "Microsoft.App/environments")]
    [InlineData("china", "chinacloudapi.cn", "Microsoft.Web/serverFarms")]
    public async Task A_private_network_leaves_only_the_app_public(string environment, string suffix, string delegation)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        string[] closed = ["Microsoft.Storage/storageAccounts", "Microsoft.ServiceBus/namespaces", "Microsoft.KeyVault/vaults"];
        var targets = closed.SelectMany(t => resources.Of(t)).ToList();

        Assert.Equal(4, targets.Count);
        Assert.All(targets, r => Assert.Equal("Disabled", r.Property("publicNetworkAccess")));
        Assert.All(targets.Where(t => t.At("properties", "networkAcls") is not null), r => Assert.Equal("Deny", r.Property("networkAcls", "defaultAction")));
        Assert.Equal("Premium", resources.Of("Microsoft.ServiceBus/namespaces").Single().At("sku", "name")?.GetString());
        var endpoints = resources.Of("Microsoft.Network/privateEndpoints")
            .Select(e => e.At("properties", "privateLinkServiceConnections")!.Value.EnumerateArray().Single().GetProperty("properties")).ToList();
        Assert.Equal(["blob", "blob", "namespace", "table", "vault"], endpoints.Select(e => e.GetProperty("groupIds").EnumerateArray().Single().GetString()).Order());
        Assert.Equal(targets.Select(t => t.Id()).Order(), endpoints.Select(e => e.GetProperty("privateLinkServiceId").GetString()!).Distinct().Order());
        var zones = resources.Of("Microsoft.Network/privateDnsZones").Select(z => z.Name()).ToList();
        Assert.Equal(4, zones.Count);
        Assert.Contains($"privatelink.servicebus.{suffix}", zones);
        Assert.Contains($"privatelink.table.core.{suffix}", zones);
        var network = resources.Of("Microsoft.Network/virtualNetworks").Single();
        var subnets = network.At("properties", "subnets")!.Value.EnumerateArray().ToDictionary(s => s.GetProperty("name").GetString()!);
        Assert.Contains(delegation, subnets["app"].GetRawText(), StringComparison.Ordinal);
        Assert.All(subnets.Values, s => Assert.NotNull(s.At("properties", "networkSecurityGroup")));
        Assert.EndsWith("/subnets/app", resources.Of("Microsoft.Web/sites").Single().Property("virtualNetworkSubnetId"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Everything_is_logged_for_half_a_year_at_least(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        string[] logged =
        [
            "Microsoft.ServiceBus/namespaces", "Microsoft.KeyVault/vaults", "Microsoft.Web/sites", "Microsoft.OperationalInsights/workspaces",
            "Microsoft.Storage/storageAccounts/blobServices", "Microsoft.Storage/storageAccounts/tableServices",
        ];
        var diagnosed = resources.Of("Microsoft.Insights/diagnosticSettings").ToList();

        Assert.All(logged.SelectMany(t => resources.Of(t)), r => Assert.Contains(diagnosed, d => d.Id().StartsWith(r.Id() + "/providers/Microsoft.Insights/", StringComparison.OrdinalIgnoreCase)));
        Assert.All(diagnosed, d => Assert.Contains(d.At("properties", "logs")!.Value.EnumerateArray(), l => l.GetProperty("enabled").GetBoolean()));
        Assert.True(int.Parse(resources.Of("Microsoft.OperationalInsights/workspaces").Single().Property("retentionInDays")!, System.Globalization.CultureInfo.InvariantCulture) >= 180);
        using var template = JsonDocument.Parse(await Bicep.TemplateAsync());
        Assert.Equal(180, template.RootElement.GetProperty("parameters").GetProperty("logRetentionDays").GetProperty("minValue").GetInt32());
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Evidence_has_versions_that_cannot_be_changed(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var evidence = resources.Of("Microsoft.Storage/storageAccounts/blobServices/containers").Single(c => c.Name().EndsWith("/evidence", StringComparison.Ordinal));
        var account = evidence.Name().Split('/')[0];

        Assert.Equal(bool.TrueString, evidence.Property("immutableStorageWithVersioning", "enabled"));
        Assert.Equal(bool.TrueString, resources.Of("Microsoft.Storage/storageAccounts/blobServices").Single(b => b.Name().StartsWith(account, StringComparison.Ordinal)).Property("isVersioningEnabled"));
        var policy = resources.Of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies").Single();
        Assert.StartsWith(evidence.Name(), policy.Name(), StringComparison.Ordinal);
        Assert.Equal(environment == "dev" ? "1" : "1095", policy.Property("immutabilityPeriodSinceCreationInDays"));
        Assert.DoesNotContain("host", account, StringComparison.Ordinal);
        // The anchors of the audit trail lie there; its archive, which is rewritten when content expires, does not.
        Assert.EndsWith("/evidence", resources.AppSettings()["Audit__Anchor__ContainerUri"], StringComparison.Ordinal);
        Assert.EndsWith("/audit", resources.AppSettings()["Audit__Archive__ContainerUri"], StringComparison.Ordinal);
        var rule = resources.Of("Microsoft.Storage/storageAccounts/managementPolicies").Single().At("properties", "policy", "rules")!.Value.EnumerateArray().Single();
        Assert.Contains("\"audit/\"", rule.GetRawText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dev", 1)]
    [InlineData("prod", 2)]
    public async Task Flex_Consumption_runs_a_custom_handler_that_is_always_ready_for_http(string environment, int instances)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var plan = resources.Of("Microsoft.Web/serverfarms").Single();
        var app = resources.Of("Microsoft.Web/sites").Single();

        Assert.Equal(("FC1", "FlexConsumption"), (plan.At("sku", "name")?.GetString(), plan.At("sku", "tier")?.GetString()));
        Assert.Equal("custom", app.Property("functionAppConfig", "runtime", "name"));
        var ready = app.At("properties", "functionAppConfig", "scaleAndConcurrency", "alwaysReady")!.Value.EnumerateArray().First();
        Assert.Equal(("http", instances), (ready.GetProperty("name").GetString(), ready.GetProperty("instanceCount").GetInt32()));
        Assert.Equal("UserAssignedIdentity", app.Property("functionAppConfig", "deployment", "storage", "authentication", "type"));
        Assert.Equal("UserAssigned", app.At("identity", "type")?.GetString());
        Assert.Equal(bool.TrueString, app.Property("httpsOnly"));
        Assert.Equal("1.2", app.Property("siteConfig", "minTlsVersion"));
        Assert.Equal("Disabled", app.Property("siteConfig", "ftpsState"));
        // Flex Consumption has these in functionAppConfig and refuses them as settings.
        Assert.DoesNotContain("FUNCTIONS_WORKER_RUNTIME", resources.AppSettings().Keys);
        // One instance or two: an upgrade without a gap needs two and the rolling strategy.
        Assert.Equal(environment == "prod" ? "RollingUpdate" : "Recreate", app.Property("functionAppConfig", "siteUpdateStrategy", "type"));
    }

    [Fact]
    public async Task Where_there_is_no_Flex_Consumption_an_App_Service_plan_runs_the_same_program_without_a_key()
    {
        var resources = await Bicep.ResourcesAsync("china");
        var app = resources.Of("Microsoft.Web/sites").Single();

        Assert.Equal("P0v3", resources.Of("Microsoft.Web/serverfarms").Single().At("sku", "name")?.GetString());
        Assert.Equal(bool.TrueString, app.Property("siteConfig", "alwaysOn"));
        Assert.True(app.At("properties", "functionAppConfig") is null or { ValueKind: JsonValueKind.Null });
        Assert.Equal("custom", resources.AppSettings()["FUNCTIONS_WORKER_RUNTIME"]);
        Assert.All(
            resources.AppSettings().Where(s => s.Value.StartsWith("https://", StringComparison.Ordinal)),
            s => Assert.Matches(@"\.(chinacloudapi|azure)\.cn(/|$)", s.Value));
        Assert.Empty(resources.Of("Microsoft.Consumption/budgets"));
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task Alerts_tell_people_of_everything_that_the_runbook_promises(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var people = resources.Of("Microsoft.Insights/actionGroups").Single();
        var rules = resources.Of("Microsoft.Insights/metricAlerts").Concat(resources.Of("Microsoft.Insights/scheduledQueryRules")).ToList();
        var prefix = people.Name()[..^"people".Length];
        string[] promised =
        [
            "dead-letters", "active-messages", "stuck-offboarding", "messages-ageing", "messages-parked", "throttled", "server-errors", "http-5xx",
            "unauthorized-burst", "freeze-clock-breached", "heartbeat-missing", "daily-run-missing", "threshold-level-reached",
            "critical-alert-raised", "vault-availability", "vault-saturation", "storage-0-availability", "storage-1-availability",
        ];

        Assert.Subset(rules.Select(r => r.Name()).ToHashSet(), promised.Select(name => prefix + name).ToHashSet());
        Assert.All(rules, r =>
        {
            Assert.Contains(people.Id(), r.GetRawText(), StringComparison.OrdinalIgnoreCase);
            Assert.Equal(bool.TrueString, r.Property("enabled"));
        });
        Assert.NotEmpty(people.At("properties", "emailReceivers")!.Value.EnumerateArray());
        // Rules that look for silence must look at least as far back as the silence that they report.
        Assert.Equal("PT1H", rules.Single(r => r.Name() == prefix + "heartbeat-missing").Property("windowSize"));
        Assert.Equal("P2D", rules.Single(r => r.Name() == prefix + "daily-run-missing").Property("windowSize"));
    }

    [Fact]
    public async Task The_address_of_the_alert_webhook_is_used_and_kept_secret()
    {
        var resources = Bicep.Resources(await Bicep.PredictAsync("prod", ("DINGFLOW_ALERT_WEBHOOK", "https://alerts.example.com/azure")));

        var receivers = resources.Of("Microsoft.Insights/actionGroups").Single().Property("webhookReceivers")!;
        // A secure value, which may hold a key: it is used, and not written down.
        Assert.Contains("serviceUri", receivers, StringComparison.Ordinal);
        Assert.DoesNotContain("alerts.example.com", string.Concat(resources.Select(r => r.GetRawText())), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dev", "100")]
    [InlineData("prod", "1500")]
    public async Task A_budget_tells_before_the_money_is_gone(string environment, string amount)
    {
        var budget = (await Bicep.ResourcesAsync(environment)).Of("Microsoft.Consumption/budgets").Single();

        Assert.Equal(amount, budget.Property("amount"));
        Assert.Matches("^20[0-9]{2}-[01][0-9]-01$", budget.Property("timePeriod", "startDate")!);
        Assert.Equal(["forecast100", "spent100", "spent80"], budget.At("properties", "notifications")!.Value.EnumerateObject().Select(n => n.Name).Order());
    }

    [Theory]
    [MemberData(nameof(Environments))]
    public async Task The_workbook_is_deployed_with_the_ids_of_its_resources(string environment)
    {
        var resources = await Bicep.ResourcesAsync(environment);
        var data = resources.Of("Microsoft.Insights/workbooks").Single().Property("serializedData")!;
        using var workbook = JsonDocument.Parse(data);
        var names = workbook.RootElement.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("name").GetString()).ToList();

        Assert.Subset(names.ToHashSet(), new HashSet<string?>(["queue-age", "queue-depth", "freeze-percentiles", "limits", "limits-raised", "alerts-raised", "heartbeat"]));
        Assert.Contains(resources.Of("Microsoft.ServiceBus/namespaces").Single().Id(), data, StringComparison.Ordinal);
        Assert.Contains(resources.Of("Microsoft.OperationalInsights/workspaces").Single().Id(), data, StringComparison.Ordinal);
        Assert.DoesNotContain("{workspaceId}", data, StringComparison.Ordinal);
    }

    /// <summary>Every alert has its line in the runbook, and every step of the catalogue its permissions.</summary>
    [Fact]
    public async Task The_runbook_explains_every_alert_and_names_every_steps_permissions()
    {
        var runbook = await File.ReadAllTextAsync(Bicep.PathOf("README.md"), TestContext.Current.CancellationToken);
        var resources = await Bicep.ResourcesAsync("prod");
        var names = resources.Of("Microsoft.Insights/metricAlerts").Concat(resources.Of("Microsoft.Insights/scheduledQueryRules"))
            .Select(r => r.Name()["dingflow-prod-".Length..])
            .Select(n => n.StartsWith("stuck-", StringComparison.Ordinal) ? "stuck-QUEUE" : n.StartsWith("vault-", StringComparison.Ordinal) ? "vault-*" : n.Replace("-availability", "", StringComparison.Ordinal));
        Assert.All(names, name => Assert.Contains($"`{name}`", runbook, StringComparison.Ordinal));

        using var steps = JsonDocument.Parse(await File.ReadAllTextAsync(
            Path.Combine(Infrastructure.Repository.Root, "functions", "Offboarding", "Plans", "steps.json"), TestContext.Current.CancellationToken));
        Assert.All(steps.RootElement.GetProperty("steps").EnumerateArray(), step =>
        {
            var line = Assert.Single(runbook.Split('\n'), l => l.StartsWith($"| `{step.GetProperty("id").GetString()}`", StringComparison.Ordinal));
            Assert.All(step.GetProperty("permissions").EnumerateArray(), p => Assert.Contains($"`{p.GetString()}`", line, StringComparison.Ordinal));
        });
    }

    private static string ScopeOf(JsonElement assignment) =>
        assignment.Id()[..assignment.Id().LastIndexOf("/providers/Microsoft.Authorization/", StringComparison.OrdinalIgnoreCase)];

    private static string RoleOf(JsonElement assignment)
    {
        var id = assignment.Property("roleDefinitionId")!;
        return RoleNames()[id[(id.IndexOf(RoleDefinitions, StringComparison.OrdinalIgnoreCase) + RoleDefinitions.Length)..]];
    }

    private static Dictionary<string, string> RoleNames()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Bicep.PathOf("roles.json")));
        return document.RootElement.EnumerateObject().ToDictionary(r => r.Value.GetString()!, r => r.Name);
    }

    [GeneratedRegex("(?i)secret|password|webhook|token|connectionString|^.*key$")]
    private static partial Regex Secretive();
}
