using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DingFlow.Sandbox;

/// <summary>
/// The sandbox's listening socket on the loopback. It listens as soon as it exists, so that the addresses are known before anything else
/// has started; callers wait in its backlog until somebody serves.
/// </summary>
public sealed class SandboxListener : IDisposable
{
    private SandboxListener(Socket socket)
    {
        Socket = socket;
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        var root = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        DingTalk = new Uri(root, SandboxApplication.DingTalkPath);
        DingTalkLegacy = new Uri(root, SandboxApplication.LegacyPath);
        Graph = new Uri(root, SandboxApplication.GraphPath + "/v1.0");
    }

    /// <summary>Base address of DingTalk's newer interface.</summary>
    public Uri DingTalk { get; }

    /// <summary>Base address of DingTalk's older interface.</summary>
    public Uri DingTalkLegacy { get; }

    /// <summary>Base address of Microsoft Graph, its version included.</summary>
    public Uri Graph { get; }

    internal Socket Socket { get; }

    /// <summary>Listens on the loopback.</summary>
    /// <param name="port">The port, or 0 for any that is free.</param>
    /// <exception cref="SocketException">The port is taken or may not be used.</exception>
    public static SandboxListener Open(int port = 0)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            socket.Listen(512);
            return new SandboxListener(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Socket.Dispose();
}
