using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>The roles of an organisation and who holds them.</summary>
public sealed partial class DingTalkClient
{
    private const int PageOfRoles = 200;

    /// <summary>More pages than any organisation has: an answer that says for ever that there is more is none.</summary>
    private const int MostRolePages = 2_000;

    /// <summary>All roles (<c>topapi/role/list</c>), those of every group; the default group holds the administrators and heads.</summary>
    public Task<RemoteResult<IReadOnlyList<DingTalkRole>>> ListRolesAsync(CancellationToken cancellationToken) => RolePagesAsync(
        PageOfRoles,
        (offset, size) => new("/topapi/role/list", new() { ["size"] = size, ["offset"] = offset }) { Legacy = true, AnswerBytes = ContactPageBytes },
        static group => (DingTalkErrors.Field(group, "roles") as JArray ?? [])
            .Select(role => Number(DingTalkErrors.Field(role, "id")) is { } id
                ? new DingTalkRole(id, Text(DingTalkErrors.Field(role, "name")), Text(DingTalkErrors.Field(group, "name")))
                : null)
            .OfType<DingTalkRole>(),
        cancellationToken);

    /// <summary>The user ids of all who hold a role (<c>topapi/role/simplelist</c>).</summary>
    /// <param name="roleId">The role.</param>
    /// <param name="pageSize">How many are asked for at once, at most 100.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<RemoteResult<IReadOnlyList<string>>> ListRoleMembersAsync(long roleId, int pageSize, CancellationToken cancellationToken) => RolePagesAsync(
        pageSize,
        (offset, size) => new("/topapi/role/simplelist", new()
        {
            ["role_id"] = roleId, ["size"] = size, ["offset"] = offset,
        })
        {
            Legacy = true, AnswerBytes = ContactPageBytes,
        },
        static member => Text(DingTalkErrors.Field(member, "userid")) is { } userId ? [userId] : Enumerable.Empty<string>(),
        cancellationToken);

    private async Task<RemoteResult<IReadOnlyList<T>>> RolePagesAsync<T>(
        int pageSize, Func<int, int, DingTalkCall> call, Func<JToken, IEnumerable<T>> read, CancellationToken cancellationToken)
    {
        List<T> all = [];
        for (var page = 0; page < MostRolePages; page++)
        {
            var answer = await _transport.SendAsync<(JArray List, bool More)>(
                call(page * pageSize, pageSize),
                static body => DingTalkErrors.Field(body, "result") is { } result && DingTalkErrors.Field(result, "list") is JArray list
                    ? new((list, Flag(result, "hasMore")))
                    : null,
                cancellationToken);
            if (!answer.IsOk)
            {
                return RemoteResult<IReadOnlyList<T>>.From(answer);
            }

            all.AddRange(answer.Value.List.SelectMany(read));
            if (!answer.Value.More || answer.Value.List.Count == 0)
            {
                return new(RemoteStatus.Ok, all) { RequestId = answer.RequestId };
            }
        }

        return new(RemoteStatus.Unexpected, null) { Code = "endless-pages" };
    }
}
