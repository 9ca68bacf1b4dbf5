using System;

namespace Facewire
{
    /// <summary>
    /// Measures how unevenly frames arrive. A frame's transit is its arrival on our clock minus its time on the server's; the offset
    /// between the clocks is in all of them alike. Over the last 256 frames, the smallest transit is the quickest way, and how far nearly
    /// all others lie above it is the jitter. A window, so that drifting clocks and a changing network are followed.
    /// </summary>
    public sealed class DelayEstimator
    {
        public const int Window = 256;

        /// <summary>So many of the frames are in time; the rest is bridged by going on in the same direction.</summary>
        public const double Covered = 0.95;

        const int RecomputeEvery = 16;
        const double IntervalSmoothing = 0.05;

        readonly long[] _transitNs = new long[Window];
        readonly long[] _scratch = new long[Window];
        long _seen;
        double _intervalNs;

        /// <summary>The smallest transit in the window.</summary>
        public long BaseNs { get; private set; }

        /// <summary>How far the slower frames lie behind the quickest.</summary>
        public long JitterNs { get; private set; }

        /// <summary>Between two frames of the source.</summary>
        public long IntervalNs => (long)_intervalNs;

        public bool HasEstimate => _seen > 0;

        public void Reset()
        {
            _seen = 0;
            _intervalNs = 0;
            BaseNs = JitterNs = 0;
        }

        public void AddTransit(long transitNs)
        {
            _transitNs[_seen % Window] = transitNs;
            _seen++;
            if (transitNs < BaseNs || _seen < RecomputeEvery || _seen % RecomputeEvery == 0) Recompute();
        }

        /// <summary>Takes the time between two frames with neighbouring numbers.</summary>
        public void AddInterval(long intervalNs)
        {
            if (intervalNs <= 0) return;
            _intervalNs = _intervalNs == 0 ? intervalNs : _intervalNs + IntervalSmoothing * (intervalNs - _intervalNs);
        }

        void Recompute()
        {
            var count = (int)Math.Min(_seen, Window);
            Array.Copy(_transitNs, _scratch, count);
            BaseNs = _scratch[0];
            for (var i = 1; i < count; i++) BaseNs = Math.Min(BaseNs, _scratch[i]);
            JitterNs = Select(_scratch, count, (int)(Covered * (count - 1))) - BaseNs;
        }

        /// <summary>The value that would stand at <paramref name="rank"/> if all were sorted (Hoare 1961); Mono's Array.Sort allocates.</summary>
        static long Select(long[] values, int count, int rank)
        {
            int low = 0, high = count - 1;
            while (low < high)
            {
                var pivot = values[(low + high) / 2];
                int left = low, right = high;
                while (left <= right)
                {
                    while (values[left] < pivot) left++;
                    while (values[right] > pivot) right--;
                    if (left > right) break;
                    var kept = values[left];
                    values[left++] = values[right];
                    values[right--] = kept;
                }
                if (rank <= right) high = right;
                else if (rank >= left) low = left;
                else break;
            }
            return values[rank];
        }
    }
}
