using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>Puts the subject ledger into the program.</summary>
public static class LedgerServices
{
    /// <summary>
    /// Adds <see cref="SubjectLedger"/>. It needs <see cref="IEntityStore"/>, <see cref="TimeProvider"/>, <see cref="LedgerOptions"/> and
    /// <see cref="PredicateSet"/>; the last two are made from the settings by whoever knows the ledger key and the profile.
    /// </summary>
    public static IServiceCollection AddSubjectLedger(
        this IServiceCollection services, Func<IServiceProvider, LedgerOptions> options, Func<IServiceProvider, PredicateSet> predicates) =>
        services.AddSingleton(provider => new SubjectLedger(
            provider.GetRequiredService<IEntityStore>(),
            options(provider),
            predicates(provider),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<SubjectLedger>>()));
}
