using System.Security.Cryptography;
using DingFlow.Settings;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Transfers;

/// <summary>The ledger key: wrapped, rotated, backed up, restored, and refused when it is another.</summary>
public sealed class LedgerKeyTests
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void A_wrapped_key_opens_under_its_wrapping_key_wherever_that_stands_in_the_list()
    {
        var (old, fresh) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32));
        var wrapped = LedgerKeySetting.Wrap(Key, old);

        Assert.Equal(Key, Read(wrapped, fresh, old).Key);
        Assert.Equal(Key, Read(LedgerKeySetting.Wrap(Key, fresh), fresh).Key);
        Assert.DoesNotContain(Convert.ToBase64String(Key), wrapped, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_open_is_a_fault_that_names_the_setting_and_no_secret()
    {
        var wrapping = RandomNumberGenerator.GetBytes(32);
        var wrapped = LedgerKeySetting.Wrap(Key, wrapping);

        Assert.Contains("none of Pseudonyms:WrappingKeys", Assert.Single(Read(wrapped, RandomNumberGenerator.GetBytes(32)).Faults), StringComparison.Ordinal);
        Assert.Contains("is damaged", Assert.Single(Read(wrapped[..30] + (wrapped[30] == 'A' ? 'B' : 'A') + wrapped[31..], wrapping).Faults), StringComparison.Ordinal);
        Assert.Contains("is no wrapped key", Assert.Single(Read("wrapped:1:x", wrapping).Faults), StringComparison.Ordinal);
        Assert.StartsWith("Pseudonyms:WrappingKeys:0: must be base64", Read(Convert.ToBase64String(Key), new byte[16]) is var (_, none) && none.Count == 0
            ? Read(wrapped, new byte[16]).Faults[0] : none[0], StringComparison.Ordinal);
        Assert.StartsWith("Pseudonyms:LedgerKey: is missing", Read(null).Faults[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_backup_opens_with_its_pass_phrase_only()
    {
        var backup = LedgerKeyBackup.Parse(LedgerKeyBackup.Of(Key, "correct horse battery", DateTimeOffset.UnixEpoch).ToJson());

        Assert.Equal(Key, backup.Open("correct horse battery"));
        Assert.Equal(new PseudonymKey(Key).Id, backup.KeyId);
        Assert.Throws<InvalidDataException>(() => backup.Open("correct horse buttery"));
        Assert.Throws<InvalidDataException>(() => (backup with { KeyId = "0000000000000000" }).Open("correct horse battery"));
        Assert.Throws<InvalidDataException>(() => LedgerKeyBackup.Parse("{}"));
    }

    [Fact]
    public async Task A_key_restored_from_its_backup_counts_on_and_no_other_does()
    {
        using var directories = new DataDirectory();
        var (first, phrase, backup) = (Path.Combine(directories.Path, "first"), Path.Combine(directories.Path, "phrase"), Path.Combine(directories.Path, "backup.json"));
        Directory.CreateDirectory(first);
        await File.WriteAllTextAsync(phrase, "a phrase of some length\n", Cancellation);
        await using (var program = await DingFlowProcess.StartStandaloneAsync(dataDirectory: first))
        {
            using var sender = new TransferSender(program.CreateOperator());
            await sender.PostAsync(TransferSender.Record("t-1", "E1"));
            await program.TerminateAsync();
        }

        var said = await CommandAsync(first, "backup", "--file", backup, "--phrase-file", phrase);
        Assert.Equal(0, said.Code);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(backup));
        Assert.Equal(70, (await CommandAsync(first, "backup", "--file", backup, "--phrase-file", phrase)).Code);

        // The disk with the keys is lost; the ledger is not.
        File.Delete(Path.Combine(first, "keys.json"));
        await using (var without = await DingFlowProcess.StartStandaloneAsync(dataDirectory: first))
        {
            using var lost = new TransferSender(without.CreateOperator());
            await RefusesAsync(without, lost, "Pseudonyms:LedgerKey");
            await without.TerminateAsync();
        }

        Assert.Equal(70, (await CommandAsync(first, "restore", "--file", backup, "--phrase-file", phrase)).Code);
        File.Delete(Path.Combine(first, "keys.json"));
        Assert.Equal(0, (await CommandAsync(first, "restore", "--file", backup, "--phrase-file", phrase)).Code);
        await using var again = await DingFlowProcess.StartStandaloneAsync(dataDirectory: first);
        using var restored = new TransferSender(again.CreateOperator());
        await restored.PostAsync(TransferSender.Record("t-2", "E1"), TransferSender.Record("t-3", "E2"));
        Assert.Equal(2, (int)(await restored.CountersAsync("acme-zhuhai"))["subjects"]!);
        await again.TerminateAsync();

        // And with another number of shards nothing is counted, though webhooks are taken.
        await using var sharded = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string> { ["Transfers:Shards"] = "128" }, first);
        using var other = new TransferSender(sharded.CreateOperator());
        await RefusesAsync(sharded, other, "Transfers:Shards");
        await new HrSender(sharded.Client, "sandbox", sharded.HrSecret).AcceptedAsync(HrSender.Leaver("E9001"));
    }

    [Fact]
    public async Task The_wrapping_key_rotates_and_everybody_counts_on()
    {
        var (old, fresh) = (Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)), Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        using var directory = new DataDirectory();
        var settings = new Dictionary<string, string>
        {
            ["Pseudonyms:LedgerKey"] = Convert.ToBase64String(Key), ["Pseudonyms:WrappingKeys:0"] = old, ["DingFlow:DataDirectory"] = directory.Path,
        };
        var wrapped = (await CommandAsync(settings, "wrap")).Output.Trim();
        await CountAsync("t-1", "E1", 1);

        settings["Pseudonyms:LedgerKey"] = wrapped;
        await CountAsync("t-2", "E1", 1);
        (settings["Pseudonyms:WrappingKeys:0"], settings["Pseudonyms:WrappingKeys:1"]) = (fresh, old);
        settings["Pseudonyms:LedgerKey"] = (await CommandAsync(settings, "wrap")).Output.Trim();
        Assert.NotEqual(wrapped, settings["Pseudonyms:LedgerKey"]);
        settings.Remove("Pseudonyms:WrappingKeys:1");
        Assert.Contains($"ledger key {new PseudonymKey(Key).Id}, wrapped under {LedgerKeySetting.IdOf(Convert.FromBase64String(fresh))}", (await CommandAsync(settings, "show")).Output, StringComparison.Ordinal);
        await CountAsync("t-3", "E2", 2);

        async Task CountAsync(string id, string subject, int expected)
        {
            await using var program = await DingFlowProcess.StartStandaloneAsync(settings, directory.Path);
            using var sender = new TransferSender(program.CreateOperator());
            Assert.Equal(202, (await sender.PostAsync(TransferSender.Record(id, subject))).Status);
            Assert.Equal(expected, (int)(await sender.CountersAsync("acme-zhuhai"))["subjects"]!);
            await program.TerminateAsync();
        }
    }

    [Fact]
    public async Task The_command_says_how_it_is_used_and_what_is_missing()
    {
        using var directory = new DataDirectory();

        Assert.Equal(64, (await CommandAsync(directory.Path, "frobnicate")).Code);
        var missing = await CommandAsync(directory.Path, "show");
        Assert.Equal((78, "Pseudonyms:LedgerKey: is missing"), (missing.Code, missing.Errors.Trim()));
    }

    private static async Task RefusesAsync(DingFlowProcess program, TransferSender sender, string setting)
    {
        var answer = await sender.PostAsync(TransferSender.Record("t-9", "E9"));
        answer.IsProblem(503, "unavailable");
        Assert.Contains(setting, answer.Text, StringComparison.Ordinal);
        (await sender.Client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=acme-zhuhai")).IsProblem(503, "unavailable");
        var ready = await sender.Client.AskAsync(HttpMethod.Get, "/api/health/ready");
        Assert.Equal(503, ready.Status);
        Assert.Contains(setting, ready.Text, StringComparison.Ordinal);
        await Eventually.IsTrueAsync(
            () => Task.FromResult((program.Output + program.Errors).Contains($"No transfer is recorded or counted: {setting}", StringComparison.Ordinal)), () => "the reason in the log", Cancellation);
    }

    private static (byte[]? Key, IReadOnlyList<string> Faults) Read(string? value, params byte[][] wrappingKeys)
    {
        var settings = new Dictionary<string, string?> { ["Pseudonyms:LedgerKey"] = value };
        for (var i = 0; i < wrappingKeys.Length; i++)
        {
            settings[$"Pseudonyms:WrappingKeys:{i}"] = Convert.ToBase64String(wrappingKeys[i]);
        }

        var faults = new SettingsFaults();
        return (LedgerKeySetting.Read(new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), faults, required: true), faults.All);
    }

    private static Task<(int Code, string Output, string Errors)> CommandAsync(string directory, params string[] args) =>
        CommandAsync(new Dictionary<string, string> { ["DingFlow:DataDirectory"] = directory }, args);

    private static async Task<(int Code, string Output, string Errors)> CommandAsync(Dictionary<string, string> settings, params string[] args)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        var code = await LedgerKeyCommand.RunAsync([.. args, .. settings.Select(setting => $"--{setting.Key}={setting.Value}")], output, errors);
        return (code, output.ToString(), errors.ToString());
    }
}
