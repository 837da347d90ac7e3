namespace DingFlow.Messaging;

/// <summary>
/// The people whom an HR source has named and whose data DingFlow keeps, such as a roster or provisioned users. Whoever keeps them lends
/// them to the counting of transfers; identifiers are personal data: never in a log.
/// </summary>
public interface IHeldPeople
{
    /// <summary>The people of a source (<c>hr/{source}</c>) as they are known now; none when it keeps nobody of that source.</summary>
    IAsyncEnumerable<HeldPerson> ReadAsync(string source, CancellationToken cancellationToken);
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
