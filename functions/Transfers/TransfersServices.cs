using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DingFlow.Transfers;

/// <summary>Wires the feature.</summary>
public static class TransfersServices
{
    /// <summary>Adds the counting of cross-border transfers: settings, the subject ledger, its routes and its timers.</summary>
    public static IServiceCollection AddTransfers(this IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var options = TransfersOptions.Read(configuration, faults);
        var key = LedgerKeySetting.Read(configuration, faults, required: true);
        var classifier = ClassifierOf(options, faults);
        if (key is null)
        {
            // The start ends on the fault; nothing is made of the services.
            return services;
        }

        var pseudonyms = new PseudonymKey(key);
        var ledger = LedgerOptions.Read(configuration, faults, pseudonyms.Id);
        // A command that recounts has no requests, whose rate the program knows.
        services.TryAddSingleton<RequestRate>();
        return services
            .TryAddAuditTrail(configuration, faults)
            .AddSingleton(options)
            .AddSingleton(classifier)
            .AddSingleton(pseudonyms)
            .AddPolicy(provider => TransfersPolicy.Of(options, pseudonyms.Id, provider.GetRequiredService<AuditPseudonyms>()))
            .AddSingleton<BulkScheduler>()
            .AddSingleton(provider => ledger with { Background = provider.GetRequiredService<BulkScheduler>() })
            .AddSingleton(provider => PredicatesOf(options, provider))
            .AddSubjectLedger(
                static provider => provider.GetRequiredService<LedgerOptions>(), static provider => provider.GetRequiredService<PredicateSet>())
            .AddSingleton(provider => new SubjectIdentities(provider.GetRequiredService<IEntityStore>(), pseudonyms))
            .AddSingleton<TransferIntake>()
            .AddSingleton<CounterHistory>()
            .AddSingleton<ScenarioStore>()
            .AddSingleton<SubjectLinks>()
            .AddSingleton<IChangeSettler, LedgerChangeSettler>()
            .AddSingleton<LedgerProof>()
            .AddSingleton(static provider => new LedgerReadiness(
                provider.GetRequiredService<TransfersOptions>(), new(provider.GetRequiredService<SubjectLedger>),
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<LedgerReadiness>>()))
            .AddSingleton<IReadinessCheck>(static provider => provider.GetRequiredService<LedgerReadiness>())
            .AddSingleton<IHostedService>(static provider => provider.GetRequiredService<LedgerReadiness>())
            .AddPeopleFeeds(configuration, options, faults)
            .AddRoutes();
    }

    private static IServiceCollection AddRoutes(this IServiceCollection services) => services
        .AddFunction<RecordTransfers>(Roles.TransfersWrite)
        .AddFunction<GetTransferCounters>(Roles.ComplianceRead)
        .AddFunction<GetTransferBatch>(Roles.ComplianceRead)
        .AddFunction<VoidTransferBatch>(Roles.ComplianceWrite)
        .AddFunction<ListOpeningBalances>(Roles.ComplianceRead)
        .AddFunction<SetOpeningBalance>(Roles.ComplianceWrite)
        .AddFunction<RemoveOpeningBalance>(Roles.ComplianceWrite)
        .AddFunction<PutTransferScenario>(Roles.ComplianceWrite)
        .AddFunction<WithdrawTransferScenario>(Roles.ComplianceWrite)
        .AddFunction<GetTransferScenario>(Roles.ComplianceRead)
        .AddFunction<ListTransferScenarios>(Roles.ComplianceRead)
        .AddFunction<RecountTransfers>(Roles.OperationsRead)
        .AddFunction<LookUpSubject>(Roles.SubjectsRead)
        .AddFunction<EraseSubject>(Roles.ComplianceWrite)
        .AddFunction<UniteSubjects>(Roles.ComplianceWrite)
        .AddFunction<UniteLinkedSubjects>()
        .AddFunction<PruneTransfers>()
        .AddFunction<RebuildCounterDays>()
        .AddFunction<ProveTransferCounters>();

    private static PredicateSet PredicatesOf(TransfersOptions options, IServiceProvider provider) =>
        PredicateSet.Load(options.ChoicesFor(provider.GetRequiredService<Lazy<FieldClassifier>>().Value));

    /// <summary>Reading the classification takes time that a start need not spend, unless there is a map of the company's own to be checked.</summary>
    private static Lazy<FieldClassifier> ClassifierOf(TransfersOptions options, SettingsFaults faults)
    {
        var classifier = new Lazy<FieldClassifier>(() => FieldClassifier.Load(
            options.Profile, options.FieldMap, (name, fault) => faults.Add($"Transfers:FieldMap:{name}", fault)));
        if (options.FieldMap.Count > 0)
        {
            _ = classifier.Value;
        }

        return classifier;
    }
}
