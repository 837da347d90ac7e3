using DingFlow.Entra;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>What the access steps of Entra share: a list of holdings, and a call for each.</summary>
internal abstract class EntraAccessStep(EntraDirectory entra) : IAccessStep
{
    public abstract string Id { get; }

    protected EntraDirectory Entra => entra;

    public virtual async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var held = await HoldingsAsync(account.AccountId!, cancellationToken);
        return new(held, [.. (held.Value ?? []).Select(h => Held(rules, h))]);
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) =>
        Lenient(await RemoveAsync(account.AccountId!, held, cancellationToken), "Taken away.");

    public async Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await AddAsync(account.AccountId!, taken, cancellationToken), "Given back.") with { AccountMissing = false };

    protected abstract Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken);

    protected abstract Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken);

    protected abstract Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken);

    protected virtual StepChange Held(StepRules rules, EntraHolding holding) => DingTalkAccess.Held(rules, holding.Id, holding.Name, holding.NotOurs, holding.Data);

    /// <summary>What is not found any more need not be taken away; the reading after it decides.</summary>
    private static StepResult Lenient(RemoteResult result, string done) => result.Status == RemoteStatus.NotFound
        ? new(StepOutcome.Done, done) { RequestId = result.RequestId }
        : StepResult.Of(result, done);
}

/// <summary><c>entra.groups</c>.</summary>
internal sealed class EntraGroupsStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.groups";

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListGroupsAsync(userId, cancellationToken);

    protected override Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken) => Entra.RemoveFromGroupAsync(userId, held.Id, cancellationToken);

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) => Entra.AddToGroupAsync(userId, taken.Id, cancellationToken);
}

/// <summary><c>entra.directoryRoles</c>: what is held is the role in its scope; the assignment is new each time.</summary>
internal sealed class EntraDirectoryRolesStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.directoryRoles";

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListDirectoryRolesAsync(userId, cancellationToken);

    protected override StepChange Held(StepRules rules, EntraHolding holding) => DingTalkAccess.Held(
        rules, $"{holding.Data["definition"]}@{holding.Data["scope"]}", holding.Name, holding.NotOurs,
        new Dictionary<string, string>(holding.Data) { ["assignment"] = holding.Id });

    protected override Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken) =>
        Entra.RemoveDirectoryRoleAsync(held.Data!["assignment"], cancellationToken);

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) =>
        Entra.AddDirectoryRoleAsync(userId, taken.Data!["definition"], taken.Data["scope"], cancellationToken);
}

/// <summary><c>entra.appRoles</c>: what is held is the role in its application; the assignment is new each time.</summary>
internal sealed class EntraAppRolesStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.appRoles";

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListAppRolesAsync(userId, cancellationToken);

    protected override StepChange Held(StepRules rules, EntraHolding holding) => DingTalkAccess.Held(
        rules, $"{holding.Data["resource"]}/{holding.Data["role"]}", holding.Name, holding.NotOurs,
        new Dictionary<string, string>(holding.Data) { ["assignment"] = holding.Id });

    protected override Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken) =>
        Entra.RemoveAppRoleAsync(userId, held.Data!["assignment"], cancellationToken);

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) =>
        Entra.AddAppRoleAsync(userId, taken.Data!["resource"], taken.Data["role"], cancellationToken);
}

/// <summary><c>entra.licenses</c>.</summary>
internal sealed class EntraLicensesStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.licenses";

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListLicensesAsync(userId, cancellationToken);

    protected override Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken) => Entra.RemoveLicenseAsync(userId, held.Id, cancellationToken);

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) => Entra.AddLicenseAsync(
        userId, taken.Id, taken.Data?.GetValueOrDefault("disabledPlans")?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [], cancellationToken);
}

/// <summary><c>entra.devices</c>: what is held is that the device may sign in.</summary>
internal sealed class EntraDevicesStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.devices";

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListEnabledDevicesAsync(userId, cancellationToken);

    protected override Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken) => Entra.SetDeviceEnabledAsync(held.Id, enabled: false, cancellationToken);

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) => Entra.SetDeviceEnabledAsync(taken.Id, enabled: true, cancellationToken);
}

/// <summary><c>entra.ownedObjects</c>: the new owner comes before the old one goes, for an object must not be without.</summary>
internal sealed class EntraOwnedObjectsStep(EntraDirectory entra) : EntraAccessStep(entra)
{
    public override string Id => "entra.ownedObjects";

    public override async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var list = await base.ListAsync(account, rules, cancellationToken);
        if (!list.Result.IsOk || !list.ToTake.Any())
        {
            return list;
        }

        var heir = rules.HandOverTo;
        if (heir == "manager")
        {
            var manager = await Entra.FindManagerAsync(account.AccountId!, cancellationToken);
            if (!manager.IsOk)
            {
                return AccessList.Failed(manager);
            }

            heir = manager.Value;
        }

        return heir is null || heir == account.AccountId
            ? list with { Blocked = "The person owns objects, and Entra knows no manager to hand them over to." }
            : list with
            {
                Held = [.. list.Held.Select(h => h.State == ChangeState.Kept ? h : h with { Data = new Dictionary<string, string>(h.Data!) { ["to"] = heir } })],
            };
    }

    protected override Task<RemoteResult<IReadOnlyList<EntraHolding>>> HoldingsAsync(string userId, CancellationToken cancellationToken) => Entra.ListOwnedAsync(userId, cancellationToken);

    protected override async Task<RemoteResult> RemoveAsync(string userId, StepChange held, CancellationToken cancellationToken)
    {
        var (type, heir) = (held.Data!["type"], held.Data["to"]);
        var owners = await Entra.ListOwnersAsync(type, held.Id, cancellationToken);
        if (!owners.IsOk)
        {
            return owners;
        }

        if (!owners.Value!.Any(owner => owner.Id == heir))
        {
            var added = await Entra.AddOwnerAsync(type, held.Id, heir, cancellationToken);
            if (!added.IsOk)
            {
                // Whoever is to take over may be gone, which must not pass for the object being gone.
                return added.Status == RemoteStatus.NotFound ? new(RemoteStatus.Rejected) { Code = added.Code, RequestId = added.RequestId } : added;
            }
        }

        return await Entra.RemoveOwnerAsync(type, held.Id, userId, cancellationToken);
    }

    protected override Task<RemoteResult> AddAsync(string userId, StepChange taken, CancellationToken cancellationToken) =>
        Entra.AddOwnerAsync(taken.Data!["type"], taken.Id, userId, cancellationToken);
}
