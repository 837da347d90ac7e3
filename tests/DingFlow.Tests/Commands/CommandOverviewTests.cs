using System.Text.RegularExpressions;
using DingFlow.Audit;
using DingFlow.Commands;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;

namespace DingFlow.Tests.Commands;

/// <summary>Who asks what commands there are, or mistypes one, is told, and starts nothing.</summary>
public sealed partial class CommandOverviewTests
{
    [Theory]
    [InlineData(0, "--help")]
    [InlineData(0, "-h")]
    [InlineData(0, "-?")]
    [InlineData(0, "help")]
    [InlineData(0, "help", "audit")]
    [InlineData(64, "adit", "check", "proof.json")]
    [InlineData(64, "Backup", "export", "file")]
    [InlineData(64, "start")]
    public void What_asks_for_the_overview_or_is_no_command_is_answered_with_it(int code, params string[] args) =>
        Assert.Equal(code, CommandOverview.ExitCodeOf(args));

    [Theory]
    [InlineData]
    [InlineData("")]
    [InlineData("--urls", "http://127.0.0.1:0")]
    [InlineData("--DingFlow:DataDirectory=data")]
    [InlineData("/DingFlow:DataDirectory", "data")]
    [InlineData("DingFlow:DataDirectory=data")]
    [InlineData("audit")]
    [InlineData("audit", "--help")]
    [InlineData("backup", "recount")]
    [InlineData("ledger-key", "show")]
    public void Settings_start_the_program_and_commands_answer_for_themselves(params string[] args) =>
        Assert.Null(CommandOverview.ExitCodeOf(args));

    [Fact]
    public void The_overview_has_one_line_for_each_command_that_the_commands_themselves_know()
    {
        var known = string.Join('\n', AuditCommand.Help, BackupCommand.Usage, LedgerKeyCommand.Help);
        var commands = CommandsIn().Matches(known).Select(static match => match.Value).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(11, commands.Count);
        Assert.Equal(commands, CommandsIn().Matches(CommandOverview.Text).Select(static match => match.Value).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(0, "--help")]
    [InlineData(0, "-h")]
    [InlineData(0, "help")]
    [InlineData(64, "bakcup", "export", "file")]
    public async Task The_program_prints_it_and_makes_nothing(int code, params string[] args)
    {
        await using var program = DingFlowProcess.Standalone();
        Assert.Equal(code, await program.RunToEndAsync(args));

        Assert.Contains("DingFlow backup recount", code == 0 ? program.Output : program.Errors, StringComparison.Ordinal);
        Assert.Empty(code == 0 ? program.Errors : program.Output);
        Assert.Empty(Directory.GetFileSystemEntries(program.DataDirectory));
    }

    [Fact]
    public async Task A_setting_on_the_command_line_still_starts_it()
    {
        await using var program = DingFlowProcess.Standalone();
        var data = Path.Combine(program.DataDirectory, "elsewhere");
        await program.StartAsync("--DingFlow:DataDirectory", data);

        Assert.True(await program.AnswersAsync());
        Assert.True(File.Exists(Path.Combine(data, "dingflow.db")));
    }

    [GeneratedRegex("^DingFlow [a-z-]+ [a-z-]+", RegexOptions.Multiline)]
    private static partial Regex CommandsIn();
}
