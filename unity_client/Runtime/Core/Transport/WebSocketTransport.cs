using System;
using System.Collections.Generic;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;

namespace Facewire
{
    /// <summary>
    /// The transport of desktop, Android and the editor: .NET's ClientWebSocket. It receives on the thread pool, away from the player
    /// loop, into one buffer that is kept; a message that arrives in parts is put together there.
    /// </summary>
    public sealed class WebSocketTransport : ITransport
    {
        public const int MaxMessageBytes = 1 << 20;

        const int FirstBufferBytes = 16 << 10;
        const int MaxWaitingMessages = 32;
        const int CloseWaitMs = 250;
        const int CloseMessageTooBig = 1009;

        readonly ClientWebSocket _socket = new ClientWebSocket();
        readonly CancellationTokenSource _stop = new CancellationTokenSource();
        readonly Queue<byte[]> _outgoing = new Queue<byte[]>();
        readonly int _connectTimeoutMs;
        ITransportListener _listener;
        Task _run = Task.CompletedTask;
        bool _sending;
        bool _connected;

        public WebSocketTransport(int connectTimeoutMs = 4000) => _connectTimeoutMs = connectTimeoutMs;

        public void Open(Endpoint endpoint, ITransportListener listener)
        {
            _listener = listener;
            _socket.Options.AddSubProtocol(Endpoint.Subprotocol);
            _socket.Options.KeepAliveInterval = TimeSpan.Zero;
            // On the pool, so that no continuation waits for Unity's main thread.
            _run = Task.Run(() => RunAsync(endpoint));
        }

        public void Poll()
        {
        }

        public bool Send(byte[] buffer, int count)
        {
            if (_socket.State != WebSocketState.Open) return false;
            var message = new byte[count];
            Array.Copy(buffer, message, count);
            lock (_outgoing)
            {
                if (_outgoing.Count >= MaxWaitingMessages) return false;
                _outgoing.Enqueue(message);
                if (_sending) return true;
                _sending = true;
            }
            Task.Run(SendWaitingAsync);
            return true;
        }

        public void Dispose()
        {
            Volatile.Write(ref _listener, null);
            if (_socket.State == WebSocketState.Open)
                WaitFor(Task.Run(() => _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", _stop.Token)));
            _stop.Cancel();
            _socket.Abort();
            WaitFor(_run);
            _socket.Dispose();
        }

        static void WaitFor(Task task)
        {
            try
            {
                task.Wait(CloseWaitMs);
            }
            catch (AggregateException)
            {
                // It broke meanwhile, which is as good as closed.
            }
        }

        async Task RunAsync(Endpoint endpoint)
        {
            CloseCause cause;
            string detail;
            try
            {
                await ConnectAsync(endpoint).ConfigureAwait(false);
                if (_socket.SubProtocol == Endpoint.Subprotocol)
                {
                    _connected = true;
                    Volatile.Read(ref _listener)?.OnOpened(this);
                    (cause, detail) = await ReceiveAllAsync().ConfigureAwait(false);
                }
                else
                {
                    // A server speaks JSON then, if it is Facewire at all: a proxy between may take the offer away.
                    _socket.Abort();
                    (cause, detail) = (CloseCause.NotFacewire, $"its websocket does not speak {Endpoint.Subprotocol}; a proxy between must pass Sec-WebSocket-Protocol on");
                }
            }
            catch (Exception error)
            {
                // Whatever a platform's socket throws ends this connection and nothing else.
                (cause, detail) = await ExplainAsync(error, endpoint).ConfigureAwait(false);
            }
            Volatile.Read(ref _listener)?.OnClosed(this, cause, detail);
        }

        async Task ConnectAsync(Endpoint endpoint)
        {
            using (var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token))
            {
                limit.CancelAfter(_connectTimeoutMs);
                await _socket.ConnectAsync(endpoint.Address, limit.Token).ConfigureAwait(false);
            }
        }

        async Task<(CloseCause, string)> ReceiveAllAsync()
        {
            var buffer = new byte[FirstBufferBytes];
            var filled = 0;
            while (true)
            {
                var part = await _socket.ReceiveAsync(new Memory<byte>(buffer, filled, buffer.Length - filled), _stop.Token).ConfigureAwait(false);
                if (part.MessageType == WebSocketMessageType.Close) return await AnswerCloseAsync().ConfigureAwait(false);
                filled += part.Count;
                if (part.EndOfMessage)
                {
                    if (part.MessageType == WebSocketMessageType.Binary)
                        Volatile.Read(ref _listener)?.OnMessage(this, buffer, 0, filled, MonotonicClock.NowNs);
                    filled = 0;
                }
                else if (filled >= MaxMessageBytes) return await RefuseAsync().ConfigureAwait(false);
                else if (filled == buffer.Length) Array.Resize(ref buffer, Math.Min(2 * buffer.Length, MaxMessageBytes));
            }
        }

        async Task<(CloseCause, string)> AnswerCloseAsync()
        {
            var detail = $"{(int?)_socket.CloseStatus ?? 0} {_socket.CloseStatusDescription}".Trim();
            await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", _stop.Token).ConfigureAwait(false);
            return (CloseCause.ClosedByServer, detail);
        }

        async Task<(CloseCause, string)> RefuseAsync()
        {
            await _socket.CloseOutputAsync((WebSocketCloseStatus)CloseMessageTooBig, "message too big", _stop.Token).ConfigureAwait(false);
            return (CloseCause.TooLarge, $"a message of more than {MaxMessageBytes >> 20} MiB");
        }

        async Task SendWaitingAsync()
        {
            while (true)
            {
                byte[] message;
                lock (_outgoing)
                {
                    _sending = _outgoing.Count > 0;
                    if (!_sending) return;
                    message = _outgoing.Dequeue();
                }
                try
                {
                    var bytes = new ArraySegment<byte>(message);
                    await _socket.SendAsync(bytes, WebSocketMessageType.Binary, true, _stop.Token).ConfigureAwait(false);
                }
                catch (Exception)
                {
                    // The receive loop sees the same broken socket and reports it.
                    return;
                }
            }
        }

        async Task<(CloseCause, string)> ExplainAsync(Exception error, Endpoint endpoint)
        {
            if (_connected) return (CloseCause.Lost, Innermost(error).Message);
            if (error is OperationCanceledException) return (CloseCause.Unreachable, "no answer in time");
            // Nobody there, or no TLS with whoever is: those say why. A refusal by an answer does not say which.
            if (error.InnerException != null && !(Innermost(error) is WebSocketException)) return (CloseCause.Unreachable, Innermost(error).Message);
            try
            {
                using (var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token))
                {
                    limit.CancelAfter(_connectTimeoutMs);
                    var refusal = await Refusal.AskAsync(endpoint.Address, limit.Token).ConfigureAwait(false);
                    return (refusal.Cause, refusal.Reason);
                }
            }
            catch (Exception again)
            {
                return (CloseCause.Unreachable, Innermost(again).Message);
            }
        }

        static Exception Innermost(Exception error)
        {
            while (error.InnerException != null) error = error.InnerException;
            return error;
        }
    }
}
