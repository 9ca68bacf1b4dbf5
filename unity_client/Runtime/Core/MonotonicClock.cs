using System.Diagnostics;

namespace Facewire
{
    /// <summary>This machine's clock, which only goes forward; the one place where time is read.</summary>
    public static class MonotonicClock
    {
        static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;

        public static long NowNs => (long)(Stopwatch.GetTimestamp() * NsPerTick);
    }
}
