using System.Net;

namespace DingFlow.Intake;

/// <summary>What is checked of every webhook's request.</summary>
internal static class RequestChecks
{
    /// <summary>Whether the body comes as it was signed: without a content coding, in UTF-8.</summary>
    public static bool IsPlain(HttpRequest request) => IsPlain(request.Headers);

    /// <inheritdoc cref="IsPlain(HttpRequest)"/>
    public static bool IsPlain(IHeaderDictionary headers)
    {
        var (coding, contentType) = (headers.ContentEncoding, headers.ContentType.ToString());
        if (coding.Count > 1 || (coding.Count == 1 && !string.Equals(coding[0], "identity", StringComparison.OrdinalIgnoreCase)))
        {
            return false;
        }

        var parameter = contentType.IndexOf("charset=", StringComparison.OrdinalIgnoreCase);
        return parameter < 0 || contentType.AsSpan(parameter + "charset=".Length).Trim("\" ;").StartsWith("utf-8", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The caller's address, as the settings say where to find it; <see langword="null"/> when it is not there.</summary>
    public static IPAddress? ClientAddress(HttpContext context, IntakeOptions options)
    {
        if (options.ClientAddressHeader is not { } header)
        {
            return context.Connection.RemoteIpAddress;
        }

        var addresses = string.Join(',', context.Request.Headers[header].ToArray()).Split(',', StringSplitOptions.TrimEntries);
        if (addresses.Length < options.ClientAddressPosition)
        {
            return null;
        }

        // App Service appends the port.
        var text = addresses[^options.ClientAddressPosition];
        return IPAddress.TryParse(text, out var address) ? address : IPEndPoint.TryParse(text, out var endPoint) ? endPoint.Address : null;
    }
}
