using System.Text;
using CsCheck;
using DingFlow.DingTalk;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkCallbackEventTests
{
    [Fact]
    public void The_wording_seen_on_the_wire_is_read()
    {
        var read = Parse(
            """{"CorpId":"dingc","EventType":"user_leave_org","UserId":["u1","u2"],"OptStaffId":"a","TimeStamp":"1645077203219"}""");

        Assert.NotNull(read);
        Assert.Equal(["u1", "u2"], read.Leavers);
        Assert.Equal("dingc", read.CorpId);
        Assert.Null(read.EventId);
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1645077203219), read.Time);
        Assert.False(read.IsUnreadable);
    }

    [Fact]
    public void The_documented_wording_is_read()
    {
        var read = Parse(
            """{"EventType":"user_leave_org","EventTime":1767225600000,"corpId":"dingc","eventId":"e1","userId":["u1"],"timeStamp":"1"}""");

        Assert.NotNull(read);
        Assert.Equal(["u1"], read.Leavers);
        Assert.Equal("dingc", read.CorpId);
        Assert.Equal("e1", read.EventId);
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1767225600000), read.Time);
    }

    [Fact]
    public void Of_properties_that_differ_in_case_only_the_pascal_one_counts()
    {
        var read = Parse(
            """{"eventType":"other","EventType":"user_leave_org","corpId":"no","CorpId":"dingc","userId":["no"],"UserId":["u1"],"EVENTTYPE":"third"}""");

        Assert.NotNull(read);
        Assert.Equal("user_leave_org", read.Type);
        Assert.Equal("dingc", read.CorpId);
        Assert.Equal(["u1"], read.Leavers);
    }

    [Theory]
    [InlineData("""{"EVENTTYPE":"user_leave_org","USERID":["u1"]}""")]
    [InlineData("""{"eventtype":"user_leave_org","userid":"u1"}""")]
    [InlineData("""{"EventType":"user_leave_org","UserId":null,"userId":["u1","u1"]}""")]
    [InlineData("""{"EventType":"hrm_mdm_user_change","changeType":4,"staffId":"u1"}""")]
    [InlineData("""{"EventType":"hrm_mdm_user_change","changeType":"4","StaffId":"u1"}""")]
    public void A_leaver_is_read_however_it_is_worded(string json) => Assert.Equal(["u1"], Parse(json)?.Leavers);

    [Theory]
    [InlineData("""{"EventType":"user_add_org","UserId":["u1"]}""")]
    [InlineData("""{"EventType":"hrm_mdm_user_change","changeType":3,"staffId":"u1"}""")]
    [InlineData("""{"EventType":"label_user_change","UserIdList":["u1"]}""")]
    public void Other_events_have_no_leavers_and_are_readable(string json)
    {
        var read = Parse(json);

        Assert.NotNull(read);
        Assert.Empty(read.Leavers);
        Assert.False(read.IsUnreadable);
    }

    [Theory]
    [InlineData("""{"EventType":"user_leave_org"}""")]
    [InlineData("""{"EventType":"user_leave_org","UserId":[]}""")]
    [InlineData("""{"EventType":"user_leave_org","UserId":{"a":1}}""")]
    [InlineData("""{"EventType":"user_leave_org","UserId":["u1",{}]}""")]
    [InlineData("""{"EventType":"user_leave_org","UserId":["u1",""]}""")]
    [InlineData("""{"EventType":"hrm_mdm_user_change","changeType":4}""")]
    public void Leavers_that_cannot_be_read_are_said_to_be_so(string json)
    {
        var read = Parse(json);

        Assert.NotNull(read);
        Assert.True(read.IsUnreadable);
        Assert.Empty(read.Leavers);
    }

    [Theory]
    [InlineData("check_url", true)]
    [InlineData("check_create_suite_url", true)]
    [InlineData("check_update_suite_url", true)]
    [InlineData("user_leave_org", false)]
    public void Verifications_are_told_from_events(string type, bool expected) =>
        Assert.Equal(expected, Parse($$"""{"EventType":"{{type}}"}""")?.IsVerification);

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{}")]
    [InlineData("""{"EventType":7.5}""")]
    [InlineData("""{"EventType":""}""")]
    [InlineData("""{"EventType":"user_leave_org"} {}""")]
    [InlineData("""{"EventType":"user_leave_org" """)]
    public void What_is_no_event_is_none(string json) => Assert.Null(Parse(json));

    [Fact]
    public void A_deep_message_is_none() =>
        Assert.Null(Parse($$"""{"EventType":"x","a":{{new string('[', 100)}}{{new string(']', 100)}}}"""));

    [Fact]
    public void Bytes_that_are_no_utf8_are_none() =>
        Assert.Null(DingTalkCallbackEvent.Parse(new byte[] { (byte)'{', (byte)'"', 0xC3, (byte)'"', (byte)':', (byte)'1', (byte)'}' }));

    [Fact]
    public void Random_bytes_never_throw() => Gen.Byte.Array[0, 100].Sample(static bytes => { _ = DingTalkCallbackEvent.Parse(bytes); }, iter: 2000);

    [Fact]
    public void A_message_with_any_byte_changed_never_throws()
    {
        var valid = Encoding.UTF8.GetBytes(
            """{"eventId":"0001","CorpId":"dingc","EventType":"user_leave_org","UserId":["u1",2,null],"TimeStamp":"1767225600000","n":1e5}""");
        Gen.Select(Gen.Int[0, valid.Length - 1], Gen.Byte).Sample(
            (position, value) =>
            {
                var changed = (byte[])valid.Clone();
                changed[position] = value;
                _ = DingTalkCallbackEvent.Parse(changed);
            },
            iter: 3000);
    }

    private static DingTalkCallbackEvent? Parse(string json) => DingTalkCallbackEvent.Parse(Encoding.UTF8.GetBytes(json));
}
