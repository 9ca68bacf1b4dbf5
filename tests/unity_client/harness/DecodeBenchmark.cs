using System;
using System.IO;

namespace Facewire.Harness
{
    /// <summary>How long one default frame takes from bytes to a decoded frame: <c>bench FRAME.msgpack</c>; the best of many rounds.</summary>
    static class DecodeBenchmark
    {
        const int Rounds = 30;
        const int FramesPerRound = 20_000;

        public static int Run(string[] arguments)
        {
            var bytes = File.ReadAllBytes(arguments[0]);
            var decoder = new FrameDecoder();
            var frame = new FaceFrame();
            var rounds = new double[Rounds];
            for (var round = 0; round < Rounds; round++)
            {
                var startNs = MonotonicClock.NowNs;
                for (var i = 0; i < FramesPerRound; i++)
                {
                    var understood = MessageReader.ReadKind(bytes, 0, bytes.Length) == MessageKind.Frame
                        && decoder.TryDecode(bytes, 0, bytes.Length, frame);
                    if (!understood) return 1;
                }
                rounds[round] = (MonotonicClock.NowNs - startNs) * 1e-3 / FramesPerRound;
            }
            Array.Sort(rounds);
            Console.WriteLine(FormattableString.Invariant($"{{\"best_us\": {rounds[0]:0.000}, \"median_us\": {rounds[Rounds / 2]:0.000}}}"));
            return 0;
        }
    }
}
