using CsCheck;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>Which identifiers are one person's, over several instances and crashes.</summary>
public sealed class SubjectIdentitiesTests
{
    private static readonly PseudonymKey Key = new(new byte[32]);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Linked_identifiers_resolve_to_the_person_that_was_known_first()
    {
        using var identities = new SubjectIdentities(new LedgerMemoryStore(), Key);
        var (user, union, mail, other) = (LedgerScenario.Subject(1), LedgerScenario.Subject(2), LedgerScenario.Subject(3), LedgerScenario.Subject(4));

        await identities.LinkAsync([[user, union]], Token);
        await identities.LinkAsync([[union, mail]], Token);

        Assert.All([user, union, mail], identifier => Assert.Equal(user, identities.Resolve(identifier)));
        Assert.Equal(other, identities.Resolve(other));
        Assert.Equal(new HashSet<SubjectPseudonym> { user, union, mail }, identities.PersonOf(mail).ToHashSet());
        Assert.True(identities.IsLinked(mail));
        Assert.False(identities.IsLinked(other));
        await Assert.ThrowsAsync<ArgumentException>(() => identities.LinkAsync([[]], Token));
    }

    [Fact]
    public async Task Another_instance_sees_the_links_and_a_link_is_pending_until_it_is_confirmed()
    {
        var store = new LedgerMemoryStore();
        using var one = new SubjectIdentities(store, Key);
        using var two = new SubjectIdentities(store, Key);
        await one.LinkAsync([[LedgerScenario.Subject(1), LedgerScenario.Subject(2)]], Token);

        await two.RefreshAsync(Token);
        var pending = await two.PendingAsync(Token);
        await two.ConfirmAsync(pending.Generation, Token);

        Assert.Equal(LedgerScenario.Subject(1), two.Resolve(LedgerScenario.Subject(2)));
        Assert.Equal([new SubjectUnion(LedgerScenario.Subject(2), LedgerScenario.Subject(1))], pending.Unions);
        Assert.Empty((await one.PendingAsync(Token)).Unions);
    }

    [Fact]
    public async Task Links_under_another_key_are_refused()
    {
        var store = new LedgerMemoryStore();
        using var one = new SubjectIdentities(store, Key);
        await one.LinkAsync([[LedgerScenario.Subject(1), LedgerScenario.Subject(2)]], Token);
        using var other = new SubjectIdentities(store, new PseudonymKey([.. Enumerable.Repeat((byte)1, 32)]));

        await Assert.ThrowsAsync<InvalidOperationException>(() => other.RefreshAsync(Token));
    }

    [Fact]
    public async Task An_erased_person_leaves_no_link_and_every_instance_forgets_it()
    {
        var store = new LedgerMemoryStore();
        using var one = new SubjectIdentities(store, Key);
        using var two = new SubjectIdentities(store, Key);
        await one.LinkAsync([[LedgerScenario.Subject(1), LedgerScenario.Subject(2)], [LedgerScenario.Subject(3), LedgerScenario.Subject(4)]], Token);
        await two.RefreshAsync(Token);

        await one.EraseAsync(LedgerScenario.Subject(2), Token);
        await two.RefreshAsync(Token);

        Assert.Equal(LedgerScenario.Subject(2), two.Resolve(LedgerScenario.Subject(2)));
        Assert.Equal(LedgerScenario.Subject(3), two.Resolve(LedgerScenario.Subject(4)));
        Assert.False(store.Holds(LedgerScenario.Subject(2)));
    }

    [Fact]
    public Task Persons_are_what_the_links_connect_whoever_makes_them_in_whatever_order() =>
        Gen.Select(Gen.Int[0, 14].List[2, 5].List[1, 12], Gen.Int[0, 1].List[12]).SampleAsync(
            async (links, instances) =>
            {
                var store = new LedgerMemoryStore();
                SubjectIdentities[] all = [new(store, Key), new(store, Key)];
                var groups = Enumerable.Range(0, 15).ToArray();
                for (var i = 0; i < links.Count; i++)
                {
                    await all[instances[i]].LinkAsync([[.. links[i].Select(LedgerScenario.Subject)]], Token);
                    foreach (var member in links[i])
                    {
                        var (from, into) = (groups[member], groups[links[i][0]]);
                        groups = [.. groups.Select(group => group == from ? into : group)];
                    }
                }

                foreach (var identities in all)
                {
                    await identities.RefreshAsync(Token);
                    for (var one = 0; one < 15; one++)
                    {
                        for (var other = 0; other < 15; other++)
                        {
                            Assert.Equal(groups[one] == groups[other], identities.Resolve(LedgerScenario.Subject(one)) == identities.Resolve(LedgerScenario.Subject(other)));
                        }
                    }

                    identities.Dispose();
                }
            },
            iter: 200);
}
