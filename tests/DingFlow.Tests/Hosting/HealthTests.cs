using System.Net;
using System.Text.Json;
using System.Threading.Channels;
using DingFlow.Hosting;
using DingFlow.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Hosting;

public sealed class HealthTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/api/health")]
    [InlineData("/api/health/live")]
    [InlineData("/api/health/ready")]
    public async Task A_program_that_works_says_so_without_details(string path)
    {
        await using var program = await new TestProgram().StartAsync();

        Assert.Equal("""{"status":"ok"}""", await program.Client.GetStringAsync(path, Cancellation));
    }

    [Fact]
    public async Task An_unknown_probe_is_not_found()
    {
        await using var program = await new TestProgram().StartAsync();

        using var answer = await program.Client.GetAsync("/api/health/other", Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task A_dependency_that_fails_makes_ready_red_and_never_live()
    {
        var check = new Check(() => Task.FromResult(new ReadinessResult(false, "no permission")));
        await using var program = await Program(check).StartAsync();
        using var operations = program.CreateOperator();

        using var live = await program.Client.GetAsync("/api/health", Cancellation);
        using var ready = await program.Client.GetAsync("/api/health/ready", Cancellation);
        using var detailed = await operations.GetAsync("/api/health/ready", Cancellation);

        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal("""{"status":"unavailable"}""", await ready.Content.ReadAsStringAsync(Cancellation));
        using var json = JsonDocument.Parse(await detailed.Content.ReadAsStringAsync(Cancellation));
        var dependencies = json.RootElement.GetProperty("dependencies").EnumerateArray()
            .ToDictionary(d => d.GetProperty("name").GetString()!, d => d.GetProperty("ready").GetBoolean());
        Assert.True(dependencies["store"]);
        Assert.False(dependencies["remote"]);
        Assert.Contains("no permission", json.RootElement.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_check_that_throws_shows_no_text_of_its_exception()
    {
        await using var program = await Program(new Check(() => throw new InvalidOperationException("e1001@sandbox.example"))).StartAsync();
        using var operations = program.CreateOperator();

        using var answer = await operations.GetAsync("/api/health/ready", Cancellation);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.DoesNotContain("sandbox.example", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checks_run_once_in_a_while_and_not_for_ever()
    {
        var time = new ObservedTime(new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.Zero));
        var runs = 0;
        var hanging = new TaskCompletionSource<ReadinessResult>();
        var check = new Check(() => ++runs < 3 ? Task.FromResult(new ReadinessResult(true)) : hanging.Task);
        await using var program = await Program(check).Services(services => services.AddSingleton<TimeProvider>(time)).StartAsync();

        await program.Client.GetStringAsync("/api/health/ready", Cancellation);
        await program.Client.GetStringAsync("/api/health/ready", Cancellation);
        Assert.Equal(1, runs);

        time.Advance(HealthState.ReadyFor);
        await program.Client.GetStringAsync("/api/health/ready", Cancellation);
        Assert.Equal(2, runs);

        time.Advance(HealthState.ReadyFor);
        var hangs = program.Client.GetAsync("/api/health/ready", Cancellation);
        await check.EnteredAsync(3, Cancellation);
        time.Advance(HealthState.CheckTime);
        using var answer = await hangs;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
    }

    [Fact]
    public async Task A_store_that_cannot_be_written_makes_live_red()
    {
        await using var program = await new TestProgram()
            .Services(services => services.AddSingleton<IEntityStore>(new DeadStore())).StartAsync();

        using var answer = await program.Client.GetAsync("/api/health", Cancellation);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
    }

    private static TestProgram Program(Check check) =>
        new TestProgram().Services(services => services.AddSingleton<IReadinessCheck>(check));

    private sealed class Check(Func<Task<ReadinessResult>> body) : IReadinessCheck
    {
        private readonly Channel<bool> _entered = Channel.CreateUnbounded<bool>();

        public string Name => "remote";

        public Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
        {
            Assert.True(_entered.Writer.TryWrite(true));
            return body();
        }

        public async Task EnteredAsync(int times, CancellationToken cancellationToken)
        {
            for (var time = 0; time < times; time++)
            {
                await _entered.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(Infrastructure.DingFlowProcess.Patience, cancellationToken);
            }
        }
    }

    private sealed class DeadStore : IEntityStore
    {
        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) => throw Dead();

        public Task<EntityPage> QueryAsync(
            string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) => throw Dead();

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) => throw Dead();

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
            IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) => throw Dead();

        private static EntityStoreException Dead() => new("the disk is full");
    }
}
