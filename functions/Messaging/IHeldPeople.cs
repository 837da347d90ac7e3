namespace DingFlow.Messaging;

/// <summary>
/// The people whom an HR source has named and whose data DingFlow keeps, such as a roster or provisioned users. Whoever keeps them lends
/// them to the counting of transfers; identifiers are personal data: never in a log.
/// </summary>
public interface IHeldPeople
{
    /// <summary>The people of a source (<c>hr/{source}</c>) as they are known now; none when it keeps nobody of that source.</summary>
    IAsyncEnumerable<HeldPerson> ReadAsync(string source, CancellationToken cancellationToken);

    /// <summary>One of them, by the keeper's own id; <see langword="null"/> when the keeper has no such id, or the person is gone.</summary>
    Task<HeldPerson?> FindAsync(string source, string id, CancellationToken cancellationToken);
}

/// <summary>Wants to know when a source has named people whose data DingFlow keeps from now on.</summary>
public interface IHeldPeopleListener
{
    /// <summary>
    /// People were named and are stored. Whoever keeps them goes on whatever happens: what the listener misses it finds in its next reading.
    /// </summary>
    /// <param name="source">The source (<c>hr/{source}</c>).</param>
    /// <param name="id">The keeper's own id of one person, which names nobody; <see langword="null"/> when anybody of the source may be new.</param>
    /// <param name="version">Names the change: the same for the same.</param>
    Task LearnedAsync(string source, string? id, string version);
}

/// <summary>Somebody whom an HR source has named.</summary>
/// <param name="EmployeeId">The HR system's id.</param>
/// <param name="Email">Company e-mail address.</param>
/// <param name="DingTalkUserId">DingTalk user id.</param>
public sealed record HeldPerson(string? EmployeeId, string? Email, string? DingTalkUserId)
{
    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(HeldPerson);
}
