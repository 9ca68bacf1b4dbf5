namespace Facewire
{
    /// <summary>What a message from the server is.</summary>
    public enum MessageKind
    {
        Malformed,
        Hello,
        Frame,
        Pong,
        Status,
        Result,
        Error,

        /// <summary>A type of a later protocol: skipped.</summary>
        Unknown,
    }
}
