using System;
using System.IO;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Facewire
{
    /// <summary>
    /// Why a server refused the websocket: its HTTP status and the line that it says. Mono's ClientWebSocket, Unity's, keeps both to
    /// itself, so the handshake (RFC 6455, 4.1) is made once more by hand.
    /// </summary>
    readonly struct Refusal
    {
        const int LongestAnswer = 4096;
        const int LongestReason = 400;
        const int SwitchingProtocols = 101;

        /// <summary>0 where the answer is no HTTP.</summary>
        public readonly int Status;
        public readonly string Reason;

        Refusal(int status, string reason)
        {
            Status = status;
            Reason = reason;
        }

        public CloseCause Cause
        {
            get
            {
                if (Status == 401) return CloseCause.Unauthorized;
                if (Status == 403) return CloseCause.Forbidden;
                // 101: it was refused a moment ago and would not be now.
                return Status >= 500 || Status == SwitchingProtocols ? CloseCause.Busy : CloseCause.NotFacewire;
            }
        }

        /// <summary>Throws what sockets and TLS throw.</summary>
        public static async Task<Refusal> AskAsync(Uri address, CancellationToken stop)
        {
            using (var client = new TcpClient())
            using (stop.Register(client.Close))
            {
                await client.ConnectAsync(address.DnsSafeHost, address.Port).ConfigureAwait(false);
                using (var stream = await OpenAsync(client, address).ConfigureAwait(false))
                {
                    var request = Encoding.ASCII.GetBytes(RequestFor(address));
                    await stream.WriteAsync(request, 0, request.Length, stop).ConfigureAwait(false);
                    return Parse(await ReadAsync(stream, stop).ConfigureAwait(false));
                }
            }
        }

        public static Refusal Parse(string answer)
        {
            var words = answer.Split(new[] { ' ' }, 3);
            if (words.Length < 2 || !words[0].StartsWith("HTTP/", StringComparison.Ordinal) || !int.TryParse(words[1], out var status))
                return new Refusal(0, "its answer is no HTTP");
            var body = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            var reason = body < 0 ? "" : answer.Substring(body + 4).Split('\n')[0].Trim();
            if (reason.Length == 0) reason = "HTTP status " + status;
            return new Refusal(status, reason.Length > LongestReason ? reason.Substring(0, LongestReason) : reason);
        }

        static async Task<Stream> OpenAsync(TcpClient client, Uri address)
        {
            if (address.Scheme != "wss") return client.GetStream();
            var secure = new SslStream(client.GetStream());
            await secure.AuthenticateAsClientAsync(address.DnsSafeHost).ConfigureAwait(false);
            return secure;
        }

        static string RequestFor(Uri address)
        {
            var key = new byte[16];
            using (var random = RandomNumberGenerator.Create()) random.GetBytes(key);
            return $"GET {address.PathAndQuery} HTTP/1.1\r\nHost: {address.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Convert.ToBase64String(key)}\r\n"
                + $"Sec-WebSocket-Protocol: {Endpoint.Subprotocol}\r\n\r\n";
        }

        /// <summary>A refusal ends by closing, or with the line that follows its headers.</summary>
        static async Task<string> ReadAsync(Stream stream, CancellationToken stop)
        {
            var buffer = new byte[LongestAnswer];
            var filled = 0;
            var answer = "";
            while (filled < buffer.Length && !IsWhole(answer))
            {
                var count = await stream.ReadAsync(buffer, filled, buffer.Length - filled, stop).ConfigureAwait(false);
                if (count == 0) break;
                filled += count;
                answer = Encoding.UTF8.GetString(buffer, 0, filled);
            }
            return answer;
        }

        static bool IsWhole(string answer)
        {
            if (answer.Length >= 5 && !answer.StartsWith("HTTP/", StringComparison.Ordinal)) return true;
            var body = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            return body >= 0 && (answer.Length > body + 4 || answer.StartsWith("HTTP/1.1 101", StringComparison.Ordinal));
        }
    }
}
