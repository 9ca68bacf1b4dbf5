using System;

namespace Facewire
{
    /// <summary>
    /// One websocket connection, from opening to its end; used once. Dispose closes it, waits a moment at most, and no call to the
    /// listener begins after it has returned.
    /// </summary>
    public interface ITransport : IDisposable
    {
        /// <summary>Starts to connect and returns at once; the listener hears how it went.</summary>
        void Open(Endpoint endpoint, ITransportListener listener);

        /// <summary>Copies a binary message and sends it; false where the connection is not open or too much waits already.</summary>
        bool Send(byte[] buffer, int count);

        /// <summary>Called once a frame: a transport without a thread of its own delivers here.</summary>
        void Poll();
    }
}
