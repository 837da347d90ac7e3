namespace DingFlow.Storage;

/// <summary>
/// What Azure Table Storage refuses, refused here for every store. Source: "Understanding the Table service data model" and
/// "Performing entity group transactions", Microsoft Learn.
/// </summary>
public static class EntityLimits
{
    /// <summary>Operations in one transaction.</summary>
    public const int OperationsPerTransaction = 100;

    /// <summary>Properties of an entity besides keys and time stamp.</summary>
    public const int PropertiesPerEntity = 252;

    /// <summary>Characters of a partition or row key.</summary>
    public const int KeyLength = 512;

    /// <summary>Characters of a string property (64 KiB of UTF-16).</summary>
    public const int StringLength = 32 * 1024;

    /// <summary>Bytes of a binary property.</summary>
    public const int BinaryLength = 64 * 1024;

    /// <summary>Bytes of one entity, counted as Azure does.</summary>
    public const int EntityBytes = 1024 * 1024;

    /// <summary>Bytes of one transaction.</summary>
    public const int TransactionBytes = 4 * 1024 * 1024;
}
