using System;

namespace Facewire
{
    /// <summary>Where the server is, made from what a user types: a host, host:port, or a whole ws, wss, http or https address.</summary>
    public sealed class Endpoint
    {
        public const int DefaultPort = 8787;
        public const string LivePath = "/v1/live";
        public const string Subprotocol = "facewire.v1";

        /// <summary>The websocket address with the token in it: not for logs.</summary>
        public readonly Uri Address;

        /// <summary>The address without the token, for messages.</summary>
        public readonly string Display;

        Endpoint(Uri address, string display)
        {
            Address = address;
            Display = display;
        }

        /// <summary>Returns false with a line that says what to type instead.</summary>
        public static bool TryParse(string text, string token, out Endpoint endpoint, out string problem)
        {
            endpoint = null;
            problem = "";
            text = (text ?? "").Trim();
            var schemeEnd = text.IndexOf("://", StringComparison.Ordinal);
            var full = schemeEnd < 0 ? "ws://" + text : text;
            if (text.Length == 0 || !Uri.TryCreate(full, UriKind.Absolute, out var typed) || typed.Host.Length == 0)
            {
                problem = $"'{text}' is not an address: type host, host:port or ws://host:{DefaultPort}{LivePath}";
                return false;
            }
            if (!TryScheme(typed.Scheme, out var secure))
            {
                problem = $"'{typed.Scheme}://' is not a websocket: the address starts with ws:// or wss://";
                return false;
            }
            endpoint = Make(typed, full, secure, (token ?? "").Trim());
            return true;
        }

        static bool TryScheme(string scheme, out bool secure)
        {
            secure = scheme == "wss" || scheme == "https";
            return secure || scheme == "ws" || scheme == "http";
        }

        static Endpoint Make(Uri typed, string full, bool secure, string token)
        {
            var path = typed.AbsolutePath.Length <= 1 ? LivePath : typed.AbsolutePath;
            // Uri fills in the scheme's own port (80, 443) where none was typed; here that is 8787, except behind TLS, where a
            // proxy on 443 is what people have.
            var port = HasPort(full, typed) ? typed.Port : secure ? 443 : DefaultPort;
            var plain = new UriBuilder(secure ? "wss" : "ws", typed.Host, port, path).Uri;
            var query = typed.Query.TrimStart('?');
            if (token.Length > 0) query = (query.Length > 0 ? query + "&" : "") + "token=" + Uri.EscapeDataString(token);
            var address = query.Length == 0 ? plain : new UriBuilder(plain) { Query = query }.Uri;
            return new Endpoint(address, plain.ToString());
        }

        static bool HasPort(string full, Uri typed)
        {
            if (!typed.IsDefaultPort && typed.Port >= 0) return true;
            var start = full.IndexOf("://", StringComparison.Ordinal) + 3;
            var end = full.IndexOfAny(new[] { '/', '?', '#' }, start);
            var authority = end < 0 ? full.Substring(start) : full.Substring(start, end - start);
            return authority.LastIndexOf(':') > authority.LastIndexOf(']');
        }
    }
}
