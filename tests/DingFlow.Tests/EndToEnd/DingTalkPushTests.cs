using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Sandbox;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>DingTalk's own pushes over HTTP.</summary>
public sealed class DingTalkPushTests(StandaloneProgram standalone)
{
    [Fact]
    public async Task The_address_is_confirmed_with_an_encrypted_success()
    {
        using var walk = await standalone.WalkAsync();

        var answer = await DingTalkPush.SendAsync(walk.Program.Client, """{"EventType":"check_url"}""");

        DingTalkPush.IsSuccess(answer);
    }

    [Theory]
    [InlineData("signature", "timestamp")]
    [InlineData("msg_signature", "timestamp")]
    [InlineData("signature", "timeStamp")]
    [InlineData("msg_signature", "timeStamp")]
    public async Task Every_spelling_of_the_query_is_understood(string signature, string timestamp)
    {
        using var walk = await standalone.WalkAsync();

        var answer = await DingTalkPush.SendAsync(walk.Program.Client, """{"EventType":"check_url"}""", signature, timestamp);

        DingTalkPush.IsSuccess(answer);
    }

    [Fact]
    public async Task A_member_who_left_by_DingTalks_word_is_frozen_in_Entra_once_though_it_is_pushed_three_times()
    {
        using var walk = await standalone.WalkAsync();
        await walk.Sandbox.PutPersonAsync("E1017", """{"dingTalk":{"member":false}}""");
        var push = new JObject
        {
            ["eventId"] = Guid.NewGuid().ToString("N"), ["CorpId"] = SandboxOptions.CorpId, ["EventType"] = "user_leave_org",
            ["UserId"] = new JArray("sb-1017"), ["OptStaffId"] = "sb-1018", ["TimeStamp"] = DingTalkPush.Milliseconds(),
        }.ToString();

        for (var attempt = 0; attempt < 3; attempt++)
        {
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, push));
        }

        var concluded = await CaseOfUserAsync(walk, "sb-1017");
        Assert.Single(concluded["signals"]!);
        Assert.Equal("alreadyDone", (string?)concluded["steps"]!.First(s => (string?)s["target"] == "dingtalk")["outcome"]);
    }

    [Fact]
    public async Task HRs_word_in_DingTalk_that_a_person_left_freezes_the_person()
    {
        using var walk = await standalone.WalkAsync();
        var push = new JObject
        {
            ["EventType"] = "hrm_mdm_user_change", ["EventTime"] = long.Parse(DingTalkPush.Milliseconds(), CultureInfo.InvariantCulture),
            ["CorpId"] = SandboxOptions.CorpId, ["BizId"] = "1", ["eventId"] = Guid.NewGuid().ToString("N"), ["changeType"] = 4, ["staffId"] = "sb-1014",
        }.ToString();

        DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, push));

        Assert.Equal("verified", Operations.StateOf(await CaseOfUserAsync(walk, "sb-1014")));
        await walk.Sandbox.IsFrozenAsync("E1014");
    }

    [Fact]
    public async Task Other_events_are_confirmed_and_freeze_nobody()
    {
        using var walk = await standalone.WalkAsync();

        foreach (var push in (string[])[
            """{"EventType":"user_add_org","UserId":["sb-1010"],"eventId":"00000000000000000000000000000a01"}""",
            """{"EventType":"hrm_mdm_user_change","changeType":2,"staffId":"sb-1010","eventId":"00000000000000000000000000000a02"}"""])
        {
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, push));
        }

        Assert.Empty((await walk.Sandbox.PersonAsync("E1010"))["mutations"]!);
    }

    [Fact]
    public async Task A_wrong_signature_is_refused_before_anything_is_decrypted()
    {
        using var walk = await standalone.WalkAsync();
        const string Push = """{"EventType":"check_url"}""";

        (await DingTalkPush.SendAsync(walk.Program.Client, Push, token: "anothertoken")).IsProblem(401, "invalid-signature");
        (await walk.Program.Client.AskAsync(HttpMethod.Post, "/api/dingtalk/sandbox/events", """{"encrypt":"AAAA"}""")).IsProblem(401, "invalid-signature");
        (await walk.Program.Client.AskAsync(HttpMethod.Post, "/api/dingtalk/sandbox/events?signature=x&timestamp=1&nonce=2", "{}")).IsProblem(400, "malformed");
        (await DingTalkPush.SendAsync(walk.Program.Client, Push, ownerKey: "dinganotherapp")).IsProblem(403, "forbidden");
        (await DingTalkPush.SendAsync(walk.Program.Client, Push, age: TimeSpan.FromHours(1))).IsProblem(401, "stale-timestamp");
    }

    [Fact]
    public async Task DingTalk_is_answered_while_everything_remote_hangs_and_the_case_goes_on_when_it_no_longer_does()
    {
        using var walk = await standalone.WalkAsync();
        var push = new JObject
        {
            ["EventType"] = "hrm_mdm_user_change", ["CorpId"] = SandboxOptions.CorpId, ["eventId"] = Guid.NewGuid().ToString("N"), ["changeType"] = 4, ["staffId"] = "sb-1020",
        }.ToString();
        await walk.Sandbox.SetFaultsAsync("""{"kind":"hang","employeeId":"E1020"}""");
        try
        {
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, push));
            await Eventually.IsTrueAsync(
                async () => (await walk.Sandbox.JournalAsync("E1020")).Count > 0, () => "a call that hangs", TestContext.Current.CancellationToken);
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, push));
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(walk.Program.Client, """{"EventType":"check_url"}"""));

            // All that was answered before a single call about the person came back.
            Assert.All(await walk.Sandbox.JournalAsync("E1020"), call => Assert.Equal(JTokenType.Null, call["status"]!.Type));
        }
        finally
        {
            await walk.Sandbox.ClearFaultsAsync();
        }

        Assert.Equal("verified", Operations.StateOf(await CaseOfUserAsync(walk, "sb-1020")));
        await walk.Sandbox.IsFrozenAsync("E1020");
    }

    private static Task<JObject> CaseOfUserAsync(Walk walk, string userId) => Eventually.GetAsync(
        async () => (await walk.Operations.AllCasesAsync())
            .SingleOrDefault(c => Operations.StateOf(c) != "running" && c["accounts"]!.Any(a => (string?)a["accountId"] == userId)),
        () => $"one concluded case of {userId}", TestContext.Current.CancellationToken);
}

