using System.Text;
using CsCheck;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Tests.Hosting;

public sealed class InvocationReaderTests
{
    private const string Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    private static readonly FunctionTrigger.Queue One = new("msg", "offboarding", IsSessionsEnabled: true, Batched: false);
    private static readonly FunctionTrigger.Queue Many = new("msg", "alerts", IsSessionsEnabled: false, Batched: true);
    private static readonly FunctionTrigger.Timer Timer = new("timer", Schedule.TryParse("0 */5 * * * *")!);

    [Fact]
    public void A_recorded_session_message_of_extension_5_is_read()
    {
        var message = Recorded("queue-session.json");

        Assert.Equal("""{"kind":"personEvent","employeeId":"E1001","attempt":1}""", Text(message));
        Assert.Equal("hr/acme|d-17|0", message.MessageId);
        Assert.Equal("7f1c", message.SessionId);
        Assert.Equal(2, message.DeliveryCount);
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 1, 0, 0, 417, TimeSpan.Zero), message.EnqueuedAt);
        Assert.Equal("person-event", message.Subject);
        Assert.Equal(Trace, message.TraceParent);
        Assert.Equal("offboarding", message.Queue);
    }

    [Fact]
    public void A_recorded_message_of_extension_4_is_read_without_its_session()
    {
        var message = Recorded("queue-4x.json");

        Assert.Equal("""{"a":1}""", Text(message));
        Assert.Equal(("m-1", null, "case-run", Trace), (message.MessageId, message.SessionId, message.Subject, message.TraceParent));
    }

    [Fact]
    public void A_recorded_message_that_is_no_json_keeps_its_text()
    {
        var message = Recorded("queue-text.json");

        Assert.Equal("hello, \"world\"", Text(message));
        Assert.Equal(10, message.DeliveryCount);
    }

    [Fact]
    public void Metadata_that_the_body_overwrote_are_not_believed()
    {
        var message = Recorded("queue-overwritten.json");

        Assert.StartsWith("body-", message.MessageId, StringComparison.Ordinal);
        Assert.Equal(message.MessageId, Recorded("queue-overwritten.json").MessageId);
        Assert.Equal(1, message.DeliveryCount);
        Assert.Null(message.SessionId);
        Assert.Null(message.EnqueuedAt);
        Assert.Null(message.Subject);
        Assert.Null(message.TraceParent);
    }

    [Fact]
    public void A_recorded_batch_is_read_in_order()
    {
        var messages = InvocationReader.ReadMessages(Read("queue-batch.json"), Many);

        Assert.Equal(["""{"a":1}""", "plain text", """{"a":3}"""], messages.Select(Text));
        Assert.Equal(["m-1", "m-2", "m-3"], messages.Select(message => message.MessageId));
        Assert.Equal([1, 4, 1], messages.Select(message => message.DeliveryCount));
        Assert.Equal(["one", null, "three"], messages.Select(message => message.Subject));
        Assert.Equal([Trace, null, null], messages.Select(message => message.TraceParent));
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 1, 0, 1, TimeSpan.Zero), messages[1].EnqueuedAt);
    }

    [Fact]
    public void Recorded_timers_are_read()
    {
        Assert.True(InvocationReader.ReadTick(Read("timer.json"), Timer).IsPastDue);
        Assert.False(InvocationReader.ReadTick(Read("timer-under-a-minute.json"), Timer).IsPastDue);
    }

    [Theory]
    [InlineData("""{"a":1}""", """{"a":1}""")] // an object that stayed an object
    [InlineData("""  "{\"a\":1}"  """, """{"a":1}""")] // wrapped once
    [InlineData(""" "\"{\\\"a\\\":1}\"" """, """{"a":1}""")] // wrapped twice, as the host does
    [InlineData(""" "\"\\\"{\\\\\\\"a\\\\\\\":1}\\\"\"" """, """{"a":1}""")] // with the quotes that a portal adds
    [InlineData(""" "eyJhIjoxfQ==" """, """{"a":1}""")] // bytes
    [InlineData(""" "\"eyJhIjoxfQ==\"" """, """{"a":1}""")]
    [InlineData(""" "aGVsbG8=" """, "aGVsbG8=")] // base64 of something else is a text
    [InlineData(""" "12" """, "12")]
    [InlineData("12", "12")]
    [InlineData(""" "" """, "")]
    public void A_body_is_read_in_whatever_wrapping(string data, string body)
    {
        var invocation = Encoding.UTF8.GetBytes($$$"""{"Data":{"msg":{{{data}}}},"Metadata":{}}""");

        Assert.Equal(body, Text(Assert.Single(InvocationReader.ReadMessages(invocation, One))));
    }

    [Fact]
    public void A_message_without_metadata_has_an_identity_made_from_its_body()
    {
        var first = InvocationReader.ReadMessages(Encoding.UTF8.GetBytes("""{"Data":{"msg":"\"{}\""}}"""), One)[0];
        var other = InvocationReader.ReadMessages(Encoding.UTF8.GetBytes("""{"Data":{"msg":"\"{ }\""}}"""), One)[0];

        Assert.Equal(1, first.DeliveryCount);
        Assert.NotEqual(first.MessageId, other.MessageId);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("""{"Data":{}}""")]
    [InlineData("""{"Data":[]}""")]
    [InlineData("""{"Metadata":{}}""")]
    public void What_is_no_invocation_is_refused(string invocation)
    {
        var bytes = Encoding.UTF8.GetBytes(invocation);

        Assert.Throws<InvocationException>(() => InvocationReader.ReadMessages(bytes, One));
        Assert.Throws<InvocationException>(() => InvocationReader.ReadTick(bytes, Timer));
    }

    [Theory]
    [InlineData("""{"Data":{"msg":"{}"}}""")]
    [InlineData("""{"Data":{"msg":"plain"}}""")]
    [InlineData("""{"Data":{"msg":{}}}""")]
    public void A_batch_that_is_no_array_is_refused(string invocation) =>
        Assert.Throws<InvocationException>(() => InvocationReader.ReadMessages(Encoding.UTF8.GetBytes(invocation), Many));

    [Fact]
    public void Depth_beyond_the_limit_and_broken_text_are_refused_or_kept_as_text()
    {
        var deep = string.Concat(Enumerable.Repeat("[", 1000)) + string.Concat(Enumerable.Repeat("]", 1000));
        Assert.Throws<InvocationException>(() => InvocationReader.ReadMessages(Encoding.UTF8.GetBytes($$$"""{"Data":{"msg":{{{deep}}}}}"""), One));
        Assert.Throws<InvocationException>(() => InvocationReader.ReadMessages(Encoding.UTF8.GetBytes("""{"Data":{"msg":"\ud800"}}"""), One));

        var kept = InvocationReader.ReadMessages(Encoding.UTF8.GetBytes($$$"""{"Data":{"msg":"{{{deep}}}"}}"""), One);
        Assert.Equal(deep, Text(Assert.Single(kept)));
    }

    [Fact]
    public void Whatever_bytes_arrive_are_read_or_refused()
    {
        Gen.OneOf(Gen.Byte.Array[0, 200], Mutations(Read("queue-session.json")), Mutations(Read("queue-batch.json"))).Sample(bytes =>
        {
            foreach (var trigger in (FunctionTrigger.Queue[])[One, Many])
            {
                try
                {
                    Assert.All(InvocationReader.ReadMessages(bytes, trigger), message => Assert.NotEmpty(message.MessageId));
                }
                catch (InvocationException)
                {
                    // Refused.
                }
            }
        }, iter: 2000);

        static Gen<byte[]> Mutations(byte[] original) => Gen.Select(Gen.Int[0, original.Length - 1], Gen.Byte).Select((position, value) =>
        {
            var bytes = original.ToArray();
            bytes[position] = value;
            return bytes;
        });
    }

    [Fact]
    public void What_the_standalone_host_writes_is_read_as_it_was_sent()
    {
        var ids = Gen.String[Gen.Char[' ', '~'], 1, 40].Where(id => id.Trim().Length > 0 && !id.StartsWith('"'));
        string[] names = ["employeeId", "note", "messageId", "SESSIONID", "subject", "x"];
        var properties = Gen.Select(Gen.Int[0, names.Length - 1].Select(index => names[index]), Gen.String[0, 20]);
        Gen.Select(ids, ids, properties.Array[0, 4], Gen.Int[1, 10]).Sample((id, session, body, delivery) =>
        {
            var json = Json(body);
            var sent = new ReceivedMessage
            {
                Queue = "offboarding", MessageId = $"m{id}", SessionId = $"s{session}", DeliveryCount = delivery, Body = json, Subject = "sub",
                EnqueuedAt = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.Zero), TraceParent = Trace,
            };
            var locked = new LockedMessage(sent, Queues.Offboarding, 7, Guid.Empty, DateTimeOffset.MaxValue);

            var read = InvocationReader.ReadMessages(InvocationWriter.Message(One, "F", locked, DateTimeOffset.UnixEpoch), One)[0];

            Assert.Equal(Encoding.UTF8.GetString(json), Text(read));
            var overwritten = body.Select(property => property.Item1.ToUpperInvariant()).ToHashSet();
            Assert.Equal(overwritten.Contains("SESSIONID") ? null : sent.SessionId, read.SessionId);
            Assert.Equal(sent.EnqueuedAt, read.EnqueuedAt);
            Assert.Equal(delivery, read.DeliveryCount);
            Assert.Equal(Trace, read.TraceParent);
            if (overwritten.Contains("MESSAGEID"))
            {
                Assert.StartsWith("body-", read.MessageId, StringComparison.Ordinal);
            }
            else
            {
                Assert.Equal(sent.MessageId, read.MessageId);
            }
        }, iter: 500);

        static byte[] Json((string, string)[] properties)
        {
            using var stream = new MemoryStream();
            using (var writer = new System.Text.Json.Utf8JsonWriter(stream))
            {
                writer.WriteStartObject();
                foreach (var (name, value) in properties.DistinctBy(property => property.Item1))
                {
                    writer.WriteString(name, value);
                }

                writer.WriteEndObject();
            }

            return stream.ToArray();
        }
    }

    private static ReceivedMessage Recorded(string file) => Assert.Single(InvocationReader.ReadMessages(Read(file), One));

    private static byte[] Read(string file) => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Hosting", "Recorded", file));

    private static string Text(ReceivedMessage message) => Encoding.UTF8.GetString(message.Body.Span);

    [Fact]
    public void A_dead_letter_keeps_its_session_and_says_why_it_was_given_up()
    {
        var invocation = Encoding.UTF8.GetBytes("""
            {"Data":{"msg":"\"{\\\"kind\\\":\\\"run\\\"}\""},"Metadata":{"MessageId":"\"m-1\"","SessionId":"\"s-1\"","DeliveryCount":"11",
             "ApplicationProperties":{"DeadLetterReason":"MaxDeliveryCountExceeded","DeadLetterErrorDescription":"Message could not be consumed after 10 delivery attempts."}}}
            """);
        var message = Assert.Single(InvocationReader.ReadMessages(
            invocation, new FunctionTrigger.Queue("msg", "offboarding", IsSessionsEnabled: false, Batched: false) { IsDeadLetters = true }));

        Assert.Equal(
            ("offboarding", "s-1", 11, "MaxDeliveryCountExceeded: Message could not be consumed after 10 delivery attempts."),
            (message.Queue, message.SessionId, message.DeliveryCount, message.DeadLetterReason));
    }

    [Fact]
    public void Every_queue_has_a_function_that_parks_its_dead_letters()
    {
        var addresses = Directory.EnumerateFiles(Path.Combine(DingFlow.Tests.Infrastructure.Repository.Root, "functions", "Triggers"), "function.json", SearchOption.AllDirectories)
            .Select(File.ReadAllText).ToList();

        Assert.All(Queues.All, queue => Assert.Contains(addresses, json => json.Contains($"\"{queue.Name}/$DeadLetterQueue\"", StringComparison.Ordinal)));
    }
}
