using System;
using NUnit.Framework;

namespace Facewire.Tests
{
    /// <summary>What this thread has allocated so far, as the runtime counts it.</summary>
    static class Allocated
    {
        // Not in netstandard2.1, but in every runtime that runs these tests; tests may look things up by name, the package may not.
        static readonly Func<long> Count = Find();

        public static long Bytes()
        {
            if (Count == null) Assert.Ignore("This runtime does not count allocations.");
            return Count();
        }

        static Func<long> Find()
        {
            var method = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread", Type.EmptyTypes);
            return method == null ? null : (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), method);
        }
    }
}
