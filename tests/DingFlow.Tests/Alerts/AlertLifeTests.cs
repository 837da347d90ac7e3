using DingFlow.Alerts;
using DingFlow.Messaging;
using DingFlow.Tests.Transfers;

namespace DingFlow.Tests.Alerts;

/// <summary>Repetition, acknowledgement, silence, retention.</summary>
public sealed class AlertLifeTests : IAsyncDisposable
{
    private readonly ThresholdDriver _acme = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _acme.DisposeAsync();

    [Fact]
    public async Task An_alert_is_told_every_day_until_somebody_acknowledges_it()
    {
        var alert = await RaiseAsync();
        await PassAsync(TimeSpan.FromHours(23));
        Assert.Single(_acme.Channel.Received);
        await PassAsync(TimeSpan.FromHours(1));
        await _acme.RepeatAsync();
        await PassAsync(TimeSpan.FromHours(24));
        Assert.Equal([1, 2, 3], _acme.Channel.Received.Select(static notice => notice.Alerts[0].Occurrence));

        await _acme.Alerts.UpdateAsync(alert.Key, a => a with { State = AlertState.Acknowledged, Acknowledged = new(_acme.Time.GetUtcNow(), "key:legal", null) }, Token);
        await PassAsync(TimeSpan.FromDays(3));
        Assert.Equal(3, _acme.Channel.Received.Count);
    }

    [Fact]
    public async Task A_silenced_alert_is_told_again_after_its_silence()
    {
        var alert = await RaiseAsync();
        await _acme.Alerts.UpdateAsync(alert.Key, a => a with { SilencedUntil = _acme.Time.GetUtcNow().AddDays(2) }, Token);
        await PassAsync(TimeSpan.FromHours(47));
        Assert.Single(_acme.Channel.Received);

        await PassAsync(TimeSpan.FromHours(1));
        Assert.Equal(2, _acme.Channel.Received.Count);
    }

    [Fact]
    public async Task What_is_acknowledged_while_its_channel_is_down_is_not_told_any_more()
    {
        _acme.Channel.Answer = static () => new(AlertAttemptOutcome.Failed, "503");
        var alert = await RaiseAsync();
        await _acme.Alerts.UpdateAsync(alert.Key, static a => a with { State = AlertState.Acknowledged }, Token);
        _acme.Channel.Answer = static () => new(AlertAttemptOutcome.Delivered, "200");
        _acme.Time.Advance(TimeSpan.FromSeconds(5));
        await _acme.PumpAsync();

        Assert.Empty(_acme.Channel.Received);
    }

    [Fact]
    public async Task Information_is_told_once()
    {
        await RaiseAsync(AlertSeverity.Information);
        await PassAsync(TimeSpan.FromDays(5));

        Assert.Single(_acme.Channel.Received);
    }

    [Theory]
    [InlineData(nameof(StoreFault.DieBefore))]
    [InlineData(nameof(StoreFault.DieAfter))]
    public async Task A_crash_between_any_two_operations_of_the_repetition_tells_once(string kind)
    {
        var fault = Enum.Parse<StoreFault>(kind);
        for (var at = 1; at < 8; at++)
        {
            await using var acme = new ThresholdDriver();
            await acme.SensitiveAsync("b", 1, 5_000);
            await acme.LookAsync();
            var before = acme.Told.Count;
            acme.Time.Advance(TimeSpan.FromHours(24));
            try
            {
                await acme.RepeatAsync(new LedgerFaultyStore(acme.Store, call => call == at ? fault : StoreFault.None));
            }
            catch (ProcessDiedException)
            {
                // As it was meant to be.
            }

            await acme.RepeatAsync();
            await acme.RepeatAsync();
            // The two that are no information: the level, and the transition to the contract.
            Assert.Equal(before + 2, acme.Told.Count);
        }
    }

    [Fact]
    public async Task Two_repetitions_at_once_tell_once()
    {
        await RaiseAsync();
        _acme.Time.Advance(TimeSpan.FromHours(24));
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Task.Run(() => _acme.RepeatAsync(_acme.Store), Token)));
        await _acme.PumpAsync();

        Assert.Equal(2, _acme.Channel.Received.Count);
    }

    [Fact]
    public async Task An_alert_that_nobody_needs_is_forgotten_after_its_retention_and_an_open_one_never()
    {
        var done = await RaiseAsync(id: "done");
        await RaiseAsync(id: "open");
        await _acme.Alerts.UpdateAsync(done.Key, static a => a with { State = AlertState.Acknowledged }, Token);
        await PassAsync(TimeSpan.FromDays(1_101));

        Assert.Equal("open", Assert.Single((await _acme.Alerts.ListAsync(static _ => true, 10, null, Token)).Alerts).Alert.AlertId);
        Assert.Null(await _acme.Alerts.FindAsync(done.Key, Token));
        Assert.Empty(await _acme.Alerts.AllAsync($"m|{done.Key}|", Token));
        Assert.Empty(await _acme.Alerts.AllAsync($"n|{done.Key}-", Token));
    }

    [Fact]
    public async Task Pages_hold_every_alert_once_the_newest_first()
    {
        for (var i = 0; i < 25; i++)
        {
            await RaiseAsync(id: $"a-{i:d2}");
            _acme.Time.Advance(TimeSpan.FromSeconds(i % 3));
        }

        var (seen, next) = (new List<string>(), default(string?));
        do
        {
            var page = await _acme.Alerts.ListAsync(static alert => !alert.Alert.AlertId.EndsWith('7'), 4, next, Token);
            seen.AddRange(page.Alerts.Select(static alert => alert.Alert.AlertId));
            next = page.Next;
        }
        while (next is not null);

        Assert.Equal(23, seen.Distinct().Count());
        Assert.Equal(23, seen.Count);
        Assert.Equal("a-24", seen[0]);
    }

    private async Task<StoredAlert> RaiseAsync(AlertSeverity severity = AlertSeverity.Critical, string id = "a")
    {
        await new AlertSender(_acme.Queue).SendAsync(
            new() { AlertId = id, Type = "messaging.parked", Severity = severity, OccurredAt = _acme.Time.GetUtcNow(), Summary = "s" }, Token);
        await _acme.PumpAsync();
        return (await _acme.Alerts.FindAsync(AlertWork.KeyOf(id), Token))!;
    }

    private async Task PassAsync(TimeSpan time)
    {
        _acme.Time.Advance(time);
        await _acme.RepeatAsync();
    }
}
