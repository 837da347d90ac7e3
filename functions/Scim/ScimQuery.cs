using System.Globalization;
using System.Text.Json;
using DingFlow.Intake;

namespace DingFlow.Scim;

/// <summary>A question for users: a filter, a page and the attributes wanted (RFC 7644 sections 3.4.2 and 3.4.3).</summary>
internal sealed record ScimQuery(ScimFilter? Filter, int StartIndex, int Count, ScimSelection Selection)
{
    public const int DefaultCount = 100;
    public const int MaxCount = 200;

    private static readonly ScimFault BadFilter = ScimFault.Refused(
        ScimType.InvalidFilter,
        string.Create(CultureInfo.InvariantCulture, $"The filter cannot be read, or is longer than {ScimFilterParser.MaxLength} characters, deeper than {ScimFilterParser.MaxDepth} levels or made of more than {ScimFilterParser.MaxTerms} comparisons."));

    private static readonly ScimFault BadNumber = ScimFault.Refused(ScimType.InvalidValue, "startIndex and count must be whole numbers.");

    /// <summary>Reads the query of a GET. The filter names people: it is neither logged nor repeated in an answer.</summary>
    public static (ScimQuery? Query, ScimFault? Fault) Read(IQueryCollection query) => Make(
        query["filter"].ToString(), query["startIndex"].ToString(), query["count"].ToString(), ScimSelection.Of(query));

    /// <summary>Reads the body of a search.</summary>
    public static (ScimQuery? Query, ScimFault? Fault) Read(JsonElement body)
    {
        string filter = "", startIndex = "", count = "";
        IEnumerable<string> attributes = [], excluded = [];
        foreach (var property in body.EnumerateObject())
        {
            switch (property.Name.ToUpperInvariant())
            {
                case "FILTER" when property.Value.ValueKind == JsonValueKind.Null:
                    break;
                case "FILTER" when PersonFields.TextOf(property.Value) is { } text:
                    filter = text;
                    break;
                case "FILTER":
                    return (null, BadFilter);
                case "STARTINDEX":
                    startIndex = property.Value.GetRawText();
                    break;
                case "COUNT":
                    count = property.Value.GetRawText();
                    break;
                case "ATTRIBUTES":
                    attributes = Names(property.Value);
                    break;
                case "EXCLUDEDATTRIBUTES":
                    excluded = Names(property.Value);
                    break;
                default:
                    break;
            }
        }

        return Make(filter, startIndex, count, ScimSelection.Of(attributes, excluded));
    }

    /// <summary>
    /// The look-ups that give every user whom the filter can match, or <see langword="null"/> when only reading everybody does.
    /// </summary>
    public static IReadOnlyList<(string Kind, string Value)>? LookupsOf(ScimFilter filter) => filter switch
    {
        ScimFilter.Compare { Operator: ScimOperator.Equal, Literal: { } value } compare => compare.Attribute switch
        {
            ScimAttributes.UserName => [(ScimUserStore.ByUserName, value)],
            ScimAttributes.ExternalId => [(ScimUserStore.ByExternalId, value)],
            ScimAttributes.Emails or ScimAttributes.EmailValue => [(ScimUserStore.ByEmail, value)],
            ScimAttributes.Id => [(ScimAttributes.Id, value)],
            _ => null,
        },
        ScimFilter.Element { Attribute: ScimAttributes.Emails } element => LookupsOf(element.Inner),
        ScimFilter.And and => LookupsOf(and.Left) ?? LookupsOf(and.Right),
        ScimFilter.Or or => LookupsOf(or.Left) is { } left && LookupsOf(or.Right) is { } right ? [.. left, .. right] : null,
        _ => null,
    };

    private static (ScimQuery? Query, ScimFault? Fault) Make(string filterText, string startIndexText, string countText, ScimSelection selection)
    {
        ScimFilter? filter = null;
        if (!string.IsNullOrWhiteSpace(filterText) && (filter = ScimFilterParser.ParseFilter(filterText)) is null)
        {
            return (null, BadFilter);
        }

        var (startIndex, count) = (1, DefaultCount);
        if (!TryNumber(startIndexText, ref startIndex) || !TryNumber(countText, ref count))
        {
            return (null, BadNumber);
        }

        return (new ScimQuery(filter, Math.Max(1, startIndex), Math.Clamp(count, 0, MaxCount), selection), null);
    }

    private static bool TryNumber(string text, ref int number)
    {
        if (text is "" or "null")
        {
            return true;
        }

        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number);
    }

    private static IEnumerable<string> Names(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().Select(static name => PersonFields.TextOf(name)).OfType<string>(),
        JsonValueKind.String => (PersonFields.TextOf(value) ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
        _ => [],
    };
}

/// <summary>Answers questions for users.</summary>
internal sealed class ScimUserQueries(ScimUserStore users)
{
    /// <summary>The page and the number of all who match.</summary>
    public async Task<(IReadOnlyList<StoredScimUser> Page, int Total)> FindAsync(ScimSource source, ScimQuery query, CancellationToken cancellationToken)
    {
        var skip = query.StartIndex - 1;
        if (query.Filter is not { } filter)
        {
            return await users.PageAsync(source.Name, skip, query.Count, cancellationToken);
        }

        var (page, total) = (new List<StoredScimUser>(), 0);
        await foreach (var user in CandidatesAsync(source, filter, cancellationToken))
        {
            if (filter.Matches(new ScimUserValues(user.Id, user.User)) && total++ >= skip && page.Count < query.Count)
            {
                page.Add(user);
            }
        }

        return (page, total);
    }

    private async IAsyncEnumerable<StoredScimUser> CandidatesAsync(
        ScimSource source, ScimFilter filter, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (ScimQuery.LookupsOf(filter) is not { } lookups)
        {
            await foreach (var user in users.ScanAsync(source.Name, cancellationToken))
            {
                yield return user;
            }

            yield break;
        }

        var found = new SortedDictionary<string, StoredScimUser>(StringComparer.Ordinal);
        foreach (var (kind, value) in lookups)
        {
            IReadOnlyList<StoredScimUser> matching = kind == ScimAttributes.Id
                ? await users.FindAsync(source.Name, value, cancellationToken) is { } known ? [known] : []
                : await users.FindByAsync(source.Name, kind, value, cancellationToken);
            foreach (var user in matching)
            {
                found[user.Id] = user;
            }
        }

        foreach (var user in found.Values)
        {
            yield return user;
        }
    }
}
