using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Tests.Messaging;

public sealed class OffboardingMessageTests
{
    [Fact]
    public void A_delivery_has_the_documented_body_and_reads_back()
    {
        var message = new OffboardingMessage
        {
            Kind = OffboardingMessageKind.Delivery, Delivery = new InboxReference("07", "abc", 2), Generation = 1,
        };

        var body = message.ToBody();

        Assert.Equal("""{"kind":"delivery","partition":"07","row":"abc","item":2,"generation":1}""", Encoding.UTF8.GetString(body.Span));
        Assert.Equal(message, OffboardingMessage.Parse(body.Span));
    }

    [Fact]
    public void A_run_has_the_documented_body_and_reads_back()
    {
        var message = new OffboardingMessage { Kind = OffboardingMessageKind.Run, CaseId = "c-1", Reason = "due" };

        var body = message.ToBody();

        Assert.Equal("""{"kind":"run","caseId":"c-1","reason":"due","generation":0}""", Encoding.UTF8.GetString(body.Span));
        Assert.Equal(message, OffboardingMessage.Parse(body.Span));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"kind":"other"}""")]
    [InlineData("""{"kind":"delivery","partition":"07","row":"abc"}""")]
    [InlineData("""{"kind":"delivery","partition":"07","row":"abc","item":-1}""")]
    [InlineData("""{"kind":"delivery","caseId":"c-1"}""")]
    [InlineData("""{"kind":"run","partition":"07","row":"abc","item":0}""")]
    public void Anything_else_is_refused(string body) =>
        Assert.Throws<FormatException>(() => OffboardingMessage.Parse(Encoding.UTF8.GetBytes(body)));
}
