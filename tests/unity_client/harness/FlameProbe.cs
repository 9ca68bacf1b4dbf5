using System;
using System.Diagnostics;
using System.IO;

namespace Facewire.Harness
{
    /// <summary>Skins a mesh by parameters from a file and writes the vertices to another, for Python to compare; prints the time of one.</summary>
    static class FlameProbe
    {
        const int Rounds = 50;

        /// <summary>Mesh, parameters (float32: expressions, then neck, jaw and eyes of each pose), where the vertices go, expressions.</summary>
        public static int Run(string[] arguments)
        {
            var skinner = new FlameSkinner(FlameMesh.Read(File.ReadAllBytes(arguments[0])));
            var parameters = File.ReadAllBytes(arguments[1]);
            var values = new FlameValues { ExpressionCount = int.Parse(arguments[3]) };
            var size = 4 * (values.ExpressionCount + 12);
            var best = double.MaxValue;
            using (var output = new BinaryWriter(File.Create(arguments[2])))
            {
                for (var at = 0; at < parameters.Length; at += size)
                {
                    Fill(values, parameters, at);
                    for (var round = 0; round < Rounds; round++) best = Math.Min(best, TimeMs(skinner, values));
                    foreach (var number in skinner.Vertices) output.Write(number);
                }
            }
            Console.WriteLine($"{{\"best_ms\": {best.ToString(System.Globalization.CultureInfo.InvariantCulture)}}}");
            return 0;
        }

        static void Fill(FlameValues values, byte[] parameters, int at)
        {
            var expressions = 4 * values.ExpressionCount;
            Buffer.BlockCopy(parameters, at, values.Expression, 0, expressions);
            Buffer.BlockCopy(parameters, at + expressions, values.Neck, 0, 12);
            Buffer.BlockCopy(parameters, at + expressions + 12, values.Jaw, 0, 12);
            Buffer.BlockCopy(parameters, at + expressions + 24, values.Eyes, 0, 24);
        }

        static double TimeMs(FlameSkinner skinner, FlameValues values)
        {
            var watch = Stopwatch.StartNew();
            skinner.Skin(values, 1);
            return watch.Elapsed.TotalMilliseconds;
        }
    }
}
