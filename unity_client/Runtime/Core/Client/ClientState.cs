namespace Facewire
{
    public enum ClientState
    {
        Stopped,
        Connecting,

        /// <summary>The connection is there; the server's hello is not yet.</summary>
        Greeting,
        Live,

        /// <summary>Waits to try again.</summary>
        Waiting,

        /// <summary>Trying again would not help: a wrong address, token or protocol version.</summary>
        Failed,
    }
}
