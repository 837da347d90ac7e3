using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Messaging;

public sealed class EmbeddedQueueTests : EmbeddedQueueContract
{
    private readonly Stack<EmbeddedProcess> _processes = new();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        while (_processes.TryPop(out var process))
        {
            process.Dispose();
        }
    }

    [Fact]
    public async Task Sends_share_their_commit_with_writes_of_the_store()
    {
        var process = _processes.Peek();
        var store = new SqliteEntityStore(process.Database, Time);
        await SendAsync(Plain, "first");
        var before = process.Database.Main.Commits;
        using var held = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        var holder = process.Database.Main.WriteAsync(
            _ =>
            {
                held.Set();
                return release.Wait(TimeSpan.FromSeconds(30), Token);
            },
            null,
            Token);
        Assert.True(held.Wait(TimeSpan.FromSeconds(30), Token));

        Task[] writes =
        [
            .. Enumerable.Range(0, 20).Select(i => SendAsync(Plain, $"m{i}")),
            .. Enumerable.Range(0, 20).Select(i =>
                store.SubmitAsync(EntityTransaction.Of("Inbox", EntityOperation.Insert(new Entity("p", $"r{i}"))), Token)),
        ];
        release.Set();
        Assert.True(await holder);
        await Task.WhenAll(writes);

        Assert.Equal(before + 2, process.Database.Main.Commits);
    }

    [Fact]
    public async Task Ids_whose_window_has_passed_are_forgotten_in_passing()
    {
        await SendAsync(Plain, [.. Enumerable.Range(0, 10).Select(i => $"old{i}")]);
        Time.Advance(Plain.DuplicateDetection);

        await SendAsync(Plain, "new");

        Assert.Equal(1, _processes.Peek().Database.Main.Read(connection =>
        {
            using var count = connection.Statement("SELECT count(*) FROM message_ids");
            Assert.True(count.Step());
            return count.Long(0);
        }));
    }

    [Fact]
    public async Task A_write_that_fails_is_a_fault_of_the_queue_and_loses_no_message()
    {
        await SendAsync(Plain, "m");

        await RefuseAsync("INSERT");
        await Assert.ThrowsAsync<MessageQueueException>(() => SendAsync(Plain, "refused"));

        await RefuseAsync("UPDATE");
        await Assert.ThrowsAsync<MessageQueueException>(() => ReceiveAsync(Plain));

        await RefuseAsync("DELETE");
        var message = await ReceiveAsync(Plain);
        Assert.Equal(("m", 1), (message.Message.MessageId, message.Message.DeliveryCount));
        await Assert.ThrowsAsync<MessageQueueException>(() => Queue.CompleteAsync(message, Token));

        await ScriptAsync("DROP TRIGGER refuse");
        Assert.True(await Queue.CompleteAsync(message, Token));
        await SendAsync(Plain, "refused");
        Assert.Equal("refused", (await ReceiveAsync(Plain)).Message.MessageId);

        Task RefuseAsync(string kind) => ScriptAsync(
            $"DROP TRIGGER IF EXISTS refuse; CREATE TEMP TRIGGER refuse BEFORE {kind} ON main.messages BEGIN SELECT RAISE(ABORT, 'refused'); END");
    }

    [Fact]
    public async Task A_dead_lettering_that_fails_is_done_again()
    {
        await SendAsync(Plain, "bad");
        for (var i = 1; i < Plain.MaxDeliveryCount; i++)
        {
            Assert.True(await Queue.AbandonAsync(await ReceiveAsync(Plain), "bad", Token));
        }

        await ReceiveAsync(Plain);
        await ScriptAsync("CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.dead_letters BEGIN SELECT RAISE(ABORT, 'refused'); END");
        Time.Advance(Plain.LockDuration);
        Assert.Empty(await Queue.ReadDeadLettersAsync(Plain, 10, Token));

        await ScriptAsync("DROP TRIGGER refuse");
        IReadOnlyList<DeadLetter> dead = [];
        while (dead.Count == 0)
        {
            Token.ThrowIfCancellationRequested();
            Time.Advance(Plain.LockDuration);
            dead = await Queue.ReadDeadLettersAsync(Plain, 10, Token);
        }

        Assert.Equal("bad", Assert.Single(dead).Message.MessageId);
    }

    [Fact]
    public async Task Closing_ends_the_waiting_of_receivers()
    {
        var receive = ReceiveAsync(Plain);
        await SendAsync(Sessions, "loaded", "s");
        var process = _processes.Peek();

        process.Queue.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => receive);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => ReceiveAsync(Plain));
    }

    protected override Task<IEmbeddedQueue> CreateAsync()
    {
        _processes.Push(new EmbeddedProcess(new DataDirectory(), Time));
        return Task.FromResult<IEmbeddedQueue>(_processes.Peek().Queue);
    }

    protected override Task<IEmbeddedQueue> KillAndRestartAsync()
    {
        _processes.Push(_processes.Peek().KillAndRestart());
        return Task.FromResult<IEmbeddedQueue>(_processes.Peek().Queue);
    }

    private Task<bool> ScriptAsync(string script) => _processes.Peek().Database.Main.WriteAsync(
        connection =>
        {
            connection.Script(script);
            return true;
        },
        null,
        Token);
}

/// <summary>What one process holds: its data directory, the database and the queue.</summary>
internal sealed class EmbeddedProcess(DataDirectory directory, TimeProvider time) : IDisposable
{
    public SqliteDatabase Database { get; } = new(directory.Path);

    public EmbeddedQueue Queue => field ??= new(Database, time, NullLogger<EmbeddedQueue>.Instance);

    /// <summary>The next process, over what this one has on disk. This one stays as it is: a killed process closes nothing.</summary>
    public EmbeddedProcess KillAndRestart() => new(directory.Copy(), time);

    public void Dispose()
    {
        Queue.Dispose();
        Database.Dispose();
        directory.Dispose();
    }
}
