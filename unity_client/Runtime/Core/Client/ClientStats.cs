namespace Facewire
{
    /// <summary>What the inspector shows about the stream. Updated where frames are taken, on the player loop.</summary>
    public sealed class ClientStats
    {
        const double Smoothing = 0.05;
        const double RateWindowS = 1;

        long _windowStartNs;
        long _windowFrames;
        long _lastSeq;

        /// <summary>Frames taken since the start.</summary>
        public long Frames { get; private set; }

        /// <summary>Frames that the server published and that never came, by the gaps in their numbers.</summary>
        public long Missed { get; private set; }

        /// <summary>Messages that were not understood.</summary>
        public long Malformed { get; internal set; }

        /// <summary>Frames a second over the last second.</summary>
        public double Rate { get; private set; }

        /// <summary>From the server's publishing to our receiving, smoothed; 0 until the clocks are compared.</summary>
        public double LatencyMs { get; private set; }

        /// <summary>From the capture of the input to our receiving, smoothed.</summary>
        public double CaptureLatencyMs { get; private set; }

        internal void BeginConnection(long nowNs)
        {
            _lastSeq = -1;
            _windowStartNs = nowNs;
            _windowFrames = 0;
            Rate = LatencyMs = CaptureLatencyMs = 0;
        }

        internal void Count(FaceFrame frame, ClockEstimator clock, bool thinned)
        {
            Frames++;
            _windowFrames++;
            // With a rate limit the server leaves frames out on purpose.
            if (!thinned && _lastSeq >= 0 && frame.Seq > _lastSeq + 1) Missed += frame.Seq - _lastSeq - 1;
            _lastSeq = frame.Seq;
            if (!clock.HasEstimate) return;
            var receivedNs = frame.ReceivedNs + clock.OffsetNs;
            LatencyMs = Smooth(LatencyMs, (receivedNs - frame.PublishNs) * 1e-6);
            CaptureLatencyMs = Smooth(CaptureLatencyMs, (receivedNs - frame.CaptureNs) * 1e-6);
        }

        internal void Tick(long nowNs)
        {
            var elapsedS = (nowNs - _windowStartNs) * 1e-9;
            if (elapsedS < RateWindowS) return;
            Rate = _windowFrames / elapsedS;
            _windowStartNs = nowNs;
            _windowFrames = 0;
        }

        static double Smooth(double old, double now) => old == 0 ? now : old + Smoothing * (now - old);
    }
}
