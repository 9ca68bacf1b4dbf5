namespace Facewire.Harness
{
    static class Program
    {
        static int Main(string[] arguments) => TestRunner.Run(arguments.Length > 0 ? arguments[0] : "");
    }
}
