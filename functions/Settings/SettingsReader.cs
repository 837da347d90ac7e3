using System.Globalization;

namespace DingFlow.Settings;

/// <summary>
/// Reads settings of one section, with <c>:</c> between levels. A malformed value is added to the faults and its default returned, so
/// that reading goes on and finds the others. A value that still reads <c>@Microsoft.KeyVault(</c> is a fault: the reference was not
/// resolved.
/// </summary>
public sealed class SettingsReader(IConfiguration configuration, string section, SettingsFaults faults)
{
    /// <summary>The full name of a setting of this section.</summary>
    public string NameOf(string name) => section.Length == 0 ? name : $"{section}:{name}";

    /// <summary>The names of the sub-sections of <paramref name="name"/>, such as the tenants below <c>DingTalk:Tenants</c>.</summary>
    public IReadOnlyList<string> Children(string name) =>
        [.. configuration.GetSection(NameOf(name)).GetChildren().Select(child => child.Key)];

    /// <summary>A reader for a sub-section.</summary>
    public SettingsReader Section(string name) => new(configuration, NameOf(name), faults);

    /// <summary>Adds a fault of a setting of this section.</summary>
    public void Fault(string name, string fault) => faults.Add(NameOf(name), fault);

    /// <summary>There is a value, right or wrong.</summary>
    public bool IsSet(string name) => !string.IsNullOrWhiteSpace(configuration[NameOf(name)]);

    /// <summary>A text, or <see langword="null"/> when absent or empty.</summary>
    public string? Text(string name)
    {
        var value = configuration[NameOf(name)];
        if (string.IsNullOrWhiteSpace(value))
        {
            return null;
        }

        if (value.StartsWith("@Microsoft.KeyVault(", StringComparison.OrdinalIgnoreCase))
        {
            Fault(name, "is an unresolved Key Vault reference; grant the identity access to the secret, or check its address");
            return null;
        }

        return value.Trim();
    }

    /// <summary>A text that must be there; a fault and an empty text otherwise.</summary>
    public string Required(string name)
    {
        var faultsBefore = faults.All.Count;
        var value = Text(name);
        if (value is null && faults.All.Count == faultsBefore)
        {
            Fault(name, "is missing");
        }

        return value ?? "";
    }

    /// <summary>A list given as <c>name:0</c>, <c>name:1</c> … or as one text separated by commas.</summary>
    public IReadOnlyList<string> List(string name)
    {
        var items = Children(name).Select(key => Section(name).Text(key)).OfType<string>().ToList();
        return items.Count > 0
            ? items
            : Text(name)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];
    }

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public bool Boolean(string name, bool defaultValue) =>
        Parse(name, defaultValue, "must be true or false", static (string text, out bool value) => bool.TryParse(text, out value));

    /// <summary>A whole number within bounds, both included.</summary>
    public int Number(string name, int defaultValue, int minimum, int maximum) => Parse(
        name, defaultValue, string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {minimum} to {maximum}"),
        (string text, out int value) =>
            int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out value) && value >= minimum && value <= maximum);

    /// <summary>A duration as <c>hh:mm:ss</c> or <c>d.hh:mm:ss</c>, greater than zero.</summary>
    public TimeSpan Duration(string name, TimeSpan defaultValue) => Parse(
        name, defaultValue, "must be a duration such as 00:15:00",
        static (string text, out TimeSpan value) =>
            TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out value) && value > TimeSpan.Zero);

    /// <summary>A member of <typeparamref name="T"/> by name, in any case.</summary>
    public T Choice<T>(string name, T defaultValue)
        where T : struct, Enum
    {
        // Not by Parse: the fault's text, and a delegate for each enumeration, would be compiled at every start.
        if (Text(name) is not { } text)
        {
            return defaultValue;
        }

        if (Words.TryRead<T>(text, out var value))
        {
            return value;
        }

        Fault(name, $"must be one of {Words.All<T>()}");
        return defaultValue;
    }

    /// <summary>An absolute <c>https</c> address; <c>http</c> is accepted for the loopback only.</summary>
    public Uri? Address(string name) => Parse<Uri?>(
        name, null, "must be an absolute https address (http only to the loopback)",
        static (string text, out Uri? value) => Uri.TryCreate(text, UriKind.Absolute, out value)
            && (value.Scheme == Uri.UriSchemeHttps || (value.Scheme == Uri.UriSchemeHttp && value.IsLoopback)));

    /// <summary>Bytes in base64, at least so many.</summary>
    public byte[]? Key(string name, int minimumBytes) => Parse<byte[]?>(
        name, null, string.Create(CultureInfo.InvariantCulture, $"must be base64 of at least {minimumBytes} bytes"),
        (string text, out byte[]? value) =>
        {
            var buffer = new byte[text.Length];
            var ok = Convert.TryFromBase64String(text, buffer, out var written) && written >= minimumBytes;
            value = ok ? buffer[..written] : null;
            return ok;
        });

    private delegate bool TryParse<T>(string text, out T value);

    private T Parse<T>(string name, T defaultValue, string fault, TryParse<T> parse)
    {
        if (Text(name) is not { } text)
        {
            return defaultValue;
        }

        if (parse(text, out var value))
        {
            return value;
        }

        Fault(name, fault);
        return defaultValue;
    }
}
