namespace Facewire
{
    /// <summary>Hears what happens on a connection, on whatever thread the transport has: it must only put things down.</summary>
    public interface ITransportListener
    {
        void OnOpened(ITransport transport);

        /// <summary>One whole message; the bytes are valid during the call only.</summary>
        void OnMessage(ITransport transport, byte[] buffer, int offset, int count, long receivedNs);

        /// <summary>Told once; nothing comes after it.</summary>
        void OnClosed(ITransport transport, CloseCause cause, string detail);
    }
}
