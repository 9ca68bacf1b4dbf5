using System.Collections.Generic;

namespace Facewire
{
    /// <summary>
    /// What the transport's thread puts down and the player loop picks up: frames in a queue, all else in slots under one lock.
    /// Listens to one connection at a time; calls from an earlier one are ignored.
    /// </summary>
    sealed class ClientInbox : ITransportListener
    {
        const int WaitingFrames = 16;
        const int WaitingResults = 64;

        public readonly FrameQueue Frames = new FrameQueue(WaitingFrames);

        readonly object _gate = new object();
        readonly FrameDecoder _decoder = new FrameDecoder();
        readonly ClockEstimator _clock;
        readonly Queue<ResultMessage> _results = new Queue<ResultMessage>();
        FaceFrame _spare = new FaceFrame();
        ITransport _current;
        ClientEvents _events;

        /// <summary>The clock's estimate is written here and read on the player loop, in both cases under the lock.</summary>
        public ClientInbox(ClockEstimator clock) => _clock = clock;

        /// <summary>Listens to this connection from now on; null = to none.</summary>
        public void Listen(ITransport transport)
        {
            lock (_gate)
            {
                _current = transport;
                _events = default;
                _results.Clear();
                _clock.Reset();
                _decoder.SetOrder(DefaultOrder);
                Frames.Clear();
            }
        }

        /// <summary>Takes what has happened since the last call.</summary>
        public ClientEvents Take()
        {
            lock (_gate)
            {
                var events = _events;
                if (_results.Count > 0) events.Result = _results.Dequeue();
                _events = new ClientEvents { LastReceivedNs = events.LastReceivedNs, Malformed = events.Malformed };
                return events;
            }
        }

        public void OnOpened(ITransport transport)
        {
            lock (_gate)
                if (transport == _current) _events.Opened = true;
        }

        public void OnClosed(ITransport transport, CloseCause cause, string detail)
        {
            lock (_gate)
            {
                if (transport != _current) return;
                _events.Closed = true;
                _events.Cause = cause;
                _events.Detail = detail;
            }
        }

        public void OnMessage(ITransport transport, byte[] buffer, int offset, int count, long receivedNs)
        {
            lock (_gate)
            {
                if (transport != _current) return;
                _events.LastReceivedNs = receivedNs;
                if (!TryTakeMessage(buffer, offset, count, receivedNs)) _events.Malformed++;
            }
        }

        bool TryTakeMessage(byte[] buffer, int offset, int count, long receivedNs)
        {
            var kind = MessageReader.ReadKind(buffer, offset, count);
            switch (kind)
            {
                case MessageKind.Frame: return TryTakeFrame(buffer, offset, count, receivedNs);
                case MessageKind.Pong: return TryTakePong(buffer, offset, count, receivedNs);
                case MessageKind.Hello: return TryTakeHello(buffer, offset, count);
                case MessageKind.Status: return TryTakeStatus(buffer, offset, count);
                case MessageKind.Error: return TryTakeError(buffer, offset, count);
                case MessageKind.Result: return TryTakeResult(buffer, offset, count);
                default: return kind == MessageKind.Unknown;
            }
        }

        bool TryTakeFrame(byte[] buffer, int offset, int count, long receivedNs)
        {
            if (!_decoder.TryDecode(buffer, offset, count, _spare)) return false;
            _spare.ReceivedNs = receivedNs;
            Frames.Put(ref _spare);
            return true;
        }

        bool TryTakePong(byte[] buffer, int offset, int count, long receivedNs)
        {
            if (!PongMessage.TryDecode(buffer, offset, count, out var pong)) return false;
            _clock.Update(pong, receivedNs);
            return true;
        }

        bool TryTakeHello(byte[] buffer, int offset, int count)
        {
            if (!HelloMessage.TryDecode(buffer, offset, count, out var hello)) return false;
            _events.Hello = hello;
            if (hello.Protocol == HelloMessage.SupportedProtocol) _decoder.SetOrder(hello.Blendshapes);
            return true;
        }

        bool TryTakeStatus(byte[] buffer, int offset, int count)
        {
            if (!StatusMessage.TryDecode(buffer, offset, count, out var status)) return false;
            _events.Status = status;
            return true;
        }

        bool TryTakeError(byte[] buffer, int offset, int count)
        {
            if (!ErrorMessage.TryDecode(buffer, offset, count, out var error)) return false;
            _events.Error = error;
            return true;
        }

        bool TryTakeResult(byte[] buffer, int offset, int count)
        {
            if (!ResultMessage.TryDecode(buffer, offset, count, out var result)) return false;
            if (_results.Count < WaitingResults) _results.Enqueue(result);
            return true;
        }

        static readonly string[] DefaultOrder = new List<string>(ArkitBlendshapes.Names).ToArray();
    }
}
