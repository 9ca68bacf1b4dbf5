using System;

namespace Facewire
{
    /// <summary>
    /// The newest frames in the order of their time, and the motion through them: straight between frames, a little further beyond
    /// the newest, then held, then eased to rest. Bounded: the oldest frame makes room.
    /// </summary>
    public sealed class FrameTrack
    {
        const int Capacity = 64;
        const long LongestGapNs = 150_000_000;

        readonly FaceValues[] _values = new FaceValues[Capacity];
        readonly long[] _timeNs = new long[Capacity];
        readonly FaceSources[] _sources = new FaceSources[Capacity];
        readonly float[] _confidence = new float[Capacity];
        readonly FaceValues _rest = new FaceValues();
        int _count;

        public FrameTrack()
        {
            for (var i = 0; i < Capacity; i++) _values[i] = new FaceValues();
        }

        public bool IsEmpty => _count == 0;

        public long NewestNs => _timeNs[_count - 1];

        public void Clear() => _count = 0;

        /// <summary>Puts a frame where its time belongs, however late it comes; one of the same time is there already and returns false.</summary>
        public bool Insert(FaceFrame frame, long timeNs)
        {
            var at = _count;
            while (at > 0 && _timeNs[at - 1] >= timeNs) at--;
            if (at < _count && _timeNs[at] == timeNs) return false;
            if (_count == Capacity)
            {
                if (at == 0) return false;
                RemoveOldest();
                at--;
            }
            MoveUp(at);
            _timeNs[at] = timeNs;
            _sources[at] = frame.Sources;
            _confidence[at] = frame.Confidence;
            _values[at].CopyFrom(frame.Values);
            return true;
        }

        /// <summary>Writes the face at <paramref name="timeNs"/>.</summary>
        public void Evaluate(long timeNs, PlayoutSettings settings, FacePose pose)
        {
            var next = _count;
            while (next > 0 && _timeNs[next - 1] > timeNs) next--;
            var shown = Math.Max(next - 1, 0);
            pose.Sources = _sources[shown];
            pose.Confidence = _confidence[shown];
            pose.Phase = PlayoutPhase.Live;
            if (next == _count) GoBeyond(timeNs, settings, pose);
            // Before the first frame, and after a gap too long to draw a line across, the next frame is all that is known.
            else if (next == 0 || _timeNs[next] - _timeNs[next - 1] > LongestGapNs) pose.Values.CopyFrom(_values[next]);
            else pose.Values.SetToBlend(_values[next - 1], _values[next], Fraction(timeNs, next));
        }

        float Fraction(long timeNs, int next) => (float)((double)(timeNs - _timeNs[next - 1]) / (_timeNs[next] - _timeNs[next - 1]));

        void GoBeyond(long timeNs, PlayoutSettings settings, FacePose pose)
        {
            var ageMs = (timeNs - NewestNs) * 1e-6;
            pose.Phase = ageMs <= settings.PredictMs ? PlayoutPhase.Predicting
                : ageMs <= settings.HoldMs ? PlayoutPhase.Holding
                : PlayoutPhase.Resting;
            Predict(ageMs, settings.PredictMs, pose.Values);
            if (pose.Phase == PlayoutPhase.Resting) EaseToRest((ageMs - settings.HoldMs) / Math.Max(settings.RestMs, 1), pose.Values);
        }

        /// <summary>
        /// Goes on as the last two frames went, but slowing down to stand still at the limit: x = t - t^2 / (2 limit), so that neither
        /// place nor speed jumps there.
        /// </summary>
        void Predict(double ageMs, double limitMs, FaceValues values)
        {
            var last = _count - 1;
            var spanNs = last > 0 ? _timeNs[last] - _timeNs[last - 1] : 0;
            if (spanNs <= 0 || spanNs > LongestGapNs || limitMs <= 0)
            {
                values.CopyFrom(_values[last]);
                return;
            }
            var t = Math.Min(ageMs, limitMs);
            var aheadMs = t - t * t / (2 * limitMs);
            values.SetToBlend(_values[last - 1], _values[last], 1 + (float)(aheadMs * 1e6 / spanNs));
            values.ClampBlendshapes();
        }

        void EaseToRest(double progress, FaceValues values)
        {
            var t = (float)Math.Min(progress, 1);
            // Where the head is in the room has no rest: it stays.
            Array.Copy(values.Channels, FaceValues.PositionAt, _rest.Channels, FaceValues.PositionAt, 3);
            values.SetToBlend(values, _rest, t * t * (3 - 2 * t));
        }

        void RemoveOldest()
        {
            var oldest = _values[0];
            _count--;
            Array.Copy(_values, 1, _values, 0, _count);
            Array.Copy(_timeNs, 1, _timeNs, 0, _count);
            Array.Copy(_sources, 1, _sources, 0, _count);
            Array.Copy(_confidence, 1, _confidence, 0, _count);
            _values[_count] = oldest;
        }

        void MoveUp(int at)
        {
            var spare = _values[_count];
            Array.Copy(_values, at, _values, at + 1, _count - at);
            Array.Copy(_timeNs, at, _timeNs, at + 1, _count - at);
            Array.Copy(_sources, at, _sources, at + 1, _count - at);
            Array.Copy(_confidence, at, _confidence, at + 1, _count - at);
            _values[at] = spare;
            _count++;
        }
    }
}