/// <summary>A push as DingTalk makes it, written from the protocol and not from our code.</summary>
internal static class DingTalkPush
{
    private static readonly byte[] Key = Convert.FromBase64String(SandboxOptions.CallbackAesKey + "=");

    public static string Milliseconds(TimeSpan age = default) =>
        (TimeProvider.System.GetUtcNow() - age).ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);

    public static async Task<Answer> SendAsync(
        HttpClient client, string message, string signatureName = "signature", string timestampName = "timestamp",
        string token = SandboxOptions.CallbackToken, string ownerKey = SandboxOptions.AppKey, TimeSpan age = default)
    {
        var (timestamp, nonce, encrypt) = (Milliseconds(age), Guid.NewGuid().ToString("N")[..10], Encrypt(message, ownerKey));
        return await client.AskAsync(
            HttpMethod.Post,
            $"/api/dingtalk/sandbox/events?{signatureName}={Sign(token, timestamp, nonce, encrypt)}&{timestampName}={timestamp}&nonce={nonce}",
            new JObject { ["encrypt"] = encrypt }.ToString());
    }

    /// <summary>The reply that DingTalk takes for success, and no other.</summary>
    public static void IsSuccess(Answer answer)
    {
        Assert.Equal((200, "application/json"), (answer.Status, answer.MediaType));
        Assert.Equal(["encrypt", "msg_signature", "nonce", "timeStamp"], answer.Json.Properties().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.All(answer.Json.Properties(), property => Assert.Equal(JTokenType.String, property.Value.Type));
        var (timestamp, nonce, encrypt) = ((string)answer.Json["timeStamp"]!, (string)answer.Json["nonce"]!, (string)answer.Json["encrypt"]!);
        Assert.Equal(13, timestamp.Length);
        Assert.Equal(Sign(SandboxOptions.CallbackToken, timestamp, nonce, encrypt), (string?)answer.Json["msg_signature"]);
        Assert.Equal("success", Decrypt(encrypt));
    }

    private static string Sign(params string[] parts)
    {
        Array.Sort(parts, StringComparer.Ordinal);
#pragma warning disable CA5350 // The protocol asks for it.
        return Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(string.Concat(parts))));
#pragma warning restore CA5350
    }

    private static string Encrypt(string message, string ownerKey)
    {
        var text = Encoding.UTF8.GetBytes(message);
        var length = BitConverter.GetBytes(text.Length);
        Array.Reverse(length);
        byte[] plain = [.. RandomNumberGenerator.GetBytes(16), .. length, .. text, .. Encoding.UTF8.GetBytes(ownerKey)];
        var pad = 32 - (plain.Length % 32);
        using var aes = Aes.Create();
        aes.Key = Key;
        byte[] padded = [.. plain, .. Enumerable.Repeat((byte)pad, pad)];
        return Convert.ToBase64String(aes.EncryptCbc(padded, Key[..16], PaddingMode.None));
    }

    private static string Decrypt(string encrypt)
    {
        using var aes = Aes.Create();
        aes.Key = Key;
        var plain = aes.DecryptCbc(Convert.FromBase64String(encrypt), Key[..16], PaddingMode.None);
        plain = plain[..^plain[^1]];
        var length = (plain[16] << 24) | (plain[17] << 16) | (plain[18] << 8) | plain[19];
        Assert.Equal(SandboxOptions.AppKey, Encoding.UTF8.GetString(plain.AsSpan(20 + length)));
        return Encoding.UTF8.GetString(plain.AsSpan(20, length));
    }
}
