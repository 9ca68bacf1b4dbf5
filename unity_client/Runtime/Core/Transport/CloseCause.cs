namespace Facewire
{
    /// <summary>Why a connection ended or never came about.</summary>
    public enum CloseCause
    {
        /// <summary>Nobody answered: no server there, a wrong host, a firewall.</summary>
        Unreachable,

        /// <summary>The server wants another token (HTTP 401).</summary>
        Unauthorized,

        /// <summary>The server refuses this client, page or host name (HTTP 403).</summary>
        Forbidden,

        /// <summary>Something answered that does not speak this protocol, or not at this path.</summary>
        NotFacewire,

        /// <summary>The server is full, shutting down, or behind a proxy that cannot reach it (HTTP 5xx).</summary>
        Busy,

        /// <summary>A message was larger than the limit.</summary>
        TooLarge,

        /// <summary>The server closed in the orderly way.</summary>
        ClosedByServer,

        /// <summary>The connection broke.</summary>
        Lost,
    }
}
