using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary><c>GET /api/offboarding?employeeId=&amp;state=&amp;limit=&amp;next=</c>: cases, the newest first.</summary>
public sealed class ListOffboardingCases(CaseStore cases, AuditPseudonyms pseudonyms) : IHttpFunction
{
    private const int DefaultPage = 50;
    private const int LargestPage = 200;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var query = context.Request.Query;
        if (await context.QueryWordAsync<CaseState>("state") is not { IsRead: true, Value: var state }
            || await context.PageLimitAsync(DefaultPage, LargestPage) is not { } limit
            || await context.PageStartAsync(ReadCursor) is not { IsRead: true, Value: var cursor })
        {
            return;
        }

        await (query["employeeId"].ToString() is { Length: > 0 } asked
            ? context.RecordReadAsync(CaseAudit.CaseRead, subject: pseudonyms.Of("employeeId", asked))
            : context.RecordReadAsync(CaseAudit.CasesListed));
        CasePage page;
        if (query["employeeId"].ToString() is { Length: > 0 } employeeId)
        {
            var found = await cases.OfEmployeeAsync(employeeId, context.RequestAborted);
            page = new([.. found.Where(c => state is null || c.State == state)], null);
        }
        else
        {
            page = await cases.ListAsync(
                c => state is null ? c.MergedInto is null : c.State == state && c.MergedInto is null, limit, cursor, context.RequestAborted);
        }

        await context.WriteJsonAsync(
            new CaseListView([.. page.Cases.Select(CaseView.Of)], page.Next is null ? null : Paging.Next(page.Next.Month, page.Next.AfterRow)),
            OffboardingJson.Default.CaseListView);
    }

    private static CaseCursor? ReadCursor(string[] parts) =>
        parts is [{ Length: 6 } month, { Length: > 32 and < 60 } row] && month.All(char.IsAsciiDigit) && row.All(static c => char.IsAsciiHexDigitLower(c) || c == '-')
            ? new(month, row)
            : null;
}

/// <summary><c>GET /api/offboarding/{caseId}</c>: one case, also one that became part of another.</summary>
public sealed class GetOffboardingCase(CaseStore cases, AuditPseudonyms pseudonyms) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Request.RouteValues["caseId"] is string caseId && await cases.FindAsync(caseId, context.RequestAborted) is { } found)
        {
            await context.RecordReadAsync(
                CaseAudit.CaseRead, new("case", found.Case.CaseId), found.Case.CaseId, pseudonyms.Of("employeeId", found.Case.EmployeeId));
            await context.WriteJsonAsync(CaseView.Of(found.Case), OffboardingJson.Default.CaseView);
        }
        else
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such case.");
        }
    }
}

/// <summary><c>POST /api/offboarding/search</c>: cases of a person by an identifier that must not stand in an address.</summary>
public sealed class SearchOffboardingCases(
    CaseStore cases, PersonClaims claims, DingTalkClients clients, AccountLookup lookup, IAuditTrail trail, AuditPseudonyms pseudonyms, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(OffboardingJson.Default.CaseSearch, MaximumBody) is not { } search)
        {
            return;
        }

        if (((string?[])[search.EmployeeId, search.Email, search.DingTalkUserId]).Count(static id => !string.IsNullOrWhiteSpace(id)) != 1)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "Name one of employeeId, email, dingTalkUserId.");
            return;
        }

        // Before anything is told: who looks up a person is on record.
        await trail.AppendAsync(LookedFor(context, search), context.RequestAborted);
        var found = new SortedDictionary<string, OffboardingCase>(StringComparer.Ordinal);
        await FindAsync(
            search.EmployeeId is { Length: > 0 } named ? [named] : [],
            search.Email is { Length: > 0 } email ? [PersonKey.OfEmail(email)]
                : search.DingTalkUserId is { Length: > 0 } userId ? [.. clients.Tenants.Select(t => PersonKey.OfDingTalk(t, userId))] : [],
            found, context.RequestAborted);
        if (found.Count == 0 && search.Email is { Length: > 0 } address)
        {
            // HR may never have named the address: the account that has it leads to the case.
            var accounts = await lookup.LookUpAsync(
                new()
                {
                    CaseId = "search", State = CaseState.Scheduled, ReceivedAt = time.GetUtcNow(), DueAt = time.GetUtcNow(), Identifiers = [new() { Email = address }],
                },
                context.RequestAborted);
            await FindAsync([], CaseMerger.KeysOf(accounts), found, context.RequestAborted);
            if (found.Count == 0 && accounts.Any(static a => a.Status is AccountStatus.Unknown or AccountStatus.Denied))
            {
                await context.ProblemAsync(ProblemCode.Unavailable, "A system could not be asked whose address it is, so nobody can say that there is no case. Search by employeeId.");
                return;
            }
        }

        await context.WriteJsonAsync(
            new CaseListView([.. found.Values.Where(c => c.MergedInto is null).Reverse().Select(CaseView.Of)], null), OffboardingJson.Default.CaseListView);
    }

    private AuditEvent LookedFor(HttpContext context, CaseSearch search) => new()
    {
        Kind = CaseAudit.Searched,
        Actor = context.AuditActor(),
        Payload = PayloadHash.None,
        Subject = pseudonyms.Of("employeeId", search.EmployeeId) ?? pseudonyms.Of("email", search.Email) ?? pseudonyms.Of("dingTalkUserId", search.DingTalkUserId),
        RequestId = context.RequestId(),
    };

    /// <summary>The cases that hold the person now, and the earlier ones that lie under the same employee ids.</summary>
    private async Task FindAsync(
        IReadOnlyList<string> named, IReadOnlyList<string> keys, SortedDictionary<string, OffboardingCase> found, CancellationToken cancellationToken)
    {
        var employeeIds = named.ToHashSet(StringComparer.Ordinal);
        foreach (var key in keys)
        {
            var caseId = (await claims.FindAsync(key, cancellationToken))?.CaseId;
            while (caseId is not null && await cases.FindAsync(caseId, cancellationToken) is { } held)
            {
                found[held.Case.CaseId] = held.Case;
                employeeIds.UnionWith(held.Case.Identifiers.Select(static i => i.EmployeeId).OfType<string>());
                caseId = held.Case.MergedInto;
            }
        }

        foreach (var employeeId in employeeIds)
        {
            foreach (var c in await cases.OfEmployeeAsync(employeeId, cancellationToken))
            {
                found[c.CaseId] = c;
            }
        }
    }
}
