using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Offboarding;

/// <summary>
/// Keys under which cases claim a person. They are sorted before they are claimed, so that two cases which claim several never wait
/// for each other.
/// </summary>
public static class PersonKey
{
    /// <summary>Keys hold 512 characters and may be made of three parts; what is longer goes in as its hash.</summary>
    private const int LongestPart = 150;

    /// <summary>A key of the HR system's id; ids of different sources are different people until resolved.</summary>
    public static string OfEmployee(string source, string employeeId) => $"hr|{Escape(source)}|{Escape(employeeId)}";

    /// <summary>A key of a DingTalk account.</summary>
    public static string OfDingTalk(string tenant, string userId) => $"dingtalk|{Escape(tenant)}|{Escape(userId)}";

    /// <summary>A key of an Entra account.</summary>
    public static string OfEntra(string objectId) => $"entra|{Escape(objectId)}";

    /// <summary>A key of an e-mail address, in which the address cannot be read.</summary>
    public static string OfEmail(string email) =>
        "email|" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("email:" + email.Trim().ToLowerInvariant())));

    /// <summary>Text from outside as part of a key: what keys may not hold is written as <c>%</c> and four hexadecimal digits.</summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (c is '%' or '|' or '/' or '\\' or '#' or '?' || char.IsControl(c) || c > 0x7E)
            {
                escaped.Append(CultureInfo.InvariantCulture, $"%{(int)c:X4}");
            }
            else
            {
                escaped.Append(c);
            }
        }

        return escaped.Length <= LongestPart
            ? escaped.ToString()
            : "~" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }
}
