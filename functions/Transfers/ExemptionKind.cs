namespace DingFlow.Transfers;

/// <summary>
/// Under which exemption from assessment, standard contract and certification a transfer was made (CAC Order 16, articles 3 to 6, and
/// what stands beside them). The numbers are stored in the ledger and never change meaning; at most 31. Whether an exemption keeps
/// the person out of the count is data: <c>predicates.json</c> and the settings.
/// </summary>
public enum ExemptionKind : byte
{
    /// <summary>None: the transfer counts.</summary>
    None = 0,

    /// <summary><c>contract</c>, article 5(1)(1): necessary for a contract with the person.</summary>
    Contract = 1,

    /// <summary><c>hr</c>, article 5(1)(2): staff management across borders under lawful labour rules and a collective contract.</summary>
    HumanResources = 2,

    /// <summary><c>emergency</c>, article 5(1)(3): life, health or property in an emergency.</summary>
    Emergency = 3,

    /// <summary><c>transit</c>, article 4: collected outside the mainland, processed there, sent out again with nothing domestic added.</summary>
    Transit = 4,

    /// <summary><c>ftz</c>, article 6: by an exporter in a pilot free trade zone, outside that zone's negative list.</summary>
    FreeTradeZone = 5,

    /// <summary><c>trade</c>, article 3: trade, transport, academic or manufacturing data that hold no personal information.</summary>
    Trade = 6,

    /// <summary><c>statutory</c>, Network Data Security Regulations article 35(6): a statutory duty. Counted unless the settings say otherwise.</summary>
    StatutoryDuty = 7,

    /// <summary><c>gba</c>: under a Greater Bay Area standard contract. Not an exemption of Order 16, but a lane of its own; see the settings.</summary>
    GreaterBayContract = 8,
}
