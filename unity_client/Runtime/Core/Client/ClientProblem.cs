namespace Facewire
{
    /// <summary>One line about what is wrong and what to do; the same problem is reported once, not at every attempt.</summary>
    public sealed class ClientProblem
    {
        public readonly string Kind;
        public readonly string Text;

        public ClientProblem(string kind, string text)
        {
            Kind = kind;
            Text = text;
        }

        public static ClientProblem FromClose(CloseCause cause, string detail, string address)
        {
            switch (cause)
            {
                case CloseCause.Unauthorized:
                    return new ClientProblem("token", $"{address} wants its token: copy it from where facewire serve printed it.");
                case CloseCause.Forbidden:
                    return new ClientProblem("forbidden", $"{address} refuses this client ({detail}): use the address that facewire serve printed.");
                case CloseCause.NotFacewire:
                    return new ClientProblem("foreign", $"{address} answers, but is no Facewire server ({detail}): check host and port.");
                case CloseCause.Busy:
                    return new ClientProblem("busy", $"{address} takes no more clients now ({detail}); trying again.");
                case CloseCause.TooLarge:
                    return new ClientProblem("too large", $"{address} sent {detail}: the connection was closed.");
                case CloseCause.ClosedByServer:
                    return new ClientProblem("closed", $"{address} closed the connection ({detail}); trying again.");
                case CloseCause.Unreachable:
                    return new ClientProblem("unreachable", $"No server at {address} ({detail}): start facewire serve there; trying again.");
                default:
                    return new ClientProblem("lost", $"The connection to {address} broke ({detail}); trying again.");
            }
        }
    }
}
