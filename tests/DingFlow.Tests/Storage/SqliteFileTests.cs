using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

public sealed class SqliteFileTests : IDisposable
{
    private static readonly string[] Numbers = ["CREATE TABLE numbers(n INTEGER PRIMARY KEY)"];

    private readonly DataDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string DatabasePath => Path.Combine(_directory.Path, "test.db");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Units_that_wait_for_the_writer_share_one_commit()
    {
        using var file = SqliteFile.Open(DatabasePath, Numbers);
        var before = file.Commits;

        await WithWriterHeldAsync(file, () => [.. Enumerable.Range(0, 100).Select(i => AddAsync(file, i))]);

        Assert.Equal(before + 2, file.Commits);
        Assert.Equal(100, Count(file));
    }

    [Fact]
    public async Task A_unit_that_throws_undoes_itself_alone()
    {
        using var file = SqliteFile.Open(DatabasePath, Numbers);
        Task<bool>? failing = null;

        await WithWriterHeldAsync(file, () =>
        {
            failing = file.WriteAsync<bool>(
                connection =>
                {
                    Add(connection, 2);
                    throw new InvalidOperationException("refused");
                },
                _ => Assert.Fail("It was not committed."),
                Token);
            return [AddAsync(file, 1), AddAsync(file, 3)];
        });

        Assert.Equal("refused", (await Assert.ThrowsAsync<InvalidOperationException>(() => failing!)).Message);
        Assert.Equal(2, Count(file));
    }

    [Fact]
    public async Task What_follows_a_commit_runs_in_the_order_of_the_units_and_before_any_answer()
    {
        using var file = SqliteFile.Open(DatabasePath, Numbers);
        List<int> order = [];
        Task<bool>[] tasks = [];

        await WithWriterHeldAsync(file, () => tasks =
        [
            .. Enumerable.Range(0, 20).Select(i => file.WriteAsync(
                connection => Add(connection, i),
                _ =>
                {
                    Assert.All(tasks, t => Assert.False(t.IsCompleted));
                    order.Add(i);
                },
                Token)),
        ]);

        Assert.Equal(Enumerable.Range(0, 20), order);
    }

    [Fact]
    public async Task A_full_disk_fails_the_callers_and_the_next_ones_are_served()
    {
        using var file = SqliteFile.Open(DatabasePath, ["CREATE TABLE blobs(b BLOB)"]);
        await file.WriteAsync(c => Pragma(c, "PRAGMA max_page_count=20"), null, Token);

        var exception = await Assert.ThrowsAsync<SqliteFileException>(() => FillAsync());
        Assert.Equal(SQLitePCL.raw.SQLITE_FULL, exception.Code);

        await file.WriteAsync(c => Pragma(c, "PRAGMA max_page_count=100000"), null, Token);
        await FillAsync();

        Task<bool> FillAsync() => file.WriteAsync(
            connection =>
            {
                using var insert = connection.Statement("INSERT INTO blobs VALUES(zeroblob(200000))");
                return insert.Step();
            },
            null,
            Token);
    }

    [Fact]
    public async Task A_call_cancelled_while_it_waits_does_nothing()
    {
        using var file = SqliteFile.Open(DatabasePath, Numbers);
        using var cancel = new CancellationTokenSource();
        Task<bool>? cancelled = null;

        await WithWriterHeldAsync(file, () =>
        {
            cancelled = file.WriteAsync(c => Add(c, 1), null, cancel.Token);
            cancel.Cancel();
            return [AddAsync(file, 2)];
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled!);
        Assert.Equal(1, Count(file));
    }

    [Fact]
    public async Task Long_units_go_few_at_a_time_and_short_ones_pass_them()
    {
        using var file = SqliteFile.Open(DatabasePath, Numbers);
        List<int> order = [];
        var before = file.Commits;

        await WithWriterHeldAsync(file, () =>
        [
            Long(1, 600), Long(2, 600), Short(100), Long(3, 300), Long(4, 2000), Short(101), Long(5, 10),
        ]);

        // 1 with all that is short, 2 with 3, 4 by itself, since it alone is more than a commit is to have.
        Assert.Equal([1, 100, 101, 5, 2, 3, 4], order);
        Assert.Equal(before + 1 + 3, file.Commits);
        Assert.Equal(7, Count(file));

        Task<bool> Long(int number, int kilobytes) =>
            file.WriteAsync(connection => Add(connection, number), _ => order.Add(number), Token, kilobytes * 1024L);

        Task<bool> Short(int number) => Long(number, 1);
    }

    [Fact]
    public async Task The_log_is_moved_into_the_file_beside_the_writer_and_does_not_grow_for_ever()
    {
        using var file = SqliteFile.Open(DatabasePath, ["CREATE TABLE blobs(n INTEGER PRIMARY KEY, b BLOB)"]);
        const int writes = 400;

        // 400 kB each, 160 MB in all: without a rest, so that no pass ever meets a log at whose end nothing is added.
        for (var i = 0; i < writes; i++)
        {
            await file.WriteAsync(
                connection =>
                {
                    using var insert = connection.Statement("INSERT OR REPLACE INTO blobs VALUES(?1, zeroblob(400000))").Bind(1, i % 20);
                    return insert.Step();
                },
                null,
                Token);
        }

        Assert.InRange(new FileInfo(DatabasePath + "-wal").Length, 1, 80_000_000);
        Assert.InRange(new FileInfo(DatabasePath).Length, 20 * 400_000, 30_000_000);
        Assert.Equal(20, Scalar(file, "SELECT count(*) FROM blobs"));
    }

    [Fact]
    public async Task What_was_answered_is_there_when_the_process_dies_in_the_middle_of_a_checkpoint()
    {
        using var file = SqliteFile.Open(DatabasePath, ["CREATE TABLE blobs(n INTEGER PRIMARY KEY, b BLOB)"]);
        for (var i = 0; i < 60; i++)
        {
            await file.WriteAsync(
                connection =>
                {
                    using var insert = connection.Statement("INSERT INTO blobs VALUES(?1, randomblob(300000))").Bind(1, i);
                    return insert.Step();
                },
                null,
                Token);
            if (i % 6 == 5)
            {
                // A snapshot at one moment, as of a machine that stops: the log, then the file, which has at least what the log began without.
                using var left = new DataDirectory();
                var copy = Path.Combine(left.Path, "test.db");
                await file.WriteAsync(
                    _ =>
                    {
                        File.Copy(DatabasePath + "-wal", copy + "-wal");
                        File.Copy(DatabasePath, copy);
                        return true;
                    },
                    null,
                    Token);
                using var again = SqliteFile.Open(copy, ["CREATE TABLE blobs(n INTEGER PRIMARY KEY, b BLOB)"]);
                Assert.Equal(i + 1, Scalar(again, "SELECT count(*) FROM blobs WHERE length(b) = 300000"));
                again.Read(connection =>
                {
                    using var check = connection.Statement("PRAGMA integrity_check");
                    Assert.True(check.Step());
                    Assert.Equal("ok", check.Text(0));
                    return true;
                });
            }
        }
    }

    [Fact]
    public async Task Closing_finishes_what_was_accepted_and_refuses_what_comes_later()
    {
        var file = SqliteFile.Open(DatabasePath, Numbers);
        var accepted = Enumerable.Range(0, 50).Select(i => AddAsync(file, i)).ToArray();

        file.Dispose();

        await Task.WhenAll(accepted);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => AddAsync(file, 51));
        Assert.Throws<ObjectDisposedException>(() => Count(file));
        using var again = SqliteFile.Open(DatabasePath, Numbers);
        Assert.Equal(50, Count(again));
    }

