using DingFlow.Hosting;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Transfers;

/// <summary>
/// <c>DingFlow ledger-key show | wrap | backup | restore</c>: what an operator does with the ledger key beside the running program, with the
/// same settings. Nothing secret is printed; what is secret goes into files of mode 0600.
/// </summary>
internal static class LedgerKeyCommand
{
    /// <summary>The command's name: the first argument.</summary>
    public const string Name = "ledger-key";

    private const int Success = 0;
    private const int Usage = 64;

    internal const string Help = """
        DingFlow ledger-key show
            Says which ledger key the settings hold, and under which key it is wrapped.
        DingFlow ledger-key wrap
            Prints the ledger key wrapped under Pseudonyms:WrappingKeys:0: the new value of Pseudonyms:LedgerKey.
        DingFlow ledger-key backup --file <path> --phrase-file <path>
            Writes the ledger key into a file, under the pass phrase in the first line of the phrase file (12 characters or more).
        DingFlow ledger-key restore --file <path> --phrase-file <path> [--wrapped-to <path>]
            Standalone, puts the key of a backup into the data directory, unless another is there. With --wrapped-to it writes it, wrapped
            under Pseudonyms:WrappingKeys:0, into a file instead: the value of Pseudonyms:LedgerKey for a vault.
        """;

    /// <summary>Runs the command. Returns the exit code.</summary>
    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter errors)
    {
        var faults = new SettingsFaults();
        var (options, settings) = Split(args.Length > 0 ? args[1..] : []);
        var configuration = new ConfigurationManager();
        ProgramConfiguration.Add(configuration, [.. settings], faults);
        configuration.AddKeyVaultSecrets(faults);
        var hosting = HostingOptions.ModeOf(configuration);
        var directory = HostingOptions.DataDirectoryOf(configuration);
        try
        {
            switch (args.FirstOrDefault(), options)
            {
                case ("restore", { File: { } file, Phrase: { } phrase }):
                    await RestoreAsync(file, phrase, options.WrappedTo, configuration, directory, faults, output);
                    break;
                case ("backup", { File: { } file, Phrase: { } phrase }):
                    await BackupAsync(file, phrase, Key(configuration, hosting, directory, faults), output);
                    break;
                case ("wrap", _):
                    await output.WriteLineAsync(LedgerKeySetting.Wrap(Key(configuration, hosting, directory, faults), WrappingKey(configuration, faults)));
                    break;
                case ("show", _):
                    await ShowAsync(configuration, Key(configuration, hosting, directory, faults), output);
                    break;
                default:
                    await errors.WriteLineAsync(Help);
                    return Usage;
            }

            return Success;
        }
        catch (SettingsException exception)
        {
            foreach (var fault in exception.Faults)
            {
                await errors.WriteLineAsync(fault);
            }

            return ProcessLifetime.SettingsExitCode;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            await errors.WriteLineAsync(exception.Message);
            return ProcessLifetime.FailureExitCode;
        }
    }

    private static async Task ShowAsync(ConfigurationManager configuration, byte[] key, TextWriter output)
    {
        var value = configuration[LedgerKeySetting.Name] ?? "";
        await output.WriteLineAsync($"ledger key {new PseudonymKey(key).Id}, "
            + (LedgerKeySetting.IsWrapped(value) ? $"wrapped under {value.Split(':')[2]}" : "not wrapped"));
    }

    private static async Task BackupAsync(string file, string phraseFile, byte[] key, TextWriter output)
    {
        if (File.Exists(file))
        {
            throw new IOException($"{file} exists; a backup is never overwritten.");
        }

        var phrase = await PhraseAsync(phraseFile);
        var backup = LedgerKeyBackup.Of(key, phrase, TimeProvider.System.GetUtcNow());
        PrivateFiles.Write(file, backup.ToJson());
        await output.WriteLineAsync($"ledger key {backup.KeyId} is in {file}. Keep it and its pass phrase apart from the data, and from each other.");
    }

    private static async Task RestoreAsync(
        string file, string phraseFile, string? wrappedTo, ConfigurationManager configuration, string directory, SettingsFaults faults, TextWriter output)
    {
        var key = LedgerKeyBackup.Parse(await File.ReadAllTextAsync(file)).Open(await PhraseAsync(phraseFile));
        var id = new PseudonymKey(key).Id;
        if (wrappedTo is not null)
        {
            PrivateFiles.Write(wrappedTo, LedgerKeySetting.Wrap(key, WrappingKey(configuration, faults)));
            await output.WriteLineAsync($"ledger key {id}, wrapped, is in {wrappedTo}. Store it as {LedgerKeySetting.Name}.");
            return;
        }

        if (HostingOptions.ModeOf(configuration) != HostMode.Standalone || !string.IsNullOrWhiteSpace(configuration[LedgerKeySetting.Name]))
        {
            throw new InvalidDataException($"{LedgerKeySetting.Name} is set elsewhere than in the data directory; use --wrapped-to and replace it there.");
        }

        GeneratedKeys.Restore(directory, LedgerKeySetting.Name, Convert.ToBase64String(key));
        await output.WriteLineAsync($"ledger key {id} is in {directory}.");
    }

    /// <summary>The key of the settings; standalone, of the data directory. None is generated.</summary>
    private static byte[] Key(ConfigurationManager configuration, HostMode mode, string directory, SettingsFaults faults)
    {
        if (mode == HostMode.Standalone && string.IsNullOrWhiteSpace(configuration[LedgerKeySetting.Name])
            && GeneratedKeys.Find(directory, LedgerKeySetting.Name) is { } kept)
        {
            ProgramConfiguration.AddLowest(configuration, new Dictionary<string, string?> { [LedgerKeySetting.Name] = kept });
        }

        var key = LedgerKeySetting.Read(configuration, faults, required: true);
        faults.ThrowIfAny();
        return key!;
    }

    private static byte[] WrappingKey(ConfigurationManager configuration, SettingsFaults faults)
    {
        var keys = LedgerKeySetting.ReadWrappingKeys(configuration, faults);
        if (keys.Count == 0)
        {
            faults.Add("Pseudonyms:WrappingKeys:0", "is missing: base64 of 32 random bytes");
        }

        faults.ThrowIfAny();
        return keys[0];
    }

    private static async Task<string> PhraseAsync(string file)
    {
        using var reader = new StreamReader(file);
        return await reader.ReadLineAsync() is { Length: >= LedgerKeyBackup.ShortestPhrase } phrase
            ? phrase
            : throw new InvalidDataException($"The first line of {file} must be a pass phrase of {LedgerKeyBackup.ShortestPhrase} characters or more.");
    }

    private static (Paths Paths, List<string> Settings) Split(string[] args)
    {
        var (paths, settings) = (new Paths(null, null, null), new List<string>());
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : null;
            switch (args[i])
            {
                case "--file":
                    paths = paths with { File = value };
                    i++;
                    break;
                case "--phrase-file":
                    paths = paths with { Phrase = value };
                    i++;
                    break;
                case "--wrapped-to":
                    paths = paths with { WrappedTo = value };
                    i++;
                    break;
                default:
                    settings.Add(args[i]);
                    break;
            }
        }

        return (paths, settings);
    }

    private sealed record Paths(string? File, string? Phrase, string? WrappedTo);
}
