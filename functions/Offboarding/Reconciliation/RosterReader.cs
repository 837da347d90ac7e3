using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using CsvHelper;
using CsvHelper.Configuration;
using DingFlow.Hosting;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>A line of a roster cannot be accepted. The text names the line and the rule, never a value.</summary>
public sealed class RosterException(string message) : Exception(message);

/// <summary>Reads rosters as they arrive, person by person: CSV with a line of names, or a JSON object a line (NDJSON).</summary>
internal static class RosterReader
{
    private const int LongestLine = 16 * 1024;
    private const int LongestId = 64;
    private const int LongestEmail = 254;

    /// <summary>With an offset, or in UTC: a time without either names no moment.</summary>
    private static readonly string[] MomentFormats =
    [
        "yyyy-MM-dd'T'HH:mm:sszzz", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFzzz", "yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'",
    ];

    /// <summary>Those of the ids in events (<c>Intake/PersonFields</c>): another could match none.</summary>
    private static readonly SearchValues<char> IdCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/");

    private static readonly string[] Names = ["employeeId", "email", "dingTalkUserId", "leavesAt", "timeZone"];

    /// <summary>Reads CSV (RFC 4180) in UTF-8.</summary>
    /// <exception cref="RosterException">A line cannot be accepted.</exception>
    public static async IAsyncEnumerable<RosterPerson> ReadCsvAsync(Stream body)
    {
        using var text = new StreamReader(body, new UTF8Encoding(false, throwOnInvalidBytes: true));
        using var csv = new CsvParser(text, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            BadDataFound = static found => throw new RosterException($"Line {found.Context.Parser?.RawRow}: a quotation mark is out of place."),
            MaxFieldSize = LongestLine,
        });
        int[]? columns = null;
        while (await ReadAsync(csv))
        {
            if (columns is null)
            {
                columns = [.. Names.Select(name => Array.FindIndex(csv.Record!, c => c.Trim().Equals(name, StringComparison.OrdinalIgnoreCase)))];
                if (csv.Record!.GroupBy(static c => c.Trim(), StringComparer.OrdinalIgnoreCase).Any(static name => name.Count() > 1))
                {
                    throw new RosterException("Line 1 names a column twice.");
                }

                if (columns[0] < 0)
                {
                    throw new RosterException($"Line 1 must name the columns: {string.Join(", ", Names)}; employeeId is needed.");
                }

                continue;
            }

            yield return PersonOf(csv.RawRow, i => columns[i] >= 0 && columns[i] < csv.Record!.Length ? csv.Record[columns[i]] : null);
        }
    }

    /// <summary>Reads NDJSON.</summary>
    /// <exception cref="RosterException">A line cannot be accepted.</exception>
    public static async IAsyncEnumerable<RosterPerson> ReadNdjsonAsync(
        Stream body, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var text = new StreamReader(body, new UTF8Encoding(false, throwOnInvalidBytes: true));
        for (var number = 1; await LineAsync(text, number, cancellationToken) is { } line; number++)
        {
            if (line.Length > LongestLine)
            {
                throw new RosterException($"Line {number} is longer than {LongestLine} characters.");
            }

            if (!string.IsNullOrWhiteSpace(line))
            {
                yield return PersonOf(number, line);
            }
        }
    }

    private static async Task<bool> ReadAsync(CsvParser csv)
    {
        try
        {
            return await csv.ReadAsync();
        }
        catch (Exception fault) when (fault is CsvHelperException or DecoderFallbackException)
        {
            throw new RosterException($"Line {csv.RawRow + 1} is not CSV in UTF-8, or a field of it is too long.");
        }
    }

    private static async Task<string?> LineAsync(StreamReader text, int number, CancellationToken cancellationToken)
    {
        try
        {
            return await text.ReadLineAsync(cancellationToken);
        }
        catch (DecoderFallbackException)
        {
            throw new RosterException($"Line {number} is not UTF-8.");
        }
    }

    private static RosterPerson PersonOf(int number, string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new RosterException($"Line {number} must be a JSON object.");
            }

            return PersonOf(number, i => !json.RootElement.TryGetProperty(Names[i], out var value) || value.ValueKind == JsonValueKind.Null ? null
                : value.ValueKind == JsonValueKind.String ? value.GetString()
                : throw new RosterException($"Line {number}: {Names[i]} must be a text."));
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            throw new RosterException($"Line {number} is not JSON.");
        }
    }

    private static RosterPerson PersonOf(int number, Func<int, string?> field)
    {
        var (employeeId, email, userId, leaves, zoneId) = (Text(field(0)), Text(field(1)), Text(field(2)), Text(field(3)), Text(field(4)));
        if (employeeId is not { Length: <= LongestId } || employeeId.AsSpan().ContainsAnyExcept(IdCharacters))
        {
            throw new RosterException($"Line {number}: employeeId must be 1 to {LongestId} letters, digits and - _ . : / as in the events of the source.");
        }

        if (email is not null && (email.Length > LongestEmail || email.IndexOf('@', StringComparison.Ordinal) < 1 || email.Any(char.IsWhiteSpace)))
        {
            throw new RosterException($"Line {number}: email must be a plain address.");
        }

        if (userId is { Length: > LongestId })
        {
            throw new RosterException($"Line {number}: dingTalkUserId is too long.");
        }

        TimeZoneInfo? zone = null;
        if (zoneId is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(zoneId, out zone))
        {
            throw new RosterException($"Line {number}: timeZone must be the name of a time zone, such as Asia/Macau.");
        }

        DateTimeOffset? leavesAt = null;
        if (leaves is not null)
        {
            leavesAt = LocalDays.TryReadDay(leaves, out var day) ? new LocalDays { Zone = zone ?? TimeZoneInfo.Utc }.MomentOf(day)
                : DateTimeOffset.TryParseExact(
                    leaves, MomentFormats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment)
                    ? moment
                    : throw new RosterException($"Line {number}: leavesAt must be a time with its offset (RFC 3339) or a day such as 2026-11-30.");
        }

        return new(employeeId, email is null ? null : RosterStore.DigestOf(email), userId, leavesAt);
    }

    private static string? Text(string? value) => string.IsNullOrWhiteSpace(value) ? null : value.Trim();
}
