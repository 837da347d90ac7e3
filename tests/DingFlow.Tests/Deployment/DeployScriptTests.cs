using System.Diagnostics;
using System.Runtime.Versioning;

namespace DingFlow.Tests.Deployment;

/// <summary>The deployment script against a stand-in for <c>az</c> that remembers secrets, packages and what it was asked.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DeployScriptTests : IDisposable
{
    private const string Vault = "dingflow-dev-vault";

    private readonly Script _script = new Script()
        .StandIn("az", """
            mkdir -p "$STATE/secrets" "$STATE/blobs"
            value() { local name=$1; shift; while [ $# -gt 0 ]; do [ "$1" = "$name" ] && { printf '%s' "$2"; return; }; shift; done; }
            case "$*" in
              "cloud show"*) echo "${CLOUD:-AzureCloud}" ;;
              "group exists"*) [ -e "$STATE/group" ] && echo true || echo false ;;
              "group create"*) touch "$STATE/group" ;;
              "group show"*) echo eastasia ;;
              "functionapp list-flexconsumption-locations"*) printf 'West Europe\n%s\n' "${FLEX:-East Asia}" ;;
              "deployment group create"*) touch "$STATE/deployed" ;;
              "deployment group show"*) [ -e "$STATE/deployed" ] || exit 3
                 case "$*" in *outputs.appName*) echo app;; *outputs.appHost*) echo app.example;; *outputs.vaultName*) echo dingflow-dev-vault;; *) echo dfdevhost;; esac ;;
              "keyvault secret list"*) [ -z "${VAULT_DOWN:-}" ] || { echo "Forbidden" >&2; exit 1; }; ls "$STATE/secrets" ;;
              "keyvault secret show"*) cat "$STATE/secrets/$(value --name "$@")" ;;
              "keyvault secret set"*) cp "$(value --file "$@")" "$STATE/secrets/$(value --name "$@")"
                 stat -c '%a' "$(value --file "$@")" >> "$STATE/modes" ;;
              "functionapp deployment source config-zip"*) basename "$(value --src "$@")" > "$STATE/running"; echo "$(cat "$STATE/running")" >> "$STATE/deployments" ;;
              "functionapp config appsettings list"*) printf 'KeyVault__Uri\n%s\n' "${DIRECTORY-Sandbox__Enabled}" ;;
              "storage blob list"*) ls "$STATE/blobs" ;;
              "storage blob upload"*) cp "$(value --file "$@")" "$STATE/blobs/$(value --name "$@")" ;;
              "storage blob download"*) cp "$STATE/blobs/$(value --name "$@")" "$(value --file "$@")" ;;
              "storage container metadata show"*) cat "$STATE/current" 2> /dev/null || true ;;
              "storage container metadata update"*) m=$(value --metadata "$@"); printf '%s\n' "${m#current=}" > "$STATE/current" ;;
            esac
            """)
        .StandIn("dotnet", """
            while [ $# -gt 0 ]; do [ "$1" = -o ] && { mkdir -p "$2"; printf '#!/bin/sh\n' > "$2/DingFlow"; chmod +x "$2/DingFlow"; echo {} > "$2/host.json"; }; shift; done
            """)
        .StandIn("zip", """
            for a in "$@"; do case "$a" in *.zip) echo package > "$a";; esac; done
            """)
        .StandIn("git", """
            case "$*" in *rev-parse*) echo "${COMMIT:-aaaaaaaaaaaa}";; esac
            """)
        .StandIn("date", """
            n=$(cat "$STATE/clock" 2> /dev/null || echo 0); n=$((n + 1)); echo $n > "$STATE/clock"; printf '2026112209%04d\n' "$n"
            """)
        .StandIn("curl", """
            broken=$(cat "$STATE/broken" 2> /dev/null || true)
            case "$*" in
              */api/health/live*) if [ -n "$broken" ] && grep -q "$broken" "$STATE/running"; then printf 503; else printf 200; fi ;;
              */api/offboarding*) printf '%s' "${STRANGER:-401}" ;;
              */api/health/ready*) cat > /dev/null; printf '{"status":"ok"}\n200' ;;
            esac
            """)
        .Variable("DINGFLOW_LOCATION", "eastasia");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _script.Dispose();

    [Fact]
    public async Task One_command_deploys_everything_and_running_it_again_changes_no_key()
    {
        Assert.True(await _script.RunAsync("deploy.sh", "", "up", "dev") == 0, _script.Errors);

        var order = new[] { "az group create", "az deployment group what-if", "az deployment group create", "az keyvault secret set", "dotnet publish", "az functionapp deployment source config-zip", "curl", "az storage blob upload" };
        Assert.Equal(order, order.OrderBy(step => _script.Calls.ToList().FindIndex(call => call.StartsWith(step, StringComparison.Ordinal))));
        Assert.All(order, step => Assert.Contains(_script.Calls, call => call.StartsWith(step, StringComparison.Ordinal)));
        var secrets = Secrets();
        Assert.Equal(
            ["Auth--ApiKeys--ops--Hash", "Auth--ApiKeys--ops--Roles", "Deliveries--EncryptionKey", "Pseudonyms--LedgerKey"], secrets.Keys.Order());
        Assert.Equal(32, Convert.FromBase64String(secrets["Pseudonyms--LedgerKey"]).Length);
        Assert.NotEqual(secrets["Pseudonyms--LedgerKey"], secrets["Deliveries--EncryptionKey"]);
        var key = await File.ReadAllTextAsync(Path.Combine(_script.RepositoryRoot, ".dingflow", "dev-api-key"), Token);
        Assert.Equal($"sha256:{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key)))}", secrets["Auth--ApiKeys--ops--Hash"]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_script.RepositoryRoot, ".dingflow", "dev-api-key")));

        _script.Forget();
        Assert.True(await _script.RunAsync("deploy.sh", "", "up", "dev") == 0, _script.Errors);

        Assert.Equal(secrets, Secrets());
        Assert.DoesNotContain(_script.Calls, call => call.StartsWith("az group create", StringComparison.Ordinal) || call.Contains("secret set", StringComparison.Ordinal));
    }

    [Fact]
    public async Task No_secret_is_an_argument_and_its_file_is_private_and_gone()
    {
        await _script.RunAsync("deploy.sh", "", "up", "dev");
        Assert.True(await _script.RunAsync("deploy.sh", "corp\nkey\ntop-secret-1\ntoken\naes\n", "dingtalk", "dev", "zhuhai") == 0, _script.Errors);
        Assert.True(await _script.RunAsync("deploy.sh", "whsec_top-secret-2\n", "hr", "dev", "acme", "standard") == 0, _script.Errors);
        Assert.True(await _script.RunAsync("deploy.sh", "top-secret-3", "secret", "dev", "Entra:ClientSecret") == 1, "a line without its end is no line");
        Assert.True(await _script.RunAsync("deploy.sh", "top-secret-3\n", "secret", "dev", "Entra:ClientSecret") == 0, _script.Errors);

        var secrets = Secrets();
        Assert.Equal("top-secret-1", secrets["DingTalk--Tenants--zhuhai--AppSecret"]);
        Assert.Equal("corp", secrets["DingTalk--Tenants--zhuhai--CorpId"]);
        Assert.Equal("aes", secrets["DingTalk--Tenants--zhuhai--AesKey"]);
        Assert.Equal(("standard", "whsec_top-secret-2"), (secrets["HrSources--acme--Dialect"], secrets["HrSources--acme--Secrets--0"]));
        Assert.Equal("top-secret-3", secrets["Entra--ClientSecret"]);
        Assert.DoesNotContain(_script.Calls, call => secrets.Values.Any(value => value.Length > 12 && !value.Contains(',', StringComparison.Ordinal) && call.Contains(value, StringComparison.Ordinal)));
        Assert.DoesNotContain("top-secret", _script.Errors, StringComparison.Ordinal);
        Assert.All(await File.ReadAllLinesAsync(Path.Combine(_script.State, "modes"), Token), mode => Assert.Equal("600", mode));
        Assert.All(
            _script.Calls.Where(c => c.Contains("secret set", StringComparison.Ordinal)).Select(c => c[(c.IndexOf("--file ", StringComparison.Ordinal) + 7)..].Split(' ')[0]),
            file => Assert.False(File.Exists(file)));
    }

    [Fact]
    public async Task Rotating_the_secret_of_an_HR_source_keeps_the_one_before_valid()
    {
        await _script.RunAsync("deploy.sh", "", "infra", "dev");
        await _script.RunAsync("deploy.sh", "whsec_first\n", "hr", "dev", "acme", "standard");
        Assert.True(await _script.RunAsync("deploy.sh", "whsec_second\n", "hr", "dev", "acme", "standard") == 0, _script.Errors);

        Assert.Equal(("whsec_second", "whsec_first"), (Secrets()["HrSources--acme--Secrets--0"], Secrets()["HrSources--acme--Secrets--1"]));
    }

    [Fact]
    public async Task Without_a_secret_one_is_made_for_a_source_of_the_standard_dialect()
    {
        await _script.RunAsync("deploy.sh", "", "infra", "dev");
        Assert.True(await _script.RunAsync("deploy.sh", "\n", "hr", "dev", "acme", "standard") == 0, _script.Errors);

        var made = Secrets()["HrSources--acme--Secrets--0"];
        Assert.StartsWith("whsec_", made, StringComparison.Ordinal);
        Assert.Equal(32, Convert.FromBase64String(made["whsec_".Length..]).Length);
        Assert.Contains($"give it to the HR system: {made}", _script.Errors, StringComparison.Ordinal);
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "\n", "hr", "dev", "other", "bamboohr"));
    }

    [Fact]
    public async Task A_vault_that_cannot_be_read_is_never_taken_for_an_empty_one()
    {
        await _script.RunAsync("deploy.sh", "", "infra", "dev");
        _script.Variable("VAULT_DOWN", "1");

        Assert.NotEqual(0, await _script.RunAsync("deploy.sh", "", "keys", "dev"));

        Assert.Empty(Secrets());
        Assert.Contains($"the vault {Vault} cannot be read", _script.Errors, StringComparison.Ordinal);
        Assert.Equal(3, _script.Calls.Count(call => call.StartsWith("az keyvault secret list", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_package_that_does_not_answer_is_rolled_back()
    {
        _script.Variable("COMMIT", "good");
        Assert.True(await _script.RunAsync("deploy.sh", "", "up", "dev") == 0, _script.Errors);
        var good = await ReadAsync("current");
        _script.Variable("COMMIT", "worse");
        await File.WriteAllTextAsync(Path.Combine(_script.State, "broken"), "worse", Token);

        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "publish", "dev"));

        Assert.Contains($"rolled back to {good}", _script.Errors, StringComparison.Ordinal);
        Assert.Equal(good, await ReadAsync("running"));
        Assert.Equal(good, await ReadAsync("current"));
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.Combine(_script.State, "blobs")), file => file.Contains("worse", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_program_that_lets_strangers_in_is_no_release()
    {
        _script.Variable("STRANGER", "200");

        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "up", "dev"));

        Assert.Contains("answers a stranger with 200, not 401", _script.Errors, StringComparison.Ordinal);
        Assert.Contains("this was the first package", _script.Errors, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_script.State, "blobs")));
    }

    [Fact]
    public async Task Without_a_directory_nothing_is_published()
    {
        _script.Variable("DIRECTORY", "");
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "up", "dev"));
        Assert.Contains("no directory yet: infra/deploy.sh dingtalk dev TENANT", _script.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(_script.Calls, call => call.StartsWith("dotnet", StringComparison.Ordinal));

        await _script.RunAsync("deploy.sh", "a\nb\nc\nd\ne\n", "dingtalk", "dev", "zhuhai");
        Assert.True(await _script.RunAsync("deploy.sh", "", "publish", "dev") == 0, _script.Errors);
    }

    [Fact]
    public async Task An_operator_goes_back_one_release_or_to_a_named_one()
    {
        foreach (var commit in new[] { "one", "two", "three" })
        {
            _script.Variable("COMMIT", commit);
            Assert.True(await _script.RunAsync("deploy.sh", "", commit == "one" ? "up" : "publish", "dev") == 0, _script.Errors);
        }

        Assert.True(await _script.RunAsync("deploy.sh", "", "rollback", "dev") == 0, _script.Errors);
        Assert.EndsWith("-two.zip", await ReadAsync("running"), StringComparison.Ordinal);
        Assert.True(await _script.RunAsync("deploy.sh", "", "rollback", "dev") == 0, _script.Errors);
        Assert.EndsWith("-one.zip", await ReadAsync("running"), StringComparison.Ordinal);
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "rollback", "dev"));
        Assert.Contains("no package is older", _script.Errors, StringComparison.Ordinal);

        var three = Path.GetFileName(Directory.EnumerateFiles(Path.Combine(_script.State, "blobs")).Single(f => f.EndsWith("-three.zip", StringComparison.Ordinal)));
        Assert.True(await _script.RunAsync("deploy.sh", "", "rollback", "dev", three) == 0, _script.Errors);
        Assert.Equal(three, await ReadAsync("current"));
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "rollback", "dev", "unknown.zip"));
    }

    [Fact]
    public async Task Nothing_is_changed_where_nobody_agrees_or_the_ground_is_wrong()
    {
        _script.Variable("DINGFLOW_YES", "");
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "infra", "dev"));
        Assert.Contains("nobody to ask", _script.Errors, StringComparison.Ordinal);

        _script.Variable("DINGFLOW_YES", "1").Variable("FLEX", "North Europe");
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "infra", "dev"));
        Assert.Contains("there is no Flex Consumption in eastasia", _script.Errors, StringComparison.Ordinal);

        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "infra", "china"));
        Assert.Contains("az cloud set --name AzureChinaCloud", _script.Errors, StringComparison.Ordinal);

        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "infra", "nosuch"));
        Assert.Equal(1, await _script.RunAsync("deploy.sh", "", "smoke", "dev"));
        Assert.Contains("not deployed", _script.Errors, StringComparison.Ordinal);
        Assert.Equal(2, await _script.RunAsync("deploy.sh", "", "dance", "dev"));
        Assert.DoesNotContain(_script.Calls, call => call.StartsWith("az deployment group create", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Azure_China_is_deployed_without_asking_for_Flex_Consumption()
    {
        _script.Variable("CLOUD", "AzureChinaCloud");

        Assert.True(await _script.RunAsync("deploy.sh", "", "infra", "china") == 0, _script.Errors);

        Assert.DoesNotContain(_script.Calls, call => call.Contains("list-flexconsumption-locations", StringComparison.Ordinal));
        Assert.Contains(_script.Calls, call => call.StartsWith("az deployment group create", StringComparison.Ordinal) && call.Contains("main.china.bicepparam", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("deploy.sh")]
    [InlineData("restore-drill.sh")]
    public async Task The_shell_understands_the_scripts(string script)
    {
        var path = Bicep.PathOf(script);
        Assert.True(File.GetUnixFileMode(path).HasFlag(UnixFileMode.UserExecute));
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", path]) { RedirectStandardError = true })!;
        await bash.WaitForExitAsync(Token);
        Assert.True(bash.ExitCode == 0, await bash.StandardError.ReadToEndAsync(Token));
    }

    [Fact]
    public async Task ShellCheck_has_nothing_to_say()
    {
        Assert.SkipUnless(
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "shellcheck"))), "shellcheck is not installed.");
        using var check = Process.Start(new ProcessStartInfo("shellcheck", [Bicep.PathOf("deploy.sh"), Bicep.PathOf("restore-drill.sh")]) { RedirectStandardOutput = true })!;
        var output = await check.StandardOutput.ReadToEndAsync(Token);
        await check.WaitForExitAsync(Token);
        Assert.True(check.ExitCode == 0, output);
    }

    private Dictionary<string, string> Secrets() => !Directory.Exists(Path.Combine(_script.State, "secrets")) ? [] : Directory
        .EnumerateFiles(Path.Combine(_script.State, "secrets")).ToDictionary(f => Path.GetFileName(f), f => File.ReadAllText(f));

    private async Task<string> ReadAsync(string file) => (await File.ReadAllTextAsync(Path.Combine(_script.State, file), Token)).Trim();
}