    [Fact]
    public async Task A_file_of_an_older_version_is_upgraded_and_keeps_its_rows()
    {
        using (var empty = SqliteFile.Open(DatabasePath, []))
        {
            Assert.Equal(0, Version(empty));
        }

        using (var first = SqliteFile.Open(DatabasePath, Numbers))
        {
            Assert.Equal(1, Version(first));
            await AddAsync(first, 7);
        }

        using var second = SqliteFile.Open(DatabasePath, [.. Numbers, "ALTER TABLE numbers ADD COLUMN twice INTEGER; UPDATE numbers SET twice = 2 * n"]);
        Assert.Equal(2, Version(second));
        Assert.Equal(14, Scalar(second, "SELECT twice FROM numbers"));
    }

    [Fact]
    public void An_upgrade_that_fails_leaves_the_file_as_it_was()
    {
        SqliteFile.Open(DatabasePath, Numbers).Dispose();

        Assert.Throws<SqliteFileException>(() => SqliteFile.Open(DatabasePath, [.. Numbers, "CREATE TABLE half(n); INSERT INTO missing VALUES(1)"]));

        using var file = SqliteFile.Open(DatabasePath, Numbers);
        Assert.Equal(1, Version(file));
        Assert.Equal(0, Scalar(file, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"));
    }

    [Fact]
    public void A_file_of_a_newer_version_is_refused()
    {
        SqliteFile.Open(DatabasePath, [.. Numbers, "CREATE TABLE more(n)"]).Dispose();

        var exception = Assert.Throws<SqliteFileException>(() => SqliteFile.Open(DatabasePath, Numbers));

        Assert.Contains("newer version", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_database_is_refused()
    {
        File.WriteAllText(DatabasePath, new string('x', 5000));

        Assert.Equal(SQLitePCL.raw.SQLITE_NOTADB, Assert.Throws<SqliteFileException>(() => SqliteFile.Open(DatabasePath, Numbers)).Code);
    }

    private static async Task WithWriterHeldAsync(SqliteFile file, Func<Task[]> queue)
    {
        using var held = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        var holder = file.WriteAsync(
            _ =>
            {
                held.Set();
                return release.Wait(TimeSpan.FromSeconds(30), Token);
            },
            null,
            Token);
        Assert.True(held.Wait(TimeSpan.FromSeconds(30), Token));
        var tasks = queue();
        release.Set();
        Assert.True(await holder);
        await Task.WhenAll(tasks);
    }

    private static Task<bool> AddAsync(SqliteFile file, int number) => file.WriteAsync(connection => Add(connection, number), null, Token);

    private static bool Add(SqliteConnection connection, int number)
    {
        using var insert = connection.Statement("INSERT INTO numbers(n) VALUES(?1)").Bind(1, number);
        return insert.Step();
    }

    private static bool Pragma(SqliteConnection connection, string pragma)
    {
        connection.Script(pragma);
        return true;
    }

    private static long Count(SqliteFile file) => Scalar(file, "SELECT count(*) FROM numbers");

    private static long Version(SqliteFile file) => Scalar(file, "PRAGMA user_version");

    private static long Scalar(SqliteFile file, string sql) => file.Read(connection =>
    {
        using var statement = connection.Statement(sql);
        Assert.True(statement.Step());
        return statement.Long(0);
    });
}
