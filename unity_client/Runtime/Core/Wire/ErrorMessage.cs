namespace Facewire
{
    /// <summary>The server refuses something; where it cannot go on it closes the connection next.</summary>
    public sealed class ErrorMessage
    {
        public string Code = "";
        public string Message = "";

        public static bool TryDecode(byte[] buffer, int offset, int count, out ErrorMessage error)
        {
            error = new ErrorMessage();
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
            {
                if (!reader.TryReadString(out var key)) return false;
                var read = key.Is(WireNames.Code) ? HelloMessage.TryReadText(ref reader, out error.Code)
                    : key.Is(WireNames.Message) ? HelloMessage.TryReadText(ref reader, out error.Message)
                    : reader.TrySkip();
                if (!read) return false;
            }
            return reader.Remaining == 0;
        }
    }
}
