namespace Facewire
{
    /// <summary>The answer to a ping: what the client's clock said then, and what the server's said when it answered.</summary>
    public readonly struct PongMessage
    {
        public readonly long ClientNs;
        public readonly long ServerNs;

        public PongMessage(long clientNs, long serverNs)
        {
            ClientNs = clientNs;
            ServerNs = serverNs;
        }

        public static bool TryDecode(byte[] buffer, int offset, int count, out PongMessage pong)
        {
            pong = default;
            long clientNs = -1, serverNs = -1;
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
            {
                if (!reader.TryReadString(out var key)) return false;
                var read = key.Is(WireNames.ClientNs) ? reader.TryReadInteger(out clientNs)
                    : key.Is(WireNames.ServerNs) ? reader.TryReadInteger(out serverNs)
                    : reader.TrySkip();
                if (!read) return false;
            }
            pong = new PongMessage(clientNs, serverNs);
            return clientNs >= 0 && serverNs >= 0 && reader.Remaining == 0;
        }
    }
}
