using System.Net;
using System.Net.Sockets;
using DingFlow.Settings;
using DingFlow.Storage;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace DingFlow.Hosting;

/// <summary>Which door a request came through. It decides what may be reached.</summary>
public enum ListenerKind
{
    /// <summary>Standalone, for everybody: HTTP functions only.</summary>
    Public,

    /// <summary>Standalone, a Unix socket of the same user: invocation endpoints and switches for rehearsals only.</summary>
    Private,

    /// <summary>The loopback port of the Functions host: HTTP functions and invocation endpoints.</summary>
    FunctionsHost,
}

/// <summary>The listener that accepted the connection; a feature of every connection of ours.</summary>
public sealed record ListenerFeature(ListenerKind Kind);

/// <summary>Opens the listeners.</summary>
public static class Listeners
{
    /// <summary>The door that this request came through; a request by an untagged connection is treated as public.</summary>
    public static ListenerKind Listener(this HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Features.Get<ListenerFeature>()?.Kind ?? ListenerKind.Public;
    }

    /// <summary>Listens as the mode asks: on the host's loopback port, or on the public addresses and the private socket.</summary>
    internal static void Configure(KestrelServerOptions kestrel, HostingOptions options, PrivateSocket? socket)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = HttpLimits.DefaultBodyBytes;
        kestrel.Limits.MaxRequestHeaderCount = 64;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        kestrel.Limits.MinRequestBodyDataRate = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

        if (options.Mode == HostMode.FunctionsHost)
        {
            kestrel.Listen(IPAddress.Loopback, options.Port, Tag(ListenerKind.FunctionsHost));
            return;
        }

        foreach (var address in options.Urls)
        {
            if (IPAddress.TryParse(address.Host, out var ip))
            {
                kestrel.Listen(ip, address.Port, Tag(ListenerKind.Public));
            }
            else if (address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            {
                kestrel.ListenLocalhost(address.Port, Tag(ListenerKind.Public));
            }
            else
            {
                kestrel.ListenAnyIP(address.Port, Tag(ListenerKind.Public));
            }
        }

        if (socket is not null)
        {
            kestrel.ListenUnixSocket(socket.Path, Tag(ListenerKind.Private));
        }
    }

    /// <summary>Makes the private socket private before anything can connect: it is bound but does not listen yet.</summary>
    internal static void Configure(SocketTransportOptions transport) => transport.CreateBoundListenSocket = endpoint =>
    {
        var listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        if (endpoint is UnixDomainSocketEndPoint && !OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(endpoint.ToString()!, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        return listener;
    };

    private static Action<ListenOptions> Tag(ListenerKind kind)
    {
        var feature = new ListenerFeature(kind);
        return options =>
        {
            options.Protocols = HttpProtocols.Http1;
            options.Use(next => connection =>
            {
                connection.Features.Set(feature);
                return next(connection);
            });
        };
    }
}

/// <summary>Where the private Unix socket lies.</summary>
public sealed record PrivateSocket(string Path)
{
    /// <summary>Its name in the data directory.</summary>
    public const string FileName = "dingflow.sock";

    /// <summary>Names the path of the socket when that cannot lie in the data directory itself.</summary>
    public const string PointerFileName = "dingflow.sock.path";

    /// <summary>A socket's path may have 108 bytes on Linux and 104 on macOS, the closing zero included.</summary>
    private const int LongestPath = 100;

    /// <summary>Chooses the path and clears away the socket of a process that died.</summary>
    /// <exception cref="SettingsException">A running process serves this data directory.</exception>
    public static PrivateSocket Prepare(string dataDirectory)
    {
        var pointer = System.IO.Path.Combine(dataDirectory, PointerFileName);
        var path = System.IO.Path.Combine(dataDirectory, FileName);
        if (System.Text.Encoding.UTF8.GetByteCount(path) > LongestPath)
        {
            if (File.Exists(pointer))
            {
                Clear(File.ReadAllText(pointer).Trim());
            }

            // A fresh directory of mode 0700 with a name that nobody can guess and occupy beforehand.
            path = System.IO.Path.Combine(Directory.CreateTempSubdirectory("dingflow-").FullName, FileName);
            PrivateFiles.Write(pointer, path);
        }
        else
        {
            File.Delete(pointer);
            Clear(path);
        }

        return new PrivateSocket(path);

        static void Clear(string path)
        {
            if (!File.Exists(path))
            {
                return;
            }

            using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                probe.Connect(new UnixDomainSocketEndPoint(path));
            }
            catch (SocketException)
            {
                File.Delete(path);
                return;
            }

            throw new SettingsException(["DingFlow:DataDirectory: another DingFlow process is using it"]);
        }
    }

    /// <summary>Removes what <see cref="Prepare"/> made outside the data directory.</summary>
    public void Remove(string dataDirectory)
    {
        File.Delete(Path);
        var pointer = System.IO.Path.Combine(dataDirectory, PointerFileName);
        if (File.Exists(pointer))
        {
            Directory.Delete(System.IO.Path.GetDirectoryName(Path)!);
            File.Delete(pointer);
        }
    }
}
