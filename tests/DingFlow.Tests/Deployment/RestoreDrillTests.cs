using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Deployment;

/// <summary>The restore drill on a store that the real program filled: export, wipe, import, recount; and what is restored still works.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class RestoreDrillTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_counted_and_what_was_accepted_is_there_after_the_drill()
    {
        using var script = new Script().Variable("DINGFLOW_PROGRAM", Path.Combine(AppContext.BaseDirectory, "DingFlow"));
        var live = Directory.CreateTempSubdirectory("dingflow-live-").FullName;
        var drill = Directory.CreateTempSubdirectory("dingflow-drill-").FullName;
        try
        {
            string before;
            await using (var program = await DingFlowProcess.StartStandaloneAsync(dataDirectory: live))
            {
                using var client = program.CreateOperator();
                using var answer = await client.PostAsync("/api/transfers", new StringContent(Records(40), Encoding.UTF8, "application/json"), Token);
                Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Token));
                before = await CountersAsync(client);
                Assert.Contains("\"subjects\":40", before, StringComparison.Ordinal);

                // The data directory belongs to the running program.
                Assert.NotEqual(0, await script.Variable("DINGFLOW_DRILL_DIRECTORY", drill).RunAsync("restore-drill.sh", "", "standalone", live));
                Assert.Contains("in use by another DingFlow process", script.Errors, StringComparison.Ordinal);
                Assert.Equal(0, await program.TerminateAsync());
            }

            var folder = Path.Combine(drill, "second");
            Assert.True(await script.Variable("DINGFLOW_DRILL_DIRECTORY", folder).RunAsync("restore-drill.sh", "", "standalone", live) == 0, script.Errors);

            var report = await File.ReadAllTextAsync(Path.Combine(folder, "report.txt"), Token);
            Assert.Contains("acme-zhuhai: 40 subjects, counters agree", report, StringComparison.Ordinal);
            Assert.Contains("The store holds what the backup holds.", report, StringComparison.Ordinal);
            Assert.Contains("Restored and recounted, the same", report, StringComparison.Ordinal);
            await using var restored = await DingFlowProcess.StartStandaloneAsync(dataDirectory: Path.Combine(folder, "restored"));
            using var again = restored.CreateOperator();
            Assert.Equal(before, await CountersAsync(again));
            // The same batch sent once more is known: nobody is counted twice.
            using var repeated = await again.PostAsync("/api/transfers", new StringContent(Records(40), Encoding.UTF8, "application/json"), Token);
            Assert.True(repeated.IsSuccessStatusCode);
            Assert.Equal(before, await CountersAsync(again));
        }
        finally
        {
            Directory.Delete(live, recursive: true);
            Directory.Delete(drill, recursive: true);
        }
    }

    [Fact]
    public async Task In_Azure_the_drill_restores_into_a_scratch_account_that_goes_again()
    {
        using var script = new Script()
            .StandIn("az", """
                case "$*" in
                  "deployment group show"*) case "$*" in *appName*) echo app;; *vaultName*) echo vault;; *) echo dfproddata;; esac ;;
                  "cloud show"*) echo core.windows.net ;;
                  "ad signed-in-user"*) echo me ;;
                  "storage account show"*) echo /scratch ;;
                  "functionapp config appsettings list"*) printf 'Transfers__Shards\t128\nKeyVault__Uri\thttps://vault.vault.azure.net/\nAzureWebJobsStorage__credential\tmanagedidentity\n' ;;
                esac
                """)
            .StandIn("DingFlowStandIn", """
                case "$2" in import) n=$(cat "$STATE/tries" 2> /dev/null || echo 0); echo $((n + 1)) > "$STATE/tries"; [ "$n" -ge 1 ] || exit 1;; recount) echo "acme: 1 subjects, counters agree";; esac
                """)
            .Variable("DINGFLOW_PROGRAM", "DingFlowStandIn").Variable("DINGFLOW_STOP", "1");
        script.Variable("DINGFLOW_DRILL_DIRECTORY", Path.Combine(script.State, "drill"));

        Assert.True(await script.RunAsync("restore-drill.sh", "", "azure", "prod") == 0, script.Errors);

        var calls = script.Calls.ToList();
        var program = calls.Where(c => c.StartsWith("DingFlowStandIn", StringComparison.Ordinal)).ToList();
        Assert.Equal(["export", "import", "import", "verify", "recount"], program.Select(c => c.Split(' ')[2]));
        // What is live is only read.
        Assert.Contains("--Storage:TableServiceUri=https://dfproddata.table.core.windows.net", program[0], StringComparison.Ordinal);
        Assert.All(program.Skip(1), c => Assert.Matches("--Storage:TableServiceUri=https://dfdrill[0-9a-f]{12}.table.core.windows.net", c));
        Assert.All(program, c => Assert.Contains("--Transfers:Shards=128", c, StringComparison.Ordinal));
        Assert.All(program, c => Assert.DoesNotContain("AzureWebJobs", c, StringComparison.Ordinal));
        Assert.Contains(calls, c => c.StartsWith("az storage account create", StringComparison.Ordinal) && c.Contains("--allow-shared-key-access false", StringComparison.Ordinal));
        Assert.StartsWith("az storage account delete", calls[^2], StringComparison.Ordinal);
        Assert.StartsWith("az functionapp start", calls[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_drill_that_fails_leaves_no_account_and_no_stopped_app()
    {
        using var script = new Script()
            .StandIn("az", """
                case "$*" in
                  "deployment group show"*) echo name ;;
                  "functionapp config appsettings list"*) printf 'KeyVault__Uri\thttps://vault.vault.azure.net/\n' ;;
                  *) echo x ;;
                esac
                """)
            .StandIn("DingFlowStandIn", "[ \"$2\" != export ]")
            .Variable("DINGFLOW_PROGRAM", "DingFlowStandIn").Variable("DINGFLOW_STOP", "1");
        script.Variable("DINGFLOW_DRILL_DIRECTORY", Path.Combine(script.State, "drill"));

        Assert.NotEqual(0, await script.RunAsync("restore-drill.sh", "", "azure", "prod"));

        Assert.StartsWith("az storage account delete", script.Calls[^2], StringComparison.Ordinal);
        Assert.StartsWith("az functionapp start", script.Calls[^1], StringComparison.Ordinal);
    }

    private static async Task<string> CountersAsync(HttpClient client)
    {
        using var document = await JsonDocument.ParseAsync(await client.GetStreamAsync("/api/transfers/counters?exporter=acme-zhuhai&year=2026", Token), cancellationToken: Token);
        return string.Concat(document.RootElement.EnumerateObject().Where(p => p.Name is "subjects" or "counters").Select(p => $"\"{p.Name}\":{p.Value.GetRawText()}"));
    }

    private static string Records(int count) => $"[{string.Join(',', Enumerable.Range(1, count).Select(i => $$"""
        {"id":"t-{{i}}","occurredAt":"2026-11-22T09:00:00+08:00","exporter":"acme-zhuhai","subject":{"type":"employeeId","id":"E{{i}}"},
         "fields":["name","mobile"],"origin":"CN","destination":"SG","recipient":"acme-sg","purpose":"payroll","legalBasis":"contract","method":"api","system":"hr"}
        """))}]";
}
