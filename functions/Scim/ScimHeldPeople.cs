using System.Runtime.CompilerServices;
using DingFlow.Messaging;

namespace DingFlow.Scim;

/// <summary>The provisioned users, for the counting of transfers.</summary>
internal sealed class ScimHeldPeople(ScimSources sources, ScimUserStore users) : IHeldPeople
{
    /// <inheritdoc/>
    public async IAsyncEnumerable<HeldPerson> ReadAsync(string source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (sources.All.FirstOrDefault(known => known.QualifiedName == source) is not { } scim)
        {
            yield break;
        }

        await foreach (var stored in users.ScanAsync(scim.Name, cancellationToken))
        {
            yield return scim.NamesOf(stored.User);
        }
    }

    /// <inheritdoc/>
    public async Task<HeldPerson?> FindAsync(string source, string id, CancellationToken cancellationToken) =>
        sources.All.FirstOrDefault(known => known.QualifiedName == source) is { } scim && await users.FindAsync(scim.Name, id, cancellationToken) is { } stored
            ? scim.NamesOf(stored.User)
            : null;
}
