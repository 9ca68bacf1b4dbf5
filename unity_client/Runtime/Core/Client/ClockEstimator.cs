namespace Facewire
{
    /// <summary>
    /// The server's clock against ours, from pings: of the last sixteen the one with the shortest way there and back is taken (as NTP's
    /// clock filter does, RFC 5905, 10), because queueing only ever lengthens a way, and lengthens one side of it.
    /// </summary>
    public sealed class ClockEstimator
    {
        const int Window = 16;

        readonly long[] _roundTripNs = new long[Window];
        readonly long[] _offsetNs = new long[Window];
        int _seen;

        public bool HasEstimate => _seen > 0;

        /// <summary>Add to our clock to get the server's.</summary>
        public long OffsetNs { get; private set; }

        /// <summary>There and back of the ping that the offset comes from; the offset is off by half of it at most.</summary>
        public long RoundTripNs { get; private set; }

        public void Reset()
        {
            _seen = 0;
            OffsetNs = 0;
            RoundTripNs = 0;
        }

        /// <summary>Takes a pong; one that claims to have come before it was sent is ignored.</summary>
        public void Update(in PongMessage pong, long receivedNs)
        {
            var roundTripNs = receivedNs - pong.ClientNs;
            if (roundTripNs < 0) return;
            var at = _seen % Window;
            _roundTripNs[at] = roundTripNs;
            _offsetNs[at] = pong.ServerNs - pong.ClientNs - roundTripNs / 2;
            _seen++;
            Choose();
        }

        void Choose()
        {
            var best = 0;
            for (var i = 1; i < Window && i < _seen; i++)
                if (_roundTripNs[i] < _roundTripNs[best]) best = i;
            OffsetNs = _offsetNs[best];
            RoundTripNs = _roundTripNs[best];
        }
    }
}
