namespace DingFlow.Transfers;

/// <summary>
/// What kind of personal information was transferred. The numbers are stored in the ledger and never change meaning; new classes
/// take new numbers, at most 63.
/// </summary>
/// <remarks>
/// A class says what the data are, not whether law calls them sensitive: that is the profile's answer
/// (<c>Classification/classes.json</c>). So a fact in the ledger outlives a change of profile. Data of a person under 14 are
/// sensitive whatever their class (<see cref="TransferFact.Minor"/>).
/// </remarks>
public enum DataClass : byte
{
    /// <summary>Personal information with no special protection: name, telephone, job title.</summary>
    General = 0,

    /// <summary>Templates and recordings that recognise a body: face, fingerprint, voiceprint, palm, gene.</summary>
    Biometric = 1,

    /// <summary>Religious belief, or what shows it.</summary>
    Religious = 2,

    /// <summary>A specific identity: disability status, an occupation unfit for disclosure.</summary>
    SpecificIdentity = 3,

    /// <summary>Health, illness, pregnancy, treatment.</summary>
    MedicalHealth = 4,

    /// <summary>Financial accounts, their passwords, income, social insurance and housing fund accounts.</summary>
    Finance = 5,

    /// <summary>Where a person is or was: precise positions, tracks.</summary>
    Whereabouts = 6,

    /// <summary>Ordinary information about a child under 14.</summary>
    Minor = 7,

    /// <summary>Sensitive by name, in none of the classes above: a photo of the identity card, criminal record, credit report, sexual life.</summary>
    OtherSensitive = 8,

    /// <summary>The number of an identity document or a tax number: sensitive under some profiles.</summary>
    IdentityNumber = 9,

    /// <summary>Ethnicity or race: sensitive under some profiles.</summary>
    EthnicOrigin = 10,

    /// <summary>Political status, membership of a party or a trade union: sensitive under some profiles.</summary>
    PoliticalAffiliation = 11,

    /// <summary>A photograph of the face kept for recognition, without a template: sensitive under some profiles.</summary>
    FacePhoto = 12,

    /// <summary>Expense claims, invoices, customers' transactions: the content decides; sensitive under some profiles.</summary>
    Transaction = 13,

    /// <summary>Disciplinary notes: the content decides; sensitive under some profiles.</summary>
    Conduct = 14,

    /// <summary>An unknown field, or one whose content decides (chat text, documents) while nobody has said what it holds.</summary>
    Undetermined = 15,
}
