namespace Facewire
{
    /// <summary>Tells messages apart by their type key, wherever in the map it stands.</summary>
    public static class MessageReader
    {
        public static MessageKind ReadKind(byte[] buffer, int offset, int count)
        {
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return MessageKind.Malformed;
            for (; pairs > 0; pairs--)
            {
                if (!reader.TryReadString(out var key)) return MessageKind.Malformed;
                if (key.Is(WireNames.Type)) return reader.TryReadString(out var type) ? KindOf(type) : MessageKind.Malformed;
                if (!reader.TrySkip()) return MessageKind.Malformed;
            }
            return MessageKind.Malformed;
        }

        static MessageKind KindOf(in Slice type)
        {
            if (type.Is(WireNames.Frame)) return MessageKind.Frame;
            if (type.Is(WireNames.Pong)) return MessageKind.Pong;
            if (type.Is(WireNames.Status)) return MessageKind.Status;
            if (type.Is(WireNames.Hello)) return MessageKind.Hello;
            if (type.Is(WireNames.Result)) return MessageKind.Result;
            if (type.Is(WireNames.Error)) return MessageKind.Error;
            return type.IsUtf8() ? MessageKind.Unknown : MessageKind.Malformed;
        }
    }
}
