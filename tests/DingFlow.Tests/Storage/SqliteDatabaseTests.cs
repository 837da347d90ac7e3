using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

public sealed class SqliteDatabaseTests : IDisposable
{
    private readonly DataDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_second_process_is_kept_out_until_the_first_ends()
    {
        using (var first = new SqliteDatabase(_directory.Path))
        {
            Assert.Equal(0, first.Main.Commits);
            using var second = new SqliteDatabase(_directory.Path);

            var fault = Assert.Single(Assert.Throws<SettingsException>(() => second.Main).Faults);
            Assert.StartsWith("DingFlow:DataDirectory: is in use by another DingFlow process", fault, StringComparison.Ordinal);
            Assert.Throws<SettingsException>(() => second.Ledger);
        }

        using var third = new SqliteDatabase(_directory.Path);
        Assert.NotNull(third.Main);
    }

    [Fact]
    public void A_directory_that_cannot_be_made_is_a_fault_of_its_setting()
    {
        var file = Path.Combine(_directory.Path, "file");
        File.WriteAllText(file, "");
        using var database = new SqliteDatabase(Path.Combine(file, "below"));

        var fault = Assert.Single(Assert.Throws<SettingsException>(() => database.Main).Faults);

        Assert.StartsWith("DingFlow:DataDirectory: cannot be used", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_database_is_a_fault_of_its_setting()
    {
        File.WriteAllText(Path.Combine(_directory.Path, "dingflow.db"), new string('x', 5000));
        using var database = new SqliteDatabase(_directory.Path);

        var fault = Assert.Single(Assert.Throws<SettingsException>(() => database.Main).Faults);

        Assert.Contains("dingflow.db", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_touched_before_its_first_use()
    {
        var path = Path.Combine(_directory.Path, "later");

        new SqliteDatabase(path).Dispose();

        Assert.False(Directory.Exists(path));
    }

    [Fact]
    public void Only_the_user_may_look_at_the_files()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no file modes.");
        var path = Path.Combine(_directory.Path, "data");
        using var database = new SqliteDatabase(path);
        Assert.NotNull(database.Main);
        Assert.NotNull(database.Ledger);

        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode readAndWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            Assert.Equal(readAndWrite | UnixFileMode.UserExecute, new DirectoryInfo(path).UnixFileMode);
            var files = new DirectoryInfo(path).GetFiles();
            Assert.Contains(files, f => f.Name == "dingflow.db-wal");
            Assert.All(files, f => Assert.Equal(readAndWrite, f.UnixFileMode));
        }
    }
}
