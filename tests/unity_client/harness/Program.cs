using System;

namespace Facewire.Harness
{
    /// <summary>What the Python side starts: the unit tests, or one of the programs that work against a running server.</summary>
    public static class Program
    {
        public static int Main(string[] arguments)
        {
            var command = arguments.Length > 0 ? arguments[0] : "test";
            var rest = new string[Math.Max(0, arguments.Length - 1)];
            Array.Copy(arguments, Math.Min(1, arguments.Length), rest, 0, rest.Length);
            switch (command)
            {
                case "test": return TestRunner.Run(rest.Length > 0 ? rest[0] : "");
                case "live": return LiveProbe.Run(rest);
                case "bench": return DecodeBenchmark.Run(rest);
                case "playout": return PlayoutReport.Run();
                case "members": return MemberList.Run(rest);
                case "flame": return FlameProbe.Run(rest);
                default:
                    Console.Error.WriteLine($"unknown command {command}");
                    return 2;
            }
        }
    }
}
