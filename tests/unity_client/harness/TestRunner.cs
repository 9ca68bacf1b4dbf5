using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace Facewire.Harness
{
    /// <summary>Runs the NUnit tests of the running program and prints one line each.</summary>
    static class TestRunner
    {
        public static int Run(string only)
        {
            var runner = new NUnitTestAssemblyRunner(new DefaultTestAssemblyBuilder());
            runner.Load(Assembly.GetExecutingAssembly(), new Dictionary<string, object> { ["NumberOfTestWorkers"] = 0 });
            if (runner.LoadedTest.RunState == RunState.NotRunnable) Console.WriteLine(runner.LoadedTest.Properties.Get("_SKIPREASON"));
            var filter = only.Length == 0 ? TestFilter.Empty : TestFilter.FromXml($"<filter><name re='1'>{only}</name></filter>");
            var result = runner.Run(new Reporter(Console.Out), filter);
            Console.WriteLine($"{result.PassCount} passed, {result.FailCount} failed, {result.SkipCount} skipped, {result.InconclusiveCount} inconclusive");
            return result.FailCount + result.InconclusiveCount > 0 || result.PassCount == 0 ? 1 : 0;
        }

        sealed class Reporter : ITestListener
        {
            // NUnit takes over Console while tests run.
            readonly TextWriter _out;

            public Reporter(TextWriter output) => _out = output;

            public void TestStarted(ITest test)
            {
            }

            public void TestFinished(ITestResult result)
            {
                if (result.HasChildren || result.Test.IsSuite) return;
                _out.WriteLine($"{result.ResultState.Status,-12} {result.FullName} ({1000 * result.Duration:0} ms)");
                if (result.ResultState.Status != TestStatus.Passed) _out.WriteLine(result.Message + "\n" + result.StackTrace);
                if (result.Output.Length > 0) _out.WriteLine(result.Output.TrimEnd());
            }

            public void TestOutput(TestOutput output)
            {
            }

            public void SendMessage(TestMessage message)
            {
            }
        }
    }
}
