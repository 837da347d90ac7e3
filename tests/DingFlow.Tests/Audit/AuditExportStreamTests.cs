using System.Net.Sockets;
using DingFlow.Audit;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Hosting;

namespace DingFlow.Tests.Audit;

/// <summary>An export of any size holds a few rows at a time, ends with its reader, and is of one moment.</summary>
public sealed class AuditExportStreamTests : IAsyncDisposable
{
    private const int EntriesPerWrite = 512;

    /// <summary>Both chains, each a page that is being read and one that is not collected yet; the export has thousands of rows.</summary>
    private const int MostRowsHeld = 100;

    /// <summary>What the sockets, the server and the pages may hold between the store and a reader that reads nothing.</summary>
    private const long MostBytesAhead = 24L * 1024 * 1024;

    private readonly TrailDriver _driver = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly WatchedStore _store;
    private TestProgram? _program;

    public AuditExportStreamTests() => _store = new(_driver.Real);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_program is not null)
        {
            await _program.DisposeAsync();
        }

        await _driver.DisposeAsync();
    }

    [Fact]
    public async Task Three_hundred_thousand_entries_pass_through_a_few_rows_however_slowly_they_are_read()
    {
        const int Half = 150_000;
        await SeedAsync("main", Half);
        await SealAsync();
        await SeedAsync("other", Half);
        using var client = await StartAsync();
        using var answer = await client.GetAsync("/api/audit/export", HttpCompletionOption.ResponseHeadersRead, Cancellation);
        await using var body = await answer.Content.ReadAsStreamAsync(Cancellation);

        var (lines, received, held, ahead) = (0, 0L, 0, 0L);
        var buffer = new byte[64 * 1024];
        var next = 0L;
        int length;
        while ((length = await body.ReadAsync(buffer, Cancellation)) > 0)
        {
            received += length;
            lines += buffer.AsSpan(0, length).Count((byte)'\n');
            ahead = Math.Max(ahead, _store.BytesServed - received);
            if (received >= next)
            {
                next = received + (12 * 1024 * 1024);
                held = Math.Max(held, _store.RowsAlive());
            }
        }

        Assert.Equal(2 * Half, lines);
        Assert.True(_store.RowsServed > 20 * MostRowsHeld, $"{_store.RowsServed} rows are too few to show anything");
        Assert.InRange(held, 1, MostRowsHeld);
        Assert.InRange(ahead, 1, MostBytesAhead);
        Assert.True(received > 4 * MostBytesAhead, $"{received} bytes are too few to show anything");
    }

    [Fact]
    public async Task A_reader_who_goes_away_ends_the_reading()
    {
        await SeedAsync("main", 150_000);
        using (var client = await StartAsync())
        {
            using var answer = await client.GetAsync("/api/audit/export", HttpCompletionOption.ResponseHeadersRead, Cancellation);
            await using var body = await answer.Content.ReadAsStreamAsync(Cancellation);
            await body.ReadExactlyAsync(new byte[1024 * 1024], Cancellation);
        }

        await _ended.Task.WaitAsync(Cancellation);
        var served = _store.BytesServed;
        Assert.InRange(served, 1024 * 1024, MostBytesAhead + (1024 * 1024));
    }

    [Theory]
    [InlineData("jsonl", 0, "")]
    [InlineData("csv", 1, "&principal=key:ops")]
    [InlineData("ocsf", 0, "&kind=tests.happened")]
    public async Task What_is_appended_meanwhile_is_not_in_an_export_which_says_until_where_it_reached(string format, int headings, string filter)
    {
        const int Count = 40_000;
        await SeedAsync("main", Count);
        await SealAsync();
        await SeedAsync("other", Count);
        using var client = await StartAsync();
        using var answer = await client.GetAsync($"/api/audit/export?format={format}{filter}", HttpCompletionOption.ResponseHeadersRead, Cancellation);
        await using var body = await answer.Content.ReadAsStreamAsync(Cancellation);
        await body.ReadExactlyAsync(new byte[1], Cancellation);

        // The reader has read one byte of megabytes: nearly everything is still to be read when more comes, of old writers and of a new one.
        await SeedAsync("main", 700);
        await SeedAsync("other", 700);
        await SeedAsync("newcomer", 700);
        await SealAsync();
        using var text = new StreamReader(body);
        var lines = (await text.ReadToEndAsync(Cancellation)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal((2 * Count) + headings, lines.Length);
        Assert.Equal($"main={Count}, other={Count}", Assert.Single(answer.Headers.GetValues(ExportAudit.ThroughHeader)));
        var exported = Assert.Single(await _driver.ReadAsync("exporter")).Read()!;
        Assert.Equal($"main={Count}, other={Count}", exported.Details!["through"]);
    }

    private async Task<HttpClient> StartAsync()
    {
        var export = new ExportAudit(new(_store, new(_store)), _driver.Open("exporter", _driver.Real), _driver.Time);
        _program = await new TestProgram().Function(
            TestProgram.HttpJson("audit/export", "get"),
            new HttpProbe(async context =>
            {
                try
                {
                    await export.InvokeAsync(context);
                }
                finally
                {
                    _ended.TrySetResult();
                }
            }),
            Roles.OperationsRead).StartAsync();
        var client = new HttpClient(new SocketsHttpHandler
        {
            // Little room between the server and a reader who does not read.
            ConnectCallback = static async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 64 * 1024 };
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        })
        { BaseAddress = _program.Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new("Bearer", TestProgram.Key);
        return client;
    }

    /// <summary>The entries of a busy writer, written as it writes them.</summary>
    private async Task SeedAsync(string chain, int entries)
    {
        var writer = new AuditChain(_driver.Real, chain, _driver.Time);
        foreach (var write in Enumerable.Range(0, entries).Chunk(EntriesPerWrite))
        {
            await writer.AppendAsync(
                [.. write.Select(number => WaitingEvent.Of(TrailDriver.Event("An entry like many others."), chain, 0, _driver.Time.GetUtcNow()))], mayBeOurs: false, Cancellation);
        }
    }

    /// <summary>The next day has come, and the one before is sealed.</summary>
    private async Task SealAsync()
    {
        _driver.Time.Advance(TimeSpan.FromDays(1));
        using var feature = new AuditFeature(_driver);
        await feature.Sealer.SealAsync(Cancellation);
    }

    /// <summary>Knows which rows of chains it gave out, and which of these somebody still holds.</summary>
    private sealed class WatchedStore(IEntityStore inner) : IEntityStore
    {
        private readonly Lock _gate = new();
        private readonly List<WeakReference> _rows = [];
        private long _bytes;

        public int RowsServed
        {
            get
            {
                lock (_gate)
                {
                    return _rows.Count;
                }
            }
        }

        public long BytesServed => Interlocked.Read(ref _bytes);

        public int RowsAlive()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            lock (_gate)
            {
                return _rows.Count(static row => row.IsAlive);
            }
        }

        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            inner.GetAsync(table, partitionKey, rowKey, cancellationToken);

        public async Task<EntityPage> QueryAsync(string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
        {
            var page = await inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);
            if (table == AuditRows.EntriesTable)
            {
                lock (_gate)
                {
                    _rows.AddRange(page.Entities.Select(static row => new WeakReference(row)));
                }

                Interlocked.Add(ref _bytes, page.Entities.Sum(static row => row.Properties.Values.OfType<byte[]>().Sum(static part => (long)part.Length)));
            }

            return page;
        }

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) => inner.SubmitAsync(transaction, cancellationToken);

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
            inner.SubmitManyAsync(transactions, cancellationToken);
    }
}
