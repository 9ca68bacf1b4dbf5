using System;
using Facewire.Tests;

namespace Facewire.Harness
{
    /// <summary>
    /// Stands between the transport and the client and notes, for each frame, the time from its publishing to when it lay decoded in the
    /// client's queue, which is right where the server stamps with this machine's CLOCK_MONOTONIC; and what that allocated.
    /// </summary>
    sealed class LatencyTap
    {
        /// <summary>The first second is the just-in-time compiler's.</summary>
        const int WarmUpFrames = 60;

        readonly double[] _latencyMs = new double[200_000];
        readonly FrameDecoder _decoder = new FrameDecoder();
        readonly FaceFrame _frame = new FaceFrame();
        int _count;
        int _seen;

        /// <summary>Of all timed frames, from the socket's bytes to the queue; the socket's own are not in it.</summary>
        public long AllocatedBytes { get; private set; }

        public ITransport Around(ITransport transport) => new Tapped(this, transport);

        public string Report()
        {
            Array.Sort(_latencyMs, 0, _count);
            return FormattableString.Invariant(
                $"\"timed\": {_count}, \"p50_ms\": {At(0.5):0.000}, \"p99_ms\": {At(0.99):0.000}, \"max_ms\": {At(1):0.000}");
        }

        double At(double share) => _count == 0 ? 0 : _latencyMs[(int)(share * (_count - 1))];

        void Note(byte[] buffer, int offset, int count, long allocatedBytes)
        {
            var decodedNs = MonotonicClock.NowNs;
            if (_count == _latencyMs.Length || MessageReader.ReadKind(buffer, offset, count) != MessageKind.Frame) return;
            if (!_decoder.TryDecode(buffer, offset, count, _frame) || ++_seen <= WarmUpFrames) return;
            _latencyMs[_count++] = (decodedNs - _frame.PublishNs) * 1e-6;
            AllocatedBytes += allocatedBytes;
        }

        sealed class Tapped : ITransport, ITransportListener
        {
            readonly LatencyTap _tap;
            readonly ITransport _inner;
            ITransportListener _listener;

            public Tapped(LatencyTap tap, ITransport inner)
            {
                _tap = tap;
                _inner = inner;
            }

            public void Open(Endpoint endpoint, ITransportListener listener)
            {
                _listener = listener;
                _inner.Open(endpoint, this);
            }

            public bool Send(byte[] buffer, int count) => _inner.Send(buffer, count);

            public void Poll() => _inner.Poll();

            public void Dispose() => _inner.Dispose();

            public void OnOpened(ITransport transport) => _listener.OnOpened(this);

            public void OnClosed(ITransport transport, CloseCause cause, string detail) => _listener.OnClosed(this, cause, detail);

            public void OnMessage(ITransport transport, byte[] buffer, int offset, int count, long receivedNs)
            {
                var before = Allocated.Bytes();
                _listener.OnMessage(this, buffer, offset, count, receivedNs);
                _tap.Note(buffer, offset, count, Allocated.Bytes() - before);
            }
        }
    }
}
