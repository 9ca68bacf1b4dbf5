namespace Facewire.Harness
{
    static class DecodeBenchmark
    {
        public static int Run(string[] arguments) => 2;
    }
}
