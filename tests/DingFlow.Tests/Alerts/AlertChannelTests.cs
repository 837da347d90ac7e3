using System.Text;
using Azure.Core;
using DingFlow.Alerts;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Transfers;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Alerts;

/// <summary>The channels that people read, against the simulated DingTalk and Graph: what arrives, how often, and what happens under faults.</summary>
public sealed class AlertChannelTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero));
    private readonly LedgerMemoryStore _store = new();
    private readonly TestQueue _queue = new();
    private readonly HashSet<string> _handled = [];
    private SandboxServer _sandbox = null!;
    private IAlertChannelSender[] _senders = [];
    private EntraDirectory _entra = null!;
    private AlertRobot _robot = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _sandbox = await SandboxServer.StartNewAsync(timeProvider: _time, cancellationToken: Token);
        var tenant = new DingTalkTenant
        {
            Name = "sandbox", CorpId = SandboxOptions.CorpId, AppKey = SandboxOptions.AppKey, AppSecret = SandboxOptions.AppSecret,
            BaseUrl = _sandbox.DingTalk, LegacyBaseUrl = _sandbox.DingTalkLegacy,
        };
        var clients = new DingTalkClients(
            new(new Dictionary<string, DingTalkTenant> { ["sandbox"] = tenant }), TimeProvider.System, NullLogger<DingTalkClient>.Instance);
        _entra = new EntraDirectory(
            new EntraOptions { TenantId = "sandbox", BaseUrl = _sandbox.Graph, Credential = EntraCredential.None },
            new Lazy<TokenCredential>(static () => throw new InvalidOperationException()), TimeProvider.System, NullLogger<EntraDirectory>.Instance);
        _robot = new AlertRobot(_time);
        _senders = [_robot, new AlertWorkNotice(clients), new AlertMail(_entra, new AlertDocuments(_store, NullLogger<AlertDocuments>.Instance))];
    }

    public async ValueTask DisposeAsync()
    {
        _robot.Dispose();
        _entra.Dispose();
        await _sandbox.DisposeAsync();
    }

    private RobotChannel Robot(string name = "group") => new()
    {
        Name = name, Url = new Uri(_sandbox.DingTalkLegacy, "oapi/robot/send"), AccessToken = SandboxOptions.RobotToken, Secret = SandboxOptions.RobotSecret,
    };

    private static WorkNoticeChannel Notice(params string[] userIds) => new()
    {
        Name = "duty", Tenant = "sandbox", AgentId = SandboxOptions.AgentId, UserIds = userIds,
    };

    private static MailChannel Mail() => new() { Name = "legal", From = "e1001@sandbox.example", To = ["legal@acme.example", "dpo@acme.example"] };

    [Theory]
    [InlineData(1577262236757, "this is a secret", "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA=")]
    [InlineData(1700000000000, "SECabcdef0123456789", "dV0RXHUD72d0VKcnHrBhJ9jhSbDS3HUiduucxO+izso=")]
    public void The_robots_signature_is_as_computed_elsewhere(long timestamp, string secret, string expected) =>
        Assert.Equal(expected, AlertRobot.Sign(secret, timestamp));

    [Fact]
    public async Task A_robot_says_it_in_the_language_of_its_group()
    {
        await SendAsync([Robot() with { Language = AlertLanguage.TraditionalChinese }], Parked("p-1", "it broke"));

        var message = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(("robot.send", "有訊息無法處理，已暫置"), (message.Operation, message.Title));
        Assert.Contains("\n\n原因：it broke", message.Text, StringComparison.Ordinal);
        Assert.Contains("嚴重 · 發出時間: 2026-11-22 09:00 UTC+8", message.Text, StringComparison.Ordinal);
        Assert.True(await IsReadyAsync(Robot()));
    }

    [Fact]
    public async Task What_comes_from_outside_makes_no_link_mention_or_heading()
    {
        await SendAsync([Robot()], Parked("p-1", "[click](https://evil.example) @all\n# Big <b>![x](y) `c`"));

        var text = Assert.Single(_sandbox.Outbox.Messages).Text;
        Assert.DoesNotContain("[click]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("@all", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\n#", text.Replace("\n\n", "¶", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("<b>", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_robots_message_whose_answer_is_lost_is_sent_again_and_shown_once()
    {
        Fault(SandboxFaultKind.LostAfter, SandboxOperations.RobotSend, 1);

        await SendAsync([Robot()], Parked("p-1", "x"));
        Assert.Single(_sandbox.Outbox.Messages);
        Assert.False(await IsReadyAsync(Robot()));
        await PassAsync(TimeSpan.FromSeconds(5));

        Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(2, _sandbox.Journal.Entries.Count(static entry => entry.Operation == SandboxOperations.RobotSend));
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "group")).State);
        Assert.True(await IsReadyAsync(Robot()));
    }

    [Theory]
    [InlineData(SandboxFaultKind.ServerError)]
    [InlineData(SandboxFaultKind.Unavailable)]
    [InlineData(SandboxFaultKind.LostBefore)]
    [InlineData(SandboxFaultKind.MalformedJson)]
    [InlineData(SandboxFaultKind.Throttled)]
    [InlineData(SandboxFaultKind.HugeBody)]
    public async Task A_robot_that_fails_is_tried_again(SandboxFaultKind kind)
    {
        Fault(kind, SandboxOperations.RobotSend, 1);

        await SendAsync([Robot()], Parked("p-1", "x"));
        await PassAsync(TimeSpan.FromMinutes(2));

        Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "group")).State);
    }

    [Fact]
    public async Task A_robot_that_was_removed_ends_its_channel_and_the_others_are_told()
    {
        var mail = Mail();

        await SendAsync([Robot() with { AccessToken = "removed" }, mail], Parked("p-1", "x"));

        Assert.Equal(NoticeState.Disabled, (await DeliveryAsync("p-1", "group")).State);
        Assert.Equal(
            ["DingFlow: A message could not be handled and was set aside", "DingFlow: An alert channel no longer works"],
            _sandbox.Outbox.Messages.Select(static message => message.Title));
        Assert.False(await IsReadyAsync(Robot() with { AccessToken = "removed" }));
    }

    [Fact]
    public async Task A_robot_with_a_wrong_secret_is_red_and_tried_until_it_is_mended()
    {
        var wrong = Robot() with { Secret = "SECwrong" };
        await SendAsync([wrong], Parked("p-1", "x"));
        Assert.False(await IsReadyAsync(wrong));

        await PassAsync(TimeSpan.FromSeconds(5), [Robot()]);

        Assert.Single(_sandbox.Outbox.Messages);
    }

    [Fact]
    public async Task More_than_twenty_messages_a_minute_wait_for_their_turn()
    {
        var robot = Robot() with { GroupWait = TimeSpan.Zero };

        await SendAsync([robot], [.. Enumerable.Range(1, 45).Select(static number => Parked($"p-{number}", "x"))]);
        Assert.Equal(20, _sandbox.Outbox.Messages.Length);
        await PassAsync(RobotChannel.Minute, [robot]);
        Assert.Equal(40, _sandbox.Outbox.Messages.Length);
        await PassAsync(RobotChannel.Minute, [robot]);

        Assert.Equal(45, _sandbox.Outbox.Messages.Select(static message => message.Id).Distinct().Count());
        Assert.DoesNotContain(_sandbox.Journal.Entries, static entry => entry.Code == "410100");
    }

    [Fact]
    public async Task Channels_that_share_a_robot_share_its_twenty_messages()
    {
        AlertChannel[] channels =
        [
            Robot("chinese") with { GroupWait = TimeSpan.Zero, Language = AlertLanguage.SimplifiedChinese }, Robot("english") with { GroupWait = TimeSpan.Zero },
        ];

        await SendAsync(channels, [.. Enumerable.Range(1, 15).Select(static number => Parked($"p-{number}", "x"))]);
        Assert.Equal(20, _sandbox.Outbox.Messages.Length);
        await PassAsync(RobotChannel.Minute, channels);

        Assert.Equal(30, _sandbox.Outbox.Messages.Length);
        Assert.DoesNotContain(_sandbox.Journal.Entries, static entry => entry.Code == "410100");
    }

    [Fact]
    public async Task Instances_at_once_share_a_robots_twenty_messages()
    {
        var robot = Robot() with { GroupWait = TimeSpan.Zero };
        foreach (var alert in Enumerable.Range(1, 30).Select(static number => Parked($"p-{number}", "x")))
        {
            await new AlertSender(_queue).SendAsync(alert, Token);
            await HandleAsync(_queue.Alerts[^1], [robot], _store);
        }

        // Every attempt on an instance of its own, all at the same time.
        _handled.UnionWith(_queue.Alerts.Select(static message => message.MessageId));
        await Task.WhenAll(_queue.Alerts.Where(static message => message.Subject == "attempt").ToList().Select(message => Task.Run(() => HandleAsync(message, [robot], _store), Token)));
        Assert.Equal(20, _sandbox.Outbox.Messages.Length);
        await PassAsync(RobotChannel.Minute, [robot]);

        Assert.Equal(30, _sandbox.Outbox.Messages.Select(static message => message.Id).Distinct().Count());
        Assert.Equal(30, _sandbox.Outbox.Messages.Length);
        Assert.DoesNotContain(_sandbox.Journal.Entries, static entry => entry.Code == "410100");
    }

    [Fact]
    public async Task A_burst_becomes_one_message()
    {
        var robot = Robot() with { GroupWait = TimeSpan.FromSeconds(10), Language = AlertLanguage.Portuguese };

        await SendAsync([robot], [.. Enumerable.Range(1, 30).Select(static number => Parked($"p-{number}", "x"))]);
        Assert.Empty(_sandbox.Outbox.Messages);
        await PassAsync(TimeSpan.FromSeconds(10), [robot]);

        var message = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal("Crítico: 30 alertas", message.Title);
        Assert.Equal(20, message.Text.Split("Uma mensagem não pôde ser tratada").Length - 1);
        Assert.EndsWith("e mais 10", message.Text, StringComparison.Ordinal);

        // What comes later opens another.
        await SendAsync([robot], Parked("p-31", "x"));
        await PassAsync(TimeSpan.FromSeconds(10), [robot]);
        Assert.Equal(2, _sandbox.Outbox.Messages.Length);
    }

    [Fact]
    public async Task A_burst_that_is_larger_than_a_message_takes_several_and_leaves_nobody_out()
    {
        var robot = Robot() with { GroupWait = TimeSpan.FromSeconds(10) };

        await SendAsync([robot], [.. Enumerable.Range(1, 250).Select(static number => Parked($"p-{number}", "x"))]);
        await PassAsync(TimeSpan.FromSeconds(10), [robot]);

        Assert.Equal(["Critical: 100 alerts", "Critical: 100 alerts", "Critical: 50 alerts"], _sandbox.Outbox.Messages.Select(static message => message.Title));
    }

    [Fact]
    public async Task Alerts_of_a_burst_that_arrive_on_several_instances_at_once_are_in_one_message_each_once()
    {
        var robot = Robot() with { GroupWait = TimeSpan.FromSeconds(10) };
        var alerts = Enumerable.Range(1, 12).Select(static number => Parked($"p-{number}", "x")).ToList();
        foreach (var alert in alerts)
        {
            await new AlertSender(_queue).SendAsync(alert, Token);
        }

        await Task.WhenAll(_queue.Alerts.Select(message => Task.Run(() => HandleAsync(message, [robot], _store), Token)));
        _handled.UnionWith(_queue.Alerts.Take(12).Select(static message => message.MessageId));
        await PassAsync(TimeSpan.FromSeconds(10), [robot]);

        var members = await new AlertStore(_store, new TestTrail(_store)).AllAsync("m|", Token);
        Assert.Equal(12, members.Count);
        Assert.Equal(12, _sandbox.Outbox.Messages.Sum(static message => message.Title.StartsWith("Critical: ", StringComparison.Ordinal)
            ? int.Parse(message.Title.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) : 1));
    }

    [Fact]
    public async Task A_work_notice_is_delivered_when_DingTalk_says_who_has_it()
    {
        await SendAsync([Notice("sb-1001", "sb-1002")], Parked("p-1", "x"));
        Assert.Equal(NoticeState.Unproved, (await DeliveryAsync("p-1", "duty")).State);
        await PassAsync(TimeSpan.FromSeconds(15), [Notice("sb-1001", "sb-1002")]);

        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "duty")).State);
        Assert.Equal(["sb-1001", "sb-1002"], Assert.Single(_sandbox.Outbox.Messages).Receivers);
    }

    [Fact]
    public async Task A_work_notice_that_a_limit_swallowed_is_no_delivery_though_success_was_answered()
    {
        var channel = Notice("sb-1001");
        _sandbox.Outbox.NoticeFate = SandboxNoticeFate.Limited;
        await SendAsync([channel], Parked("p-1", "x"));
        await PassAsync(TimeSpan.FromSeconds(15), [channel]);
        Assert.Equal((NoticeState.Pending, 1), (await DeliveryAsync("p-1", "duty")) is var limited ? (limited.State, limited.Attempts) : default);
        Assert.False(await IsReadyAsync(channel));

        _sandbox.Outbox.NoticeFate = SandboxNoticeFate.Delivered;
        await PassAsync(TimeSpan.FromSeconds(5), [channel]);
        await PassAsync(TimeSpan.FromSeconds(15), [channel]);

        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "duty")).State);
        Assert.Single(_sandbox.Outbox.Messages);
        Assert.True(await IsReadyAsync(channel));
    }

    [Fact]
    public async Task A_work_notice_of_which_nothing_is_heard_is_asked_after_and_then_sent_again()
    {
        var channel = Notice("sb-1001");
        _sandbox.Outbox.NoticeFate = SandboxNoticeFate.Silent;
        await SendAsync([channel], Parked("p-1", "x"));
        foreach (var minutes in (int[])[1, 1, 1, 2, 5, 10, 30])
        {
            await PassAsync(TimeSpan.FromMinutes(minutes), [channel]);
        }

        Assert.Equal(7, _sandbox.Journal.Entries.Count(static entry => entry.Operation == "corpconversation.getsendresult"));
        Assert.Equal(NoticeState.Pending, (await DeliveryAsync("p-1", "duty")).State);
        _sandbox.Outbox.NoticeFate = SandboxNoticeFate.Delivered;
        await PassAsync(TimeSpan.FromMinutes(1), [channel]);
        await PassAsync(TimeSpan.FromMinutes(1), [channel]);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "duty")).State);
    }

    [Fact]
    public async Task A_work_notice_to_nobody_who_exists_is_refused_and_one_receiver_is_enough()
    {
        await SendAsync([Notice("sb-none")], Parked("p-1", "x"));
        await PassAsync(TimeSpan.FromSeconds(15), [Notice("sb-none")]);
        Assert.Equal(NoticeState.Pending, (await DeliveryAsync("p-1", "duty")).State);

        await SendAsync([Notice("sb-none", "sb-1001")], Parked("p-2", "x"));
        await PassAsync(TimeSpan.FromSeconds(15), [Notice("sb-none", "sb-1001")]);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-2", "duty")).State);
    }

    [Fact]
    public async Task A_work_notice_whose_answer_was_lost_reaches_a_person_once_that_day()
    {
        var channel = Notice("sb-1001");
        Fault(SandboxFaultKind.LostAfter, SandboxOperations.WorkNotice, 1);
        await SendAsync([channel], Parked("p-1", "x"));
        await PassAsync(TimeSpan.FromSeconds(5), [channel]);
        await PassAsync(TimeSpan.FromSeconds(15), [channel]);

        Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "duty")).State);
    }

    [Fact]
    public async Task A_long_alert_fits_into_a_work_notice()
    {
        await SendAsync([Notice("sb-1001") with { Language = AlertLanguage.SimplifiedChinese }], Parked("p-1", string.Concat(Enumerable.Repeat("原因很长", 900))));

        var message = Assert.Single(_sandbox.Outbox.Messages);
        Assert.InRange(Encoding.UTF8.GetByteCount(message.Text), 1_500, 1_700);
        Assert.EndsWith("…", message.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphMessages, 0)]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphMessages, 1)]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphCreateMessage, 0)]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphSendMessage, 0)]
    [InlineData(SandboxFaultKind.LostBefore, SandboxOperations.GraphCreateMessage, 0)]
    [InlineData(SandboxFaultKind.LostBefore, SandboxOperations.GraphSendMessage, 0)]
    [InlineData(SandboxFaultKind.MalformedJson, SandboxOperations.GraphCreateMessage, 0)]
    [InlineData(SandboxFaultKind.MalformedJson, SandboxOperations.GraphSendMessage, 0)]
    [InlineData(SandboxFaultKind.Throttled, SandboxOperations.GraphSendMessage, 0)]
    [InlineData(SandboxFaultKind.Unavailable, SandboxOperations.GraphSendMessage, 0)]
    public async Task A_mail_comes_once_whatever_answer_is_lost(SandboxFaultKind kind, string operation, int skip)
    {
        _sandbox.Faults.Set([new SandboxFault { Kind = kind, Operation = operation, Skip = skip, Count = 1 }]);
        await SendAsync([Mail()], Parked("p-1", "x"));
        foreach (var wait in (int[])[2, 5, 30])
        {
            await PassAsync(TimeSpan.FromMinutes(wait), [Mail()]);
        }

        var mail = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(["legal@acme.example", "dpo@acme.example"], mail.Receivers);
        Assert.Matches("^<[0-9a-f]+-1\\.legal@dingflow\\.alerts>$", mail.Id);
        Assert.Contains("Reason: x", mail.Text, StringComparison.Ordinal);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "legal")).State);
        Assert.True(await IsReadyAsync(Mail()));
    }

    [Fact]
    public async Task A_mail_comes_once_when_two_answers_in_a_row_are_lost()
    {
        _sandbox.Faults.Set(
        [
            new SandboxFault { Kind = SandboxFaultKind.LostAfter, Operation = SandboxOperations.GraphCreateMessage, Count = 1 },
            new SandboxFault { Kind = SandboxFaultKind.LostAfter, Operation = SandboxOperations.GraphSendMessage, Count = 1 },
        ]);
        await SendAsync([Mail()], Parked("p-1", "x"));
        foreach (var wait in (int[])[2, 5, 30])
        {
            await PassAsync(TimeSpan.FromMinutes(wait), [Mail()]);
        }

        Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(NoticeState.Delivered, (await DeliveryAsync("p-1", "legal")).State);
    }

    [Fact]
    public async Task A_channel_that_may_only_send_may_double_a_mail_under_one_message_id()
    {
        var sendOnly = Mail() with { SendOnly = true };
        Fault(SandboxFaultKind.LostAfter, SandboxOperations.GraphSendMail, 1);
        await SendAsync([sendOnly], Parked("p-1", "x"));
        await PassAsync(TimeSpan.FromSeconds(5), [sendOnly]);

        Assert.Equal(2, _sandbox.Outbox.Messages.Length);
        Assert.Single(_sandbox.Outbox.Messages.Select(static message => message.Id).Distinct());
        Assert.DoesNotContain(_sandbox.Journal.Entries, static entry => entry.Operation is SandboxOperations.GraphMessages or SandboxOperations.GraphCreateMessage);
    }

    [Fact]
    public async Task A_mailbox_that_does_not_exist_or_may_not_send_is_red()
    {
        var nobody = Mail() with { From = "nobody@sandbox.example" };
        await SendAsync([nobody], Parked("p-1", "x"));
        Assert.False(await IsReadyAsync(nobody));

        Fault(SandboxFaultKind.Denied, SandboxOperations.GraphSendMessage, 1);
        await SendAsync([Mail()], Parked("p-2", "x"));
        Assert.False(await IsReadyAsync(Mail()));
    }

    [Fact]
    public async Task Severity_and_area_decide_which_channel_gets_what()
    {
        AlertChannel[] channels = [Robot() with { Severity = AlertSeverity.Critical, GroupWait = TimeSpan.Zero }, Mail() with { Areas = ["thresholds"] }];

        await SendAsync(channels, Parked("p-1", "x"), Parked("p-2", "x") with { Severity = AlertSeverity.Warning });

        Assert.Equal("robot.send", Assert.Single(_sandbox.Outbox.Messages).Operation);
    }

    [Theory]
    [InlineData(nameof(StoreFault.DieBefore))]
    [InlineData(nameof(StoreFault.DieAfter))]
    [InlineData(nameof(StoreFault.LoseAnswer))]
    [InlineData(nameof(StoreFault.FalseRefusal))]
    public async Task A_crash_between_any_two_operations_of_the_delivery_loses_nothing_and_shows_nothing_twice(string kind)
    {
        var fault = Enum.Parse<StoreFault>(kind);
        AlertChannel[] channels = [Robot() with { GroupWait = TimeSpan.FromSeconds(10) }, Notice("sb-1001")];
        var longest = 0;
        for (var at = 1; at <= longest + 1; at++)
        {
            _sandbox.Outbox.Clear();
            await new AlertSender(_queue).SendAsync(Parked($"{kind}-{at}", $"{at}"), Token);
            for (var steps = 0; ; steps++)
            {
                var next = _queue.Alerts.FirstOrDefault(message => !_handled.Contains(message.MessageId));
                if (next is null)
                {
                    break;
                }

                if (next.EnqueueAt > _time.GetUtcNow())
                {
                    _time.SetUtcNow(next.EnqueueAt.Value);
                }

                Assert.True(steps < 40, "It does not come to an end.");
                // Every step fails once at this operation; then it is delivered again, as the queue does, or comes later, as it sent itself.
                var store = new LedgerFaultyStore(
                    _store, call => call == at && !next.MessageId.Contains("-later-", StringComparison.Ordinal) ? fault : StoreFault.None);
                try
                {
                    await HandleAsync(next, channels, store);
                    _handled.Add(next.MessageId);
                }
                catch (Exception exception) when (exception is ProcessDiedException or EntityStoreException)
                {
                    await HandleAsync(next, channels, _store);
                    _handled.Add(next.MessageId);
                }

                longest = Math.Max(longest, store.Calls);
            }

            Assert.Equal(["corpconversation.asyncsend_v2", "robot.send"], _sandbox.Outbox.Messages.Select(static message => message.Operation).Order());
        }

        Assert.True(longest > 5);
    }

    private static AlertMessage Parked(string id, string reason) => new()
    {
        AlertId = id,
        Type = "messaging.parked",
        Severity = AlertSeverity.Critical,
        OccurredAt = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)),
        Summary = "A message could not be handled and was set aside.",
        About = "offboarding",
        Details = new Dictionary<string, string> { ["parkedId"] = id, ["reason"] = reason },
    };

    private void Fault(SandboxFaultKind kind, string operation, int count) =>
        _sandbox.Faults.Set([new SandboxFault { Kind = kind, Operation = operation, Count = count }]);

    private async Task SendAsync(AlertChannel[] channels, params AlertMessage[] alerts)
    {
        foreach (var alert in alerts)
        {
            await new AlertSender(_queue).SendAsync(alert, Token);
        }

        await PumpAsync(channels);
    }

    private Task PassAsync(TimeSpan time) => PassAsync(time, [Robot()]);

    private Task PassAsync(TimeSpan time, AlertChannel[] channels)
    {
        _time.Advance(time);
        return PumpAsync(channels);
    }

    private async Task PumpAsync(AlertChannel[] channels)
    {
        while (_queue.Alerts.FirstOrDefault(message => !_handled.Contains(message.MessageId) && (message.EnqueueAt ?? default) <= _time.GetUtcNow()) is { } next)
        {
            _handled.Add(next.MessageId);
            await HandleAsync(next, channels, _store);
        }
    }

    private Task HandleAsync(OutgoingMessage message, AlertChannel[] channels, IEntityStore store) => new DeliverAlert(
        new AlertOptions { Channels = channels }, _senders, new AlertStore(store, new TestTrail(store)), store, _queue, _time, NullLogger<DeliverAlert>.Instance).InvokeAsync(
        new ReceivedMessage { Queue = "alerts", MessageId = message.MessageId, DeliveryCount = 1, Body = message.Body }, Token);

    private async Task<NoticeProgress> DeliveryAsync(string alertId, string channel) =>
        (await new AlertNotices(_store).OfAlertAsync(AlertWork.KeyOf(alertId), new AlertStore(_store, new TestTrail(_store)), Token)).Single(notice => notice.Channel == channel);

    private async Task<bool> IsReadyAsync(AlertChannel channel) =>
        (await new AlertReadiness(new AlertOptions { Channels = [channel] }, _store).CheckAsync(Token)).IsReady;
}
