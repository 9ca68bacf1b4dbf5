using System;

namespace Facewire
{
    /// <summary>
    /// Plays frames evenly that come unevenly: shows the face as it was a measured delay ago, between two frames that have arrived.
    /// The delay is as long as the network is uneven, and no longer. Time is an argument; nothing here allocates after construction.
    /// </summary>
    public sealed class JitterBuffer
    {
        /// <summary>Of the source's interval, on top of the jitter.</summary>
        const double IntervalShare = 0.75;

        /// <summary>The playing speed changes by this much at most to reach a new delay: too little to be seen.</summary>
        const double MaxSlew = 0.1;

        const long JumpNs = 400_000_000;
        /// <summary>Between two rendered frames: the player was loading, or in the background.</summary>
        const long PauseNs = 150_000_000;

        const long LongestLagNs = 1_000_000_000;
        const long OtherClockNs = 10_000_000_000;
        const double GuessFadeMs = 60;
        const double ReturnFadeMs = 150;
        const double FadeRecovery = 0.25;

        /// <summary>After a pause the way back is seen whole, not what would be left of it.</summary>
        const double LongestFadeStepMs = 34;

        readonly PlayoutSettings _settings;
        readonly FrameTrack _track = new FrameTrack();
        readonly DelayEstimator _delay = new DelayEstimator();
        readonly Residual _residual = new Residual();
        readonly FacePose _right = new FacePose();
        readonly FaceValues _shown = new FaceValues();
        PlayoutPhase _shownPhase;
        double _fadeMs = GuessFadeMs;
        long _shownTimeNs;
        long _shownAtNs;
        long _behindNs;
        long _lagNs;
        long _newestSeq;
        long _newestNs;
        bool _changed;
        bool _jumped;
        bool _restart;

        public JitterBuffer(PlayoutSettings settings) => _settings = settings;

        /// <summary>How far what is shown lies behind the quickest frame's arrival: the delay that playing evenly costs.</summary>
        public double DelayMs => _delay.HasEstimate ? (_behindNs - _delay.BaseNs) * 1e-6 : 0;

        /// <summary>How unevenly frames arrive.</summary>
        public double JitterMs => _delay.JitterNs * 1e-6;

        /// <summary>Frames that came after their moment had been shown, or twice.</summary>
        public long Late { get; private set; }

        /// <summary>Begins anew with the next frame, which is of another session and so of another clock; the face goes on from where it is.</summary>
        public void Restart() => _restart = true;

        /// <summary>Takes a frame; its content is copied.</summary>
        public void Insert(FaceFrame frame)
        {
            var timeNs = TimeOf(frame);
            if (_restart || _track.IsEmpty || Math.Abs(timeNs - _track.NewestNs) > OtherClockNs) Begin();
            var first = _track.IsEmpty;
            _delay.AddTransit(frame.ReceivedNs - timeNs);
            if (!first && frame.Seq == _newestSeq + 1) _delay.AddInterval(timeNs - _newestNs);
            if (!_track.Insert(frame, timeNs))
            {
                Late++;
                return;
            }
            if (first) _behindNs = TargetBehindNs();
            else if (timeNs < _shownTimeNs) Late++;
            _changed = true;
            if (!first && frame.Seq < _newestSeq) return;
            _newestSeq = frame.Seq;
            _newestNs = timeNs;
        }

        /// <summary>Writes the face to be shown at <paramref name="nowNs"/>; call it once per rendered frame.</summary>
        public void Sample(long nowNs, FacePose pose)
        {
            var elapsedNs = _shownPhase == PlayoutPhase.Empty ? 0 : Math.Max(0, nowNs - _shownAtNs);
            if (_track.IsEmpty)
            {
                Empty(pose);
                return;
            }
            Slew(elapsedNs);
            var timeNs = nowNs - _behindNs;
            if (_jumped || elapsedNs > PauseNs) GoOnFrom(timeNs);
            else if (_changed) MakeGood(timeNs);
            Fade(Math.Min(elapsedNs * 1e-6, LongestFadeStepMs));
            _track.Evaluate(timeNs, _settings, pose);
            _residual.AddTo(pose.Values);
            pose.Values.ClampBlendshapes();
            Remember(pose, timeNs, nowNs);
        }

        /// <summary>
        /// A frame's time: when its input was captured, because capture is regular and what comes after it is not. Held frames have no
        /// new input; they take the lag of the last one that had.
        /// </summary>
        long TimeOf(FaceFrame frame)
        {
            if (frame.Sources != FaceSources.Held) _lagNs = Math.Min(Math.Max(frame.PublishNs - frame.CaptureNs, 0), LongestLagNs);
            return frame.PublishNs - _lagNs;
        }

        long TargetBehindNs()
        {
            var wishMs = (_delay.JitterNs + IntervalShare * _delay.IntervalNs) * 1e-6;
            var delayMs = Math.Min(Math.Max(wishMs, _settings.MinDelayMs), Math.Max(_settings.MaxDelayMs, _settings.MinDelayMs));
            return _delay.BaseNs + (long)(delayMs * 1e6);
        }

        void Begin()
        {
            _restart = false;
            _track.Clear();
            _delay.Reset();
            _jumped = true;
        }

        void Slew(long elapsedNs)
        {
            var error = TargetBehindNs() - _behindNs;
            var limit = (long)(MaxSlew * elapsedNs);
            _jumped |= Math.Abs(error) > JumpNs;
            _behindNs += _jumped ? error : Math.Min(Math.Max(error, -limit), limit);
        }

        /// <summary>New frames may say something else about the moment that was shown last: a guess, or a line across a frame that was missing.</summary>
        void MakeGood(long timeNs)
        {
            if (_shownPhase > PlayoutPhase.Predicting)
            {
                GoOnFrom(timeNs);
                return;
            }
            _changed = false;
            _track.Evaluate(_shownTimeNs, _settings, _right);
            _residual.Set(_shown, _right.Values);
        }

        /// <summary>The motion begins anew, away from what is shown: lead from one to the other.</summary>
        void GoOnFrom(long timeNs)
        {
            _changed = _jumped = false;
            _fadeMs = ReturnFadeMs;
            _track.Evaluate(timeNs, _settings, _right);
            // Where the head is in the room has no rest to come from.
            if (_shownPhase == PlayoutPhase.Empty) Array.Copy(_right.Values.Channels, FaceValues.PositionAt, _shown.Channels, FaceValues.PositionAt, 3);
            _residual.Set(_shown, _right.Values);
        }

        void Fade(double elapsedMs)
        {
            _residual.Fade(elapsedMs, _fadeMs);
            _fadeMs = Math.Max(GuessFadeMs, _fadeMs - FadeRecovery * elapsedMs);
        }

        void Remember(FacePose pose, long timeNs, long nowNs)
        {
            _shown.CopyFrom(pose.Values);
            _shownPhase = pose.Phase;
            _shownTimeNs = timeNs;
            _shownAtNs = nowNs;
        }

        void Empty(FacePose pose)
        {
            pose.Values.CopyFrom(_shown);
            pose.Phase = PlayoutPhase.Empty;
            pose.Confidence = 0;
            pose.Sources = FaceSources.Held;
        }
    }
}
