using System.Collections.Concurrent;
using DingFlow.Remote;
using DingFlow.Storage;

namespace DingFlow.DingTalk;

/// <summary>
/// Who is who in each tenant. DingTalk cannot look people up by employee number or e-mail address, and knows nothing of people who left,
/// so a map is kept beforehand.
/// </summary>
public sealed class DingTalkDirectory(DingTalkClients clients, IEntityStore store, DingTalkOptions options, TimeProvider time) : IDisposable
{
    private const int CallsAtOnce = 4;

    /// <summary>DingTalk's code for a department that is not there: one removed since it was listed has no members any more.</summary>
    private const string DepartmentGone = "60003";

    /// <summary>After a refresh, how long an unknown identifier does not cause another.</summary>
    private static readonly TimeSpan RefreshPause = TimeSpan.FromMinutes(1);

    /// <summary>How long a look-up waits for a refresh; the refresh itself goes on.</summary>
    private static readonly TimeSpan RefreshPatience = TimeSpan.FromSeconds(20);

    private readonly DirectoryMap _map = new(store, options.PseudonymKey, time);
    private readonly ConcurrentDictionary<string, TenantRefresh> _refreshes = new(StringComparer.OrdinalIgnoreCase);
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>
    /// All distinct people that any of the identifiers leads to, those who left included. When the map knows none of them it is
    /// refreshed first, at most once a minute per tenant; a refresh that fails or takes long is the answer, so that an empty list
    /// really means nobody.
    /// </summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public async Task<RemoteResult<IReadOnlyList<DirectoryEntry>>> FindAsync(
        string tenant, string? jobNumber, string? email, CancellationToken cancellationToken)
    {
        var client = clients[tenant];
        var entries = await _map.FindAsync(client.Tenant, jobNumber, email, cancellationToken);
        if (entries.Count > 0 || (string.IsNullOrWhiteSpace(jobNumber) && string.IsNullOrWhiteSpace(email)))
        {
            return new(RemoteStatus.Ok, entries);
        }

        var refreshed = await RecentRefreshAsync(client, cancellationToken);
        return refreshed.IsOk
            ? new(RemoteStatus.Ok, await _map.FindAsync(client.Tenant, jobNumber, email, cancellationToken))
            : RemoteResult<IReadOnlyList<DirectoryEntry>>.From(refreshed);
    }

    /// <summary>The entry of a user id, as positive evidence that it existed; <see langword="null"/> when it was never seen.</summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public Task<DirectoryEntry?> GetKnownAsync(string tenant, string userId, CancellationToken cancellationToken) =>
        _map.GetAsync(clients[tenant].Tenant, userId, cancellationToken);

    /// <summary>Everybody who was ever seen in the contact list and is still remembered.</summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public IAsyncEnumerable<DirectoryEntry> KnownAsync(string tenant, CancellationToken cancellationToken) =>
        _map.AllAsync(clients[tenant].Tenant, cancellationToken);

    /// <summary>
    /// Reads the whole contact list into the map, or joins the reading that is under way. Returns how many people the list shows. When a
    /// part of it cannot be read nothing is changed.
    /// </summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public async Task<RemoteResult<int>> RefreshAsync(string tenant, CancellationToken cancellationToken) =>
        await Start(clients[tenant]).WaitAsync(cancellationToken);

    /// <summary>
    /// Everybody whom the contact list shows now; the map is brought to that, too. When a part of the list cannot be read nobody is returned.
    /// </summary>
    /// <exception cref="KeyNotFoundException">No such tenant is configured.</exception>
    public async Task<RemoteResult<IReadOnlyCollection<DingTalkUser>>> ListAsync(string tenant, CancellationToken cancellationToken)
    {
        var users = await ReadUsersAsync(clients[tenant], cancellationToken);
        if (users is { IsOk: true, Value: { } found })
        {
            await _map.SaveAsync(clients[tenant].Tenant, found, cancellationToken);
        }

        return users;
    }

    /// <summary>Ends refreshes that are under way.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private async Task<RemoteResult<int>> RecentRefreshAsync(DingTalkClient client, CancellationToken cancellationToken)
    {
        var refresh = _refreshes.GetOrAdd(client.Tenant, static _ => new());
        if (refresh.LastResult(time.GetUtcNow() - RefreshPause) is { } recent)
        {
            return recent;
        }

        try
        {
            return await Start(client).WaitAsync(RefreshPatience, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return new(RemoteStatus.Unavailable, 0) { Code = "directory-refresh-under-way", RetryAfter = RefreshPause / 2 };
        }
    }

    private Task<RemoteResult<int>> Start(DingTalkClient client) => _refreshes.GetOrAdd(client.Tenant, static _ => new()).Join(async refresh =>
    {
        var result = await ReadContactListAsync(client, _stopping.Token);
        refresh.Finish(result, time.GetUtcNow());
        return result;
    });

    private async Task<RemoteResult<int>> ReadContactListAsync(DingTalkClient client, CancellationToken cancellationToken)
    {
        var users = await ReadUsersAsync(client, cancellationToken);
        if (!users.IsOk)
        {
            return RemoteResult<int>.From(users);
        }

        await _map.SaveAsync(client.Tenant, users.Value!, cancellationToken);
        return new(RemoteStatus.Ok, users.Value!.Count);
    }

    private static async Task<RemoteResult<IReadOnlyCollection<DingTalkUser>>> ReadUsersAsync(DingTalkClient client, CancellationToken cancellationToken)
    {
        var departments = await ListDepartmentsAsync(client, cancellationToken);
        if (!departments.IsOk)
        {
            return RemoteResult<IReadOnlyCollection<DingTalkUser>>.From(departments);
        }

        var users = new ConcurrentDictionary<string, DingTalkUser>(StringComparer.Ordinal);
        var failure = await ForEachAsync(
            departments.Value!, (department, token) => ReadMembersAsync(client, department, users, token), cancellationToken);
        return failure is not null
            ? RemoteResult<IReadOnlyCollection<DingTalkUser>>.From(failure)
            : new(RemoteStatus.Ok, users.Values.ToList());
    }

    private static async Task<RemoteResult<IReadOnlyCollection<long>>> ListDepartmentsAsync(
        DingTalkClient client, CancellationToken cancellationToken)
    {
        // Level by level; a department that turns up twice ends there, so that a list that goes in circles ends too.
        var all = new HashSet<long> { DingTalkClient.RootDepartment };
        IReadOnlyCollection<long> level = [DingTalkClient.RootDepartment];
        while (level.Count > 0)
        {
            var below = new ConcurrentBag<long>();
            var failure = await ForEachAsync(
                level,
                async (department, token) =>
                {
                    var children = await client.ListSubDepartmentsAsync(department, token);
                    foreach (var child in children.Value ?? [])
                    {
                        below.Add(child);
                    }

                    return children;
                },
                cancellationToken);
            if (failure is not null)
            {
                return RemoteResult<IReadOnlyCollection<long>>.From(failure);
            }

            level = [.. below.Where(all.Add)];
        }

        return new(RemoteStatus.Ok, all);
    }

    private static async Task<RemoteResult> ReadMembersAsync(
        DingTalkClient client, long department, ConcurrentDictionary<string, DingTalkUser> users, CancellationToken cancellationToken)
    {
        long? cursor = 0;
        while (cursor is { } position)
        {
            var page = await client.ListUsersAsync(department, position, cancellationToken);
            if (!page.IsOk)
            {
                return page;
            }

            foreach (var user in page.Value!.Users)
            {
                users[user.UserId] = user;
            }

            if (page.Value.NextCursor <= position)
            {
                return new(RemoteStatus.Unexpected) { Code = "endless-pages", RequestId = page.RequestId };
            }

            cursor = page.Value.NextCursor;
        }

        return new(RemoteStatus.Ok);
    }

    /// <summary>Calls for each item, a few at once, until one fails; returns that failure.</summary>
    private static async Task<RemoteResult?> ForEachAsync(
        IReadOnlyCollection<long> items, Func<long, CancellationToken, Task<RemoteResult>> call, CancellationToken cancellationToken)
    {
        RemoteResult? failure = null;
        var options = new ParallelOptions { MaxDegreeOfParallelism = CallsAtOnce, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(items, options, async (item, token) =>
        {
            if (Volatile.Read(ref failure) is null && await call(item, token) is { IsOk: false } failed
                && !(failed.Code == DepartmentGone && item != DingTalkClient.RootDepartment))
            {
                Interlocked.CompareExchange(ref failure, failed, null);
            }
        });
        return failure;
    }

    /// <summary>The refresh of one tenant: one at a time, and its last result.</summary>
    private sealed class TenantRefresh
    {
        private readonly Lock _gate = new();
        private Task<RemoteResult<int>>? _running;
        private RemoteResult<int>? _last;
        private DateTimeOffset _finishedAt;

        /// <summary>The result of the last refresh when it ended after that time.</summary>
        public RemoteResult<int>? LastResult(DateTimeOffset after)
        {
            lock (_gate)
            {
                return _finishedAt > after ? _last : null;
            }
        }

        /// <summary>Joins the refresh under way, or begins one that does not end with its caller.</summary>
        public Task<RemoteResult<int>> Join(Func<TenantRefresh, Task<RemoteResult<int>>> refresh)
        {
            lock (_gate)
            {
                return _running is { IsCompleted: false } ? _running : _running = Task.Run(() => refresh(this));
            }
        }

        public void Finish(RemoteResult<int> result, DateTimeOffset now)
        {
            lock (_gate)
            {
                (_last, _finishedAt) = (result, now);
            }
        }
    }
}
