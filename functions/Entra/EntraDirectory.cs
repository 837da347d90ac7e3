using System.Buffers;
using Azure.Core;
using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>
/// Microsoft Entra ID through Microsoft Graph. Remote trouble is a result, never an exception. Application permissions:
/// <c>User.Read.All</c>, <c>User.EnableDisableAccount.All</c>, <c>User.RevokeSessions.All</c>; <c>Mail.ReadWrite</c> and <c>Mail.Send</c> for those who send mail.
/// </summary>
public sealed partial class EntraDirectory(EntraOptions options, Lazy<TokenCredential> credential, TimeProvider time, ILogger<EntraDirectory> logger)
    : IDisposable
{
    private const string UnsupportedQuery = "Request_UnsupportedQuery";
    private const int ObjectIdDigits = 32;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    private readonly Lazy<GraphCalls> _graph = new(() => new(options, credential, time, logger));

    /// <summary>There is a directory to act in. Without one no other member may be called.</summary>
    public bool IsConfigured => options.IsConfigured;

    private GraphCalls Graph => IsConfigured ? _graph.Value : throw new InvalidOperationException("Entra is not configured.");

    /// <summary>
    /// All distinct users that any of the identifiers leads to: employee id, sign-in name, mail address or proxy address. Equality on
    /// these is answered from the directory itself, not from the index of advanced queries, which lags behind.
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindAsync(string? employeeId, string? email, CancellationToken cancellationToken)
    {
        var filters = new List<string>();
        if (Literal(employeeId) is { } id)
        {
            filters.Add($"employeeId eq '{id}'");
        }

        if (Literal(email) is { } address)
        {
            filters.Add($"userPrincipalName eq '{address}'");
            filters.Add($"mail eq '{address}'");
            filters.Add($"proxyAddresses/any(p:p eq 'smtp:{address}')");
        }

        return MergeAsync(filters.Select(filter => Graph.FindAsync(filter, cancellationToken)));
    }

    /// <summary>All live users, page after page; a list that cannot be read to its end is a refusal.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> ListUsersAsync(CancellationToken cancellationToken) => Graph.ListAsync(cancellationToken);

    /// <summary>All deleted users (kept 30 days).</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> ListDeletedUsersAsync(CancellationToken cancellationToken) => Graph.ListDeletedAsync(cancellationToken);

    /// <summary>Reads a user by object id.</summary>
    public Task<RemoteResult<EntraUser>> GetUserAsync(string id, CancellationToken cancellationToken) =>
        Graph.GetAsync(Id(id), cancellationToken);

    /// <summary>All distinct users among the deleted ones (kept 30 days) that any of the identifiers leads to.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindDeletedAsync(
        string? employeeId, string? email, CancellationToken cancellationToken)
    {
        var searches = new List<Task<RemoteResult<IReadOnlyList<EntraUser>>>>();
        if (Literal(employeeId) is { } id)
        {
            searches.Add(Graph.FindDeletedAsync($"employeeId eq '{id}'", advanced: false, cancellationToken));
        }

        if (Literal(email) is { } address)
        {
            searches.Add(Graph.FindDeletedAsync($"mail eq '{address}'", advanced: false, cancellationToken));
            searches.Add(FindDeletedBySignInNameAsync(email!.Trim(), address, cancellationToken));
        }

        return MergeAsync(searches);
    }

    /// <summary>Forbids sign-in.</summary>
    public Task<RemoteResult> DisableAsync(string id, CancellationToken cancellationToken) =>
        Graph.SetEnabledAsync(Id(id), enabled: false, cancellationToken);

    /// <summary>Allows sign-in.</summary>
    public Task<RemoteResult> EnableAsync(string id, CancellationToken cancellationToken) =>
        Graph.SetEnabledAsync(Id(id), enabled: true, cancellationToken);

    /// <summary>Voids the refresh tokens and sessions issued so far. Access tokens already issued live until they expire.</summary>
    public Task<RemoteResult> RevokeSessionsAsync(string id, CancellationToken cancellationToken) =>
        Graph.RevokeSessionsAsync(Id(id), cancellationToken);

    /// <summary>
    /// Sends an e-mail in one call (<c>sendMail</c>, permission <c>Mail.Send</c> alone); Ok means that it was accepted. It is not repeated when
    /// the answer is lost: Unavailable then means that it may have been sent, and sending it again may double it.
    /// </summary>
    public Task<RemoteResult> SendMailAsync(EntraMail mail, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(mail);
        return Graph.SendMailAsync(mail, cancellationToken);
    }

    /// <summary>
    /// Sends an e-mail once, however often it is called: the message is first put into the mailbox's drafts under its key, then sent, and
    /// before each the mailbox is asked what it has under that key (permissions <c>Mail.ReadWrite</c> and <c>Mail.Send</c>). Ok means that
    /// it was sent, now or before. With another answer it may have been; calling it again finds out.
    /// </summary>
    public async Task<RemoteResult> SendMailOnceAsync(EntraMail mail, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(mail);
        var known = await Graph.FindMailAsync(mail.From, mail.Key, cancellationToken);
        List<MailCopy> copies = [.. known.Value ?? []];
        if (known.IsOk && copies.Count == 0)
        {
            var draft = await Graph.CreateDraftAsync(mail, cancellationToken);
            if (!draft.IsOk)
            {
                return draft;
            }

            // Another instance may have made one at the same time: then both see both, and choose the same.
            copies.Add(draft.Value!);
            known = await Graph.FindMailAsync(mail.From, mail.Key, cancellationToken);
            copies.AddRange(known.Value ?? []);
        }

        return !known.IsOk || copies.Exists(static copy => !copy.IsDraft)
            ? known
            : await Graph.SendDraftAsync(mail.From, copies.Select(static copy => copy.Id).Order(StringComparer.Ordinal).First(), cancellationToken);
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose()
    {
        if (_graph.IsValueCreated)
        {
            _graph.Value.Dispose();
        }
    }

    /// <summary>Deletion puts the object id, without its hyphens, before the sign-in name: only its end can be searched for.</summary>
    private async Task<RemoteResult<IReadOnlyList<EntraUser>>> FindDeletedBySignInNameAsync(
        string email, string literal, CancellationToken cancellationToken)
    {
        var found = await Graph.FindDeletedAsync($"endsWith(userPrincipalName,'{literal}')", advanced: true, cancellationToken);
        if (found.Code == UnsupportedQuery)
        {
            // A cloud without this search: the proof that it could have given is missing then, which errs on the safe side.
            return new(RemoteStatus.Ok, []) { RequestId = found.RequestId };
        }

        return found.IsOk
            ? found with { Value = [.. found.Value!.Where(user => WasSignInName(user.UserPrincipalName, email))] }
            : found;
    }

    private static bool WasSignInName(string? name, string email) =>
        name is not null && name.EndsWith(email, StringComparison.OrdinalIgnoreCase) && (name.Length == email.Length
            || (name.Length == email.Length + ObjectIdDigits && name.AsSpan(0, ObjectIdDigits).IndexOfAnyExcept(HexDigits) < 0));

    private static async Task<RemoteResult<IReadOnlyList<EntraUser>>> MergeAsync(IEnumerable<Task<RemoteResult<IReadOnlyList<EntraUser>>>> searches)
    {
        var results = await Task.WhenAll(searches);
        return results.FirstOrDefault(static result => !result.IsOk) is { } failed
            ? failed
            : new(RemoteStatus.Ok, [.. results.SelectMany(static result => result.Value!).DistinctBy(static user => user.Id)])
            {
                RequestId = results.FirstOrDefault()?.RequestId,
            };
    }

    /// <summary>A value for use between quotation marks in a filter; <see langword="null"/> when there is none.</summary>
    private static string? Literal(string? value) =>
        string.IsNullOrWhiteSpace(value) ? null : value.Trim().Replace("'", "''", StringComparison.Ordinal);

    private static string Id(string id)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(id);
        return id;
    }
}
