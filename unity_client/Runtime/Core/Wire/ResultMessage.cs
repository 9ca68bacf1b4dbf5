namespace Facewire
{
    /// <summary>What became of a command.</summary>
    public sealed class ResultMessage
    {
        /// <summary>The number that the command was sent with; -1 where it was a text.</summary>
        public long Id = -1;

        /// <summary>The text that the command was sent with; empty where it was a number, as this client's commands are.</summary>
        public string TextId = "";

        public bool Ok;

        /// <summary>One line that says what went wrong; empty where all went well.</summary>
        public string Error = "";

        /// <summary>Why not, for a program: "busy" and "not_ready" mean that the same may work later; empty where the server names none.</summary>
        public string Code = "";

        public static bool TryDecode(byte[] buffer, int offset, int count, out ResultMessage result)
        {
            result = new ResultMessage();
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
                if (!reader.TryReadString(out var key) || !result.TryReadValue(ref reader, key)) return false;
            return (result.Id >= 0 || result.TextId.Length > 0) && reader.Remaining == 0;
        }

        bool TryReadValue(ref MsgpackReader reader, in Slice key)
        {
            if (key.Is(WireNames.Id) && reader.Peek() == MsgpackType.String) return HelloMessage.TryReadText(ref reader, out TextId);
            if (key.Is(WireNames.Id)) return reader.TryReadInteger(out Id);
            if (key.Is(WireNames.Ok)) return reader.TryReadBoolean(out Ok);
            if (key.Is(WireNames.Error) && reader.Peek() == MsgpackType.String) return HelloMessage.TryReadText(ref reader, out Error);
            if (key.Is(WireNames.Code) && reader.Peek() == MsgpackType.String) return HelloMessage.TryReadText(ref reader, out Code);
            return reader.TrySkip();
        }
    }
}
