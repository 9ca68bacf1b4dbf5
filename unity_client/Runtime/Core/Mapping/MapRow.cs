using System;

namespace Facewire
{
    /// <summary>One line of a mapping: this rig shape gets that channel times this weight. Several lines of one shape add up.</summary>
    [Serializable]
    public struct MapRow
    {
        /// <summary>The shape's name on the rig.</summary>
        public string Target;

        /// <summary>One of <see cref="ArkitBlendshapes.Names"/>.</summary>
        public string Source;

        public float Weight;

        public MapRow(string target, string source, float weight)
        {
            Target = target;
            Source = source;
            Weight = weight;
        }
    }
}
