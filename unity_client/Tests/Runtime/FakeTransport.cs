using System;
using System.Collections.Generic;

namespace Facewire.Tests
{
    /// <summary>A connection without a network: the test plays the server.</summary>
    sealed class FakeTransport : ITransport
    {
        public ITransportListener Listener;
        public readonly List<byte[]> Sent = new List<byte[]>();
        public bool KeepsSent = true;
        public bool IsDisposed;

        public void Open(Endpoint endpoint, ITransportListener listener) => Listener = listener;

        public bool Send(byte[] buffer, int count)
        {
            if (!KeepsSent) return true;
            var bytes = new byte[count];
            Array.Copy(buffer, bytes, count);
            Sent.Add(bytes);
            return true;
        }

        public void Poll()
        {
        }

        public void Dispose() => IsDisposed = true;

        public void Opens() => Listener.OnOpened(this);

        public void Says(byte[] bytes, long nowNs = 0) => Listener.OnMessage(this, bytes, 0, bytes.Length, nowNs);

        public void Closes(CloseCause cause, string detail = "") => Listener.OnClosed(this, cause, detail);
    }
}
