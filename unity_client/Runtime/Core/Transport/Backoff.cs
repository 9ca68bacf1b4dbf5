using System;

namespace Facewire
{
    /// <summary>How long to wait before the next attempt: doubling from 0.1 s to 1 s, each a fifth shorter or longer by chance.</summary>
    public sealed class Backoff
    {
        public const double FirstS = 0.1;
        public const double LongestS = 1.0;
        public const double Spread = 0.2;

        readonly Random _random;
        double _nextS = FirstS;

        public Backoff(Random random) => _random = random;

        public void Reset() => _nextS = FirstS;

        public long NextNs()
        {
            var delayS = _nextS * (1 - Spread + 2 * Spread * _random.NextDouble());
            _nextS = Math.Min(2 * _nextS, LongestS);
            return (long)(delayS * 1e9);
        }
    }
}
