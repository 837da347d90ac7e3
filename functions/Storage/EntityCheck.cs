using System.Buffers;

namespace DingFlow.Storage;

/// <summary>
/// Refuses, with <see cref="ArgumentException"/> and before anything is sent, what Azure Table Storage would refuse
/// (<see cref="EntityLimits"/>), so that what passes over one store passes over the other. No message repeats a key or a value.
/// </summary>
/// <remarks>
/// Two rules are stricter than Azure's. Keys hold no surrogates and none of the two characters above U+FFFD: then the order of
/// UTF-16 code units and that of UTF-8 bytes are the same. Property names are ASCII.
/// </remarks>
public static class EntityCheck
{
    /// <summary>The least moment a property can hold: 1601-01-01 UTC.</summary>
    public static DateTimeOffset EarliestTime { get; } = new(1601, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private const int PageSizeMaximum = 1000;
    private const int PropertyNameLength = 255;
    private const char FirstSurrogate = '\uD800';
    private const char LastSurrogate = '\uDFFF';

    /// <summary>What the request spends on one operation besides keys and properties: the inner headers, the address, markup.</summary>
    private const int OperationOverhead = 1024;

    private static readonly SearchValues<char> Letters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly SearchValues<char> LettersAndDigits =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    /// <summary>ASCII that is written as one byte in JSON and in an address alike.</summary>
    private static readonly SearchValues<char> SingleByteCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~");

    /// <summary>A table name: a letter, then letters and digits, 3 to 63 in all, and not <c>tables</c>.</summary>
    public static void Table(string table)
    {
        ArgumentNullException.ThrowIfNull(table);
        if (table.Length is < 3 or > 63
            || !Letters.Contains(table[0])
            || table.AsSpan().ContainsAnyExcept(LettersAndDigits)
            || table.Equals("tables", StringComparison.OrdinalIgnoreCase))
        {
            throw new ArgumentException("A table name is a letter and 2 to 62 letters or digits, and not 'tables'.", nameof(table));
        }
    }

    /// <summary>The keys of one row.</summary>
    public static void Keys(string partitionKey, string rowKey)
    {
        Key(partitionKey, nameof(partitionKey));
        Key(rowKey, nameof(rowKey));
    }

    /// <summary>
    /// A query of one partition. Returns the range with bounds that every store can compare: no key holds a surrogate, so a bound
    /// that does is as good as U+E000 in its place.
    /// </summary>
    public static RowKeyRange Query(string table, string partitionKey, RowKeyRange range, int pageSize)
    {
        Table(table);
        Key(partitionKey, nameof(partitionKey));
        if (pageSize is < 1 or > PageSizeMaximum)
        {
            throw new ArgumentOutOfRangeException(nameof(pageSize), pageSize, "A page holds 1 to 1000 entities.");
        }

        return new(Bound(range.From, nameof(range)), Bound(range.Before, nameof(range)));
    }

    /// <summary>A transaction, its operations and their entities.</summary>
    public static void Transaction(EntityTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        Table(transaction.Table);
        var operations = transaction.Operations;
        if (operations is null || operations.Count is < 1 or > EntityLimits.OperationsPerTransaction)
        {
            throw Refusal("A transaction has 1 to 100 operations.");
        }

        var partitionKey = operations[0].Entity.PartitionKey;
        HashSet<string>? rowKeys = operations.Count > 1 ? new(operations.Count, StringComparer.Ordinal) : null;
        long bytes = 0;
        foreach (var operation in operations)
        {
            var entity = operation.Entity;
            Keys(entity.PartitionKey, entity.RowKey);
            if (!entity.PartitionKey.Equals(partitionKey, StringComparison.Ordinal))
            {
                throw Refusal("A transaction stays within one partition.");
            }

            if (rowKeys?.Add(entity.RowKey) == false)
            {
                throw Refusal("A transaction has at most one operation on a row.");
            }

            if (operation.IfMatch is "" or "*")
            {
                throw Refusal("An ETag is what the store returned; to accept any version, give none.");
            }

            bytes += operation.Kind == EntityOperationKind.Delete ? KeyBytes(entity) : Properties(entity);
        }

        // The request is at most 7.5 times the counted size (a non-ASCII key character: 2 bytes counted, 9 in the address, 6 in JSON).
        if ((bytes * 8) + (operations.Count * OperationOverhead) > EntityLimits.TransactionBytes
            && operations.Sum(RequestBytes) > EntityLimits.TransactionBytes)
        {
            throw Refusal("A transaction is at most 4 MiB as it is sent.");
        }
    }

    private static ArgumentException Refusal(string message) => new(message);

    private static void Key(string key, string parameter)
    {
        ArgumentNullException.ThrowIfNull(key, parameter);
        if (key.Length > EntityLimits.KeyLength)
        {
            throw new ArgumentException("A key has at most 512 characters.", parameter);
        }

        var characters = key.AsSpan();
        if (characters.IndexOfAny(@"/\#?") >= 0
            || characters.ContainsAnyInRange('\0', '\u001F')
            || characters.ContainsAnyInRange('\u007F', '\u009F')
            || characters.ContainsAnyInRange(FirstSurrogate, LastSurrogate)
            || characters.ContainsAnyInRange('\uFFFE', '\uFFFF'))
        {
            throw new ArgumentException(@"A key holds no / \ # ?, no control characters, and nothing beyond the basic plane.", parameter);
        }
    }

    private static string? Bound(string? bound, string parameter)
    {
        if (bound is null)
        {
            return null;
        }

        if (bound.Length > EntityLimits.KeyLength)
        {
            throw new ArgumentException("A bound has at most 512 characters.", parameter);
        }

        var surrogate = bound.AsSpan().IndexOfAnyInRange(FirstSurrogate, LastSurrogate);
        return surrogate < 0 ? bound : string.Concat(bound.AsSpan(0, surrogate), "\uE000");
    }

    private static long KeyBytes(Entity entity) => 4 + (2L * (entity.PartitionKey.Length + entity.RowKey.Length));

    /// <summary>Checks the properties and returns the size of the entity as Azure counts it.</summary>
    private static long Properties(Entity entity)
    {
        var count = 0;
        var bytes = KeyBytes(entity);
        foreach (var (name, value) in entity.Properties)
        {
            PropertyName(name);
            if (value is null)
            {
                continue;
            }

            count++;
            bytes += 8 + (2L * name.Length) + ValueBytes(name, value);
        }

        if (count > EntityLimits.PropertiesPerEntity)
        {
            throw Refusal("An entity has at most 252 properties.");
        }

        return bytes <= EntityLimits.EntityBytes ? bytes : throw Refusal("An entity is at most 1 MiB.");
    }

    private static void PropertyName(string name)
    {
        if (name.Length is 0 or > PropertyNameLength || char.IsAsciiDigit(name[0]) || name.AsSpan().ContainsAnyExcept(NameCharacters))
        {
            throw Refusal("A property name is an ASCII letter or _, then letters, digits and _, at most 255 in all.");
        }

        if (name.Equals("PartitionKey", StringComparison.OrdinalIgnoreCase)
            || name.Equals("RowKey", StringComparison.OrdinalIgnoreCase)
            || name.Equals("Timestamp", StringComparison.OrdinalIgnoreCase)
            || name.Equals("ETag", StringComparison.OrdinalIgnoreCase))
        {
            throw Refusal($"The property name {name} is taken.");
        }
    }

    private static long ValueBytes(string name, object value)
    {
        switch (value)
        {
            case string text:
                if (text.Length > EntityLimits.StringLength)
                {
                    throw Refusal($"Property {name} has more than 32768 characters.");
                }

                if (HasLoneSurrogate(text))
                {
                    throw Refusal($"Property {name} holds half of a surrogate pair.");
                }

                return 4 + (2L * text.Length);
            case byte[] binary:
                return binary.Length <= EntityLimits.BinaryLength
                    ? 4 + binary.Length
                    : throw Refusal($"Property {name} has more than 65536 bytes.");
            case DateTimeOffset time:
                return time >= EarliestTime ? 8 : throw Refusal($"Property {name} lies before 1601.");
            case bool:
                return 1;
            case int:
                return 4;
            case long or double:
                return 8;
            case Guid:
                return 16;
            default:
                throw Refusal($"Property {name} is a {value.GetType().Name}, which cannot be stored.");
        }
    }

    private static bool HasLoneSurrogate(string text)
    {
        for (var i = text.AsSpan().IndexOfAnyInRange(FirstSurrogate, LastSurrogate); i >= 0 && i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
            {
                continue;
            }

            if (i + 1 >= text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
            {
                return true;
            }

            i++;
        }

        return false;
    }

    /// <summary>An upper bound of what an operation takes in the request: keys in the address and in JSON, properties in JSON with type names.</summary>
    private static long RequestBytes(EntityOperation operation)
    {
        const int jsonEscape = 6;
        const int addressEscape = 9;
        const int typeAnnotation = 48;
        var entity = operation.Entity;
        var bytes = OperationOverhead
            + Written(entity.PartitionKey, jsonEscape + addressEscape) + Written(entity.RowKey, jsonEscape + addressEscape);
        if (operation.Kind == EntityOperationKind.Delete)
        {
            return bytes;
        }

        foreach (var (name, value) in entity.Properties)
        {
            bytes += (2L * name.Length) + typeAnnotation + value switch
            {
                null => 0,
                string text => Written(text, jsonEscape),
                // Base64, whose + is escaped: one character in 64 at random, allowed for here as one in 16.
                byte[] binary => (((binary.Length + 2L) / 3) * 4 * 21) / 16,
                _ => 48,
            };
        }

        return bytes;
    }

    private static long Written(string text, int escaped)
    {
        long bytes = 2;
        foreach (var character in text)
        {
            bytes += SingleByteCharacters.Contains(character) ? 1 : escaped;
        }

        return bytes;
    }
}
