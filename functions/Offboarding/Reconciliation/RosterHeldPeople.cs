using System.Runtime.CompilerServices;
using DingFlow.Messaging;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>The people of the rosters in force, for the counting of transfers. Of addresses only digests are kept, so that they are not lent.</summary>
internal sealed class RosterHeldPeople(RosterStore rosters) : IHeldPeople
{
    private const int Tries = 5;

    /// <inheritdoc/>
    public async IAsyncEnumerable<HeldPerson> ReadAsync(string source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Tries && await rosters.FindAsync(source, cancellationToken) is { } head; attempt++)
        {
            if (await rosters.ReadAsync(head, cancellationToken) is not { } people)
            {
                continue; // Another roster was put in force meanwhile.
            }

            foreach (var person in people)
            {
                yield return new(person.EmployeeId, null, person.DingTalkUserId);
            }

            yield break;
        }
    }

    /// <inheritdoc/>
    public Task<HeldPerson?> FindAsync(string source, string id, CancellationToken cancellationToken) => Task.FromResult<HeldPerson?>(null);
}
