using System.Net.Sockets;
using System.Text;

namespace DingFlow.Sandbox;

/// <summary>The Unix socket of the fault switches: where it lies, and who may open it.</summary>
internal sealed class SandboxControlSocket(string dataDirectory) : IDisposable
{
    // sockaddr_un holds 108 bytes on Linux and 104 elsewhere, the closing zero included.
    private const int MaximumPathBytes = 100;

    private readonly string _inDataDirectory = System.IO.Path.GetFullPath(System.IO.Path.Combine(dataDirectory, "sandbox.sock"));
    private string? _ownDirectory;

    public string? Path { get; private set; }

    /// <summary>Binds the socket; nobody can connect before the mode is set, because it does not listen yet.</summary>
    public Socket Open(UnixFileMode mode)
    {
        Directory.CreateDirectory(dataDirectory);
        // A killed program leaves its socket behind, or the link to it.
        File.Delete(_inDataDirectory);
        var path = _inDataDirectory;
        if (Encoding.UTF8.GetByteCount(path) > MaximumPathBytes)
        {
            _ownDirectory = Directory.CreateTempSubdirectory("dingflow-").FullName;
            path = System.IO.Path.Combine(_ownDirectory, "sandbox.sock");
            File.CreateSymbolicLink(_inDataDirectory, path);
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, mode);
            }

            Path = path;
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (Path is not null)
        {
            File.Delete(_inDataDirectory);
        }

        if (_ownDirectory is not null)
        {
            Directory.Delete(_ownDirectory, recursive: true);
        }
    }
}
