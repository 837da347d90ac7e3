using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Scim;

/// <summary>What became of a request: a user, or the reason why not.</summary>
internal readonly record struct ScimOutcome(StoredScimUser? User, ScimFault? Fault)
{
    public static implicit operator ScimOutcome(StoredScimUser user) => new(user, null);

    public static implicit operator ScimOutcome(ScimFault fault) => new(null, fault);
}

/// <summary>
/// Creates, changes and removes provisioned people, and turns a change of <c>active</c> into a delivery of the inbox before anybody is
/// told that it succeeded.
/// </summary>
/// <remarks>
/// A change of <c>active</c> takes three writes: the intent into the user's row, the delivery into the inbox under an id that the
/// user and the number of the change make up, and the user as it is then. Whoever finds an intent finishes it first. So a request that
/// is repeated after a crash or raced by another gives one delivery, while disable, enable, disable gives three.
/// </remarks>
internal sealed partial class ScimProvisioning(
    ScimUserStore users, IInbox inbox, IAlertSender alerts, IEnumerable<IHeldPeopleListener> listeners, TimeProvider time, ILogger<ScimProvisioning> logger)
{
    /// <summary>How often a change is tried anew when somebody else changed the user meanwhile.</summary>
    private const int MaxAttempts = 20;

    /// <summary>
    /// Creates a user. Somebody who comes back after having been removed is reported as rehired; somebody who is created inactive is not
    /// a leaver and gives no event.
    /// </summary>
    public async Task<ScimOutcome> CreateAsync(ScimSource source, ScimDraft draft, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var user = draft.ToUser(new ScimUser { UserName = "", Active = true, CreatedAt = now, ModifiedAt = now });
        if (await FaultOfAsync(source, user, cancellationToken) is { } fault)
        {
            return fault;
        }

        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var claim = await users.FindClaimAsync(source.Name, user.UserName, cancellationToken);
            if (claim is { IsRemoved: false })
            {
                return ScimFault.NotUnique;
            }

            if (claim is not null)
            {
                user = user with { Transition = claim.Transition };
                if (user.Active)
                {
                    user = user with { Transition = claim.Transition + 1 };
                    await AcceptAsync(source, claim.Id, user.Transition, source.Intend(user, user, active: true, body, removes: false));
                }
            }

            // An id that begins with its time keeps the list in the order of creation while clients page through it.
            var id = Guid.CreateVersion7(now).ToString("n");
            if (await users.InsertAsync(source, id, user, claim, cancellationToken) is { } stored)
            {
                Log.Created(logger, id, source.Name, user.Active);
                await TellListenersAsync(source, stored);
                return stored;
            }
        }

        throw Contended(source);
    }

    /// <summary>Changes a user. The change is applied to the user as it is when it is written.</summary>
    /// <param name="source">The source.</param>
    /// <param name="id">The user.</param>
    /// <param name="ifMatch">The versions that the caller accepts; <see langword="null"/> accepts any.</param>
    /// <param name="change">The user after the change, or why there is none. It is called again when somebody else was faster.</param>
    /// <param name="body">The request's body.</param>
    /// <param name="cancellationToken">Gives up, until something was begun.</param>
    public async Task<ScimOutcome> ChangeAsync(
        ScimSource source, string id, Func<StoredScimUser, bool>? ifMatch, Func<ScimUser, (ScimUser? User, ScimFault? Fault)> change,
        ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (await FindSettledAsync(source, id, cancellationToken) is not { } stored)
            {
                return ScimFault.NotFound;
            }

            if (ifMatch?.Invoke(stored) == false)
            {
                return ScimFault.VersionMismatch;
            }

            var (changed, fault) = change(stored.User);
            fault ??= changed is null ? ScimFault.NotFound : await FaultOfAsync(source, changed, cancellationToken);
            if (fault is not null)
            {
                return fault;
            }

            var before = stored.User;
            if (changed!.SaysTheSameAs(before))
            {
                return stored;
            }

            var (claim, taken) = await ClaimOfRenamedAsync(source, stored, changed, cancellationToken);
            if (taken)
            {
                return ScimFault.NotUnique;
            }

            if (changed.Active != before.Active)
            {
                var intent = source.Intend(before, changed, changed.Active, body, removes: false);
                if (await BeginAsync(source, stored, intent, cancellationToken) is not { } begun)
                {
                    continue;
                }

                if (begun.Fault is { } refused)
                {
                    return refused;
                }

                stored = begun.User!;
                changed = changed with { Transition = before.Transition + 1 };
            }

            changed = changed with { ModifiedAt = time.GetUtcNow(), Intent = null };
            if (await users.ReplaceAsync(source, stored, changed, claim, CancellationToken.None) is { } replaced)
            {
                Log.Changed(logger, id, source.Name, changed.Active, changed.Transition);
                if (source.NamesOf(changed) != source.NamesOf(before))
                {
                    await TellListenersAsync(source, replaced);
                }

                return replaced;
            }
        }

        throw Contended(source);
    }

    /// <summary>Removes a user; one who was active is a leaver.</summary>
    /// <returns>Why not, or <see langword="null"/>.</returns>
    public async Task<ScimFault?> RemoveAsync(ScimSource source, string id, Func<StoredScimUser, bool>? ifMatch, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (await users.FindAsync(source.Name, id, cancellationToken) is not { } stored)
            {
                return ScimFault.NotFound;
            }

            if (stored.User.Intent is { } pending)
            {
                // An earlier removal that did not end is the one that was asked for now.
                if (await SettleAsync(source, stored, pending) && pending.Removes)
                {
                    return null;
                }

                continue;
            }

            if (ifMatch?.Invoke(stored) == false)
            {
                return ScimFault.VersionMismatch;
            }

            if (stored.User.Active)
            {
                var body = Encoding.UTF8.GetBytes($$"""{"method":"DELETE","id":"{{id}}"}""");
                if (await BeginAsync(source, stored, source.Intend(stored.User, stored.User, active: false, body, removes: true), cancellationToken) is not { } begun)
                {
                    continue;
                }

                if (begun.Fault is { } refused)
                {
                    return refused;
                }

                stored = begun.User! with { User = begun.User!.User with { Transition = stored.User.Transition + 1 } };
            }

            if (await users.RemoveAsync(source, stored, CancellationToken.None))
            {
                Log.Removed(logger, id, source.Name);
                return null;
            }
        }

        throw Contended(source);
    }

    /// <summary>Writes a user anew under the present key. Returns whether there was anything to do.</summary>
    public async Task<bool> RewriteAsync(ScimSource source, StoredScimUser stored, CancellationToken cancellationToken) =>
        await users.ReplaceAsync(source, stored, stored.User, null, cancellationToken) is not null;

    private async Task<StoredScimUser?> FindSettledAsync(ScimSource source, string id, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var stored = await users.FindAsync(source.Name, id, cancellationToken);
            if (stored?.User.Intent is not { } pending)
            {
                return stored;
            }

            await SettleAsync(source, stored, pending);
        }

        throw Contended(source);
    }

    /// <summary>Writes the intent and hands the delivery to the inbox. <see langword="null"/>: somebody else was faster.</summary>
    private async Task<ScimOutcome?> BeginAsync(ScimSource source, StoredScimUser stored, ScimIntent intent, CancellationToken cancellationToken)
    {
        if (!source.Admits(intent))
        {
            return await RefuseOutsiderAsync(source, cancellationToken);
        }

        // From here on the caller's going away changes nothing.
        if (await users.ReplaceAsync(source, stored, stored.User with { Intent = intent }, null, CancellationToken.None) is not { } begun)
        {
            return null;
        }

        await AcceptAsync(source, stored.Id, stored.User.Transition + 1, intent);
        return begun;
    }

    /// <summary>Finishes what another request began. <see langword="false"/>: the user was changed meanwhile.</summary>
    private async Task<bool> SettleAsync(ScimSource source, StoredScimUser stored, ScimIntent pending)
    {
        var transition = stored.User.Transition + 1;
        await AcceptAsync(source, stored.Id, transition, pending);
        var settled = stored.User with { Active = pending.Active, Transition = transition, ModifiedAt = pending.At, Intent = null };
        return pending.Removes
            ? await users.RemoveAsync(source, stored with { User = settled }, CancellationToken.None)
            : await users.ReplaceAsync(source, stored, settled, null, CancellationToken.None) is not null;
    }

    private async Task AcceptAsync(ScimSource source, string id, int transition, ScimIntent intent)
    {
        var receipt = await inbox.AcceptAsync(source.Delivery(id, transition, intent), CancellationToken.None);
        Log.Accepted(logger, receipt.DeliveryId, source.Name, id, intent.Active ? PersonEventKind.Rehired : PersonEventKind.Terminated, receipt.Duplicate);
    }

    /// <summary>The user name that the user is to have may be another's; one of a removed user is free.</summary>
    private async Task<(ScimNameClaim? Removed, bool Taken)> ClaimOfRenamedAsync(
        ScimSource source, StoredScimUser stored, ScimUser changed, CancellationToken cancellationToken)
    {
        if (changed.UserName.Equals(stored.User.UserName, StringComparison.OrdinalIgnoreCase))
        {
            return (null, false);
        }

        var claim = await users.FindClaimAsync(source.Name, changed.UserName, cancellationToken);
        return claim is { IsRemoved: false } && claim.Id != stored.Id ? (null, true) : (claim is { IsRemoved: true } ? claim : null, false);
    }

    private async Task<ScimFault?> FaultOfAsync(ScimSource source, ScimUser user, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(user.UserName))
        {
            return ScimFault.Refused(ScimType.InvalidValue, "userName is missing.");
        }

        // Who is not active can do nothing here; providers mangle the addresses of those whom they disable.
        return !user.Active || source.Admits(user) ? null : await RefuseOutsiderAsync(source, cancellationToken);
    }

    private async Task<ScimFault> RefuseOutsiderAsync(ScimSource source, CancellationToken cancellationToken)
    {
        Log.OutsideConfines(logger, source.Name);
        try
        {
            await alerts.SendAsync(IntakeAlerts.OutsideConfines(source.Name, source.QualifiedName, time.GetUtcNow()), cancellationToken);
        }
        catch (MessageQueueException exception)
        {
            Log.AlertFailed(logger, source.Name, exception);
        }

        return new ScimFault(StatusCodes.Status403Forbidden, ScimType.None, "The user is outside the mail domains of this source.");
    }

    private async Task TellListenersAsync(ScimSource source, StoredScimUser stored)
    {
        foreach (var listener in listeners)
        {
            await listener.LearnedAsync(source.QualifiedName, stored.Id, stored.User.ModifiedAt.UtcTicks.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private static EntityStoreException Contended(ScimSource source) => new($"A user of {source.Name} is being changed too often at once.");

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "User {Id} of {Source} created, active {Active}")]
        public static partial void Created(ILogger logger, string id, string source, bool active);

        [LoggerMessage(2, LogLevel.Information, "User {Id} of {Source} changed, active {Active} after {Transitions} changes of it")]
        public static partial void Changed(ILogger logger, string id, string source, bool active, int transitions);

        [LoggerMessage(3, LogLevel.Information, "User {Id} of {Source} removed")]
        public static partial void Removed(ILogger logger, string id, string source);

        [LoggerMessage(4, LogLevel.Information, "Delivery {DeliveryId} of {Source} accepted: user {Id} {Kind}, duplicate {Duplicate}")]
        public static partial void Accepted(ILogger logger, string deliveryId, string source, string id, PersonEventKind kind, bool duplicate);

        [LoggerMessage(5, LogLevel.Error, "{Source} named a person outside its mail domains")]
        public static partial void OutsideConfines(ILogger logger, string source);

        [LoggerMessage(6, LogLevel.Error, "The alert on {Source} could not be sent")]
        public static partial void AlertFailed(ILogger logger, string source, Exception exception);
    }
}
