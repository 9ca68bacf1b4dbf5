using System.Collections.Generic;

namespace Facewire
{
    /// <summary>What mapping by name found, and what it did not.</summary>
    public sealed class AutoMapResult
    {
        public readonly List<MapRow> Rows = new List<MapRow>();

        /// <summary>Channels that move nothing on this rig.</summary>
        public readonly List<string> UnmatchedChannels = new List<string>();

        /// <summary>Shapes of the rig that nothing moves.</summary>
        public readonly List<string> UnmatchedShapes = new List<string>();
    }
}
