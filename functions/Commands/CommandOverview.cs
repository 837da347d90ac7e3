using DingFlow.Audit;
using DingFlow.Transfers;

namespace DingFlow.Commands;

/// <summary>
/// <c>DingFlow --help</c>: which commands there are. It is also the answer to a first word that is no command: whoever mistypes one must
/// not start a program that serves.
/// </summary>
internal static class CommandOverview
{
    /// <summary>The exit code for a word that is no command, as the commands use it for what they do not understand.</summary>
    public const int Misused = 64;

    internal const string Text = """
        DingFlow                                     runs the program until it is told to stop
        DingFlow audit check FILE                    checks the proof of one entry of the audit trail
        DingFlow audit verify-archive DIRECTORY      verifies every archived day of the audit trail from its files alone
        DingFlow audit restore DIRECTORY             verifies an archive, then restores what the store does not have
        DingFlow backup export FILE                  writes every row of the store into a file
        DingFlow backup import FILE                  puts the rows of a file into the store
        DingFlow backup verify FILE                  says how the store differs from a file
        DingFlow backup recount                      says whether the ledger's counters are what its rows say
        DingFlow ledger-key show                     says which ledger key the settings hold
        DingFlow ledger-key wrap                     prints the ledger key wrapped for a vault
        DingFlow ledger-key backup                   writes the ledger key into a file, under a pass phrase
        DingFlow ledger-key restore                  puts the ledger key of a backup in its place
        DingFlow --help                              prints this
        A command without more words says all that it takes. Settings may follow as --Name=value.
        """;

    /// <summary>Whether the overview is the answer to a command line, and with which exit code; <see langword="null"/>: it is not.</summary>
    /// <param name="args">The arguments. What begins with a dash or a slash, or has an equals sign, is a setting.</param>
    public static int? ExitCodeOf(IReadOnlyList<string> args) => args switch
    {
        ["--help" or "-h" or "-?" or "help", ..] => 0,
        [AuditCommand.Name or BackupCommand.Name or LedgerKeyCommand.Name, ..] => null,
        [{ Length: > 0 } word, ..] when word[0] is not ('-' or '/') && !word.Contains('=', StringComparison.Ordinal) => Misused,
        _ => null,
    };
}
