using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The sandbox inside a standalone program, through its socket.</summary>
internal sealed class SandboxSwitches(HttpClient socket) : IDisposable
{
    public async Task<JObject> PersonAsync(string employeeId)
    {
        var answer = await socket.AskAsync(HttpMethod.Get, $"/people/{employeeId}");
        Assert.Equal(200, answer.Status);
        return answer.Json;
    }

    /// <summary>Lays the text over the person, or adds a new one.</summary>
    public Task PutPersonAsync(string employeeId, string patch) => DoAsync(HttpMethod.Put, $"/people/{employeeId}", patch);

    public async Task<IReadOnlyList<JObject>> JournalAsync(string? employeeId = null)
    {
        var answer = await socket.AskAsync(HttpMethod.Get, employeeId is null ? "/journal" : $"/journal?employeeId={employeeId}");
        Assert.Equal(200, answer.Status);
        return [.. ((JArray)Answer.Parse(answer.Text)).Cast<JObject>()];
    }

    public Task SetFaultsAsync(string json) => DoAsync(HttpMethod.Put, "/faults", json);

    public Task ClearFaultsAsync() => DoAsync(HttpMethod.Delete, "/faults");

    /// <summary>Nothing of the person works any more: DingTalk disabled and signed out, Entra blocked and signed out.</summary>
    public async Task IsFrozenAsync(string employeeId)
    {
        var person = await PersonAsync(employeeId);
        Assert.True((bool)person["dingTalk"]!["disabled"]!);
        Assert.Equal(0, (int)person["dingTalk"]!["sessions"]!);
        await EntraIsFrozenAsync(employeeId);
    }

    public async Task EntraIsFrozenAsync(string employeeId)
    {
        var person = await PersonAsync(employeeId);
        Assert.False((bool)person["entra"]!["accountEnabled"]!);
        Assert.Equal(0, (int)person["entra"]!["sessions"]!);
    }

    public void Dispose() => socket.Dispose();

    private async Task DoAsync(HttpMethod method, string path, string? body = null)
    {
        var answer = await socket.AskAsync(method, path, body);
        Assert.True(answer.Status is 200 or 204, $"{method} {path}: {answer.Status} {answer.Text}");
    }
}
