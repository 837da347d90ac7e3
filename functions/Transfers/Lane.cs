namespace DingFlow.Transfers;

/// <summary>
/// Where personal information goes: from the place in whose operations it was collected to the place where it is stored or from
/// which it can be reached. Text form <c>CN-SG</c>.
/// </summary>
/// <param name="Origin">Where it was collected and generated (for data in transit: the place it now leaves).</param>
/// <param name="Destination">Where it arrives.</param>
public readonly record struct Lane(Country Origin, Country Destination)
{
    /// <summary>Reads the text form, in any case.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Lane lane)
    {
        lane = default;
        if (text.Length != 5 || text[2] != '-'
            || !Country.TryParse(text[..2], out var origin) || !Country.TryParse(text[3..], out var destination))
        {
            return false;
        }

        lane = new(origin, destination);
        return true;
    }

    /// <summary>Reads the text form, in any case.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static Lane Parse(string text) => TryParse(text, out var lane) ? lane : throw new FormatException("Not a lane such as CN-SG.");

    /// <summary>The text form, <c>CN-SG</c>.</summary>
    public override string ToString() => $"{Origin}-{Destination}";
}
