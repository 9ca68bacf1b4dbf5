using System;
using Facewire.Tests;

namespace Facewire.Harness
{
    /// <summary>Prints what the jitter buffer makes of simulated networks.</summary>
    static class PlayoutReport
    {
        public static int Run()
        {
            foreach (var inOrder in new[] { true, false })
            foreach (var noise in new[] { 0, 0.1 })
            {
                foreach (var displayHz in new[] { 60.0, 72, 90, 120 })
                {
                    var run = new PlayoutSimulation { InOrder = inOrder, DisplayHz = displayHz, Noise = noise }.Run(120);
                    Console.WriteLine($"{(inOrder ? "in order" : "reordered"),-10} noise {noise} {displayHz,4} Hz  jump x{run.JumpRatio:0.00}  turn x{run.TurnRatio:0.00}  "
                        + $"delay {run.MeanDelayMs:0.0} ms  error {run.MeanError:0.0000}  late {run.Buffer.Late}");
                }
            }
            return 0;
        }
    }
}
