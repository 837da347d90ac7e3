using System.Net;
using System.Text;
using System.Text.Unicode;

namespace DingFlow.Intake.Dialects;

/// <summary>The fields of an <c>application/x-www-form-urlencoded</c> body.</summary>
internal sealed class FormFields
{
    private const int MaxFields = 512;
    private readonly List<(string Name, string Value)> _fields = [];

    private FormFields()
    {
    }

    public static bool IsForm(string? contentType)
    {
        var media = contentType.AsSpan();
        var end = media.IndexOf(';');
        return (end < 0 ? media : media[..end]).Trim().Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Reads the body; <see langword="null"/> when it is none, or has too many fields.</summary>
    public static FormFields? Parse(ReadOnlySpan<byte> body)
    {
        if (!Utf8.IsValid(body))
        {
            return null;
        }

        var form = new FormFields();
        var text = Encoding.UTF8.GetString(body.TrimEnd("\r\n"u8)).AsSpan();
        foreach (var range in text.Split('&'))
        {
            var field = text[range];
            var equals = field.IndexOf('=');
            if (form._fields.Count == MaxFields)
            {
                return null;
            }

            if (equals > 0)
            {
                form._fields.Add((WebUtility.UrlDecode(field[..equals].ToString()), WebUtility.UrlDecode(field[(equals + 1)..].ToString())));
            }
        }

        return form;
    }

    /// <summary>A field's value; <see langword="null"/> when it is missing or there twice.</summary>
    public string? Find(string name)
    {
        string? found = null;
        foreach (var field in _fields)
        {
            if (field.Name == name)
            {
                if (found is not null)
                {
                    return null;
                }

                found = field.Value;
            }
        }

        return found;
    }

    /// <summary>The values of a list: <c>name[0]</c>, <c>name[1]</c>, or <c>name[]</c>.</summary>
    public IEnumerable<string> FindAll(string name) =>
        _fields.Where(field => field.Name.StartsWith(name + "[", StringComparison.Ordinal)).Select(static field => field.Value);
}
