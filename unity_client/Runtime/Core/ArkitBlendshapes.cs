using System;
using System.Collections.Generic;

namespace Facewire
{
    /// <summary>
    /// The 52 channels that a face has here: the names of ARKit's blendshape locations, in the order in which Live Link Face streams them.
    /// </summary>
    public static class ArkitBlendshapes
    {
        public const int Count = 52;

        static readonly string[] Table =
        {
            "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft", "eyeWideLeft",
            "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight",
            "jawForward", "jawRight", "jawLeft", "jawOpen",
            "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft", "mouthSmileLeft", "mouthSmileRight",
            "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
            "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
            "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
            "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
            "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
        };

        static readonly Dictionary<string, int> Indices = MakeIndices();
        static readonly int[] Mirrors = MakeMirrors();
        static readonly FaceRegion[] Regions = MakeRegions();

        public static IReadOnlyList<string> Names => Table;

        /// <summary>The channel's index, or -1 where no channel has this name (case matters).</summary>
        public static int IndexOf(string name) => Indices.TryGetValue(name, out var index) ? index : -1;

        /// <summary>The channel on the other side of the face; a middle one is its own mirror.</summary>
        public static int MirrorOf(int index) => Mirrors[index];

        public static FaceRegion RegionOf(int index) => Regions[index];

        static Dictionary<string, int> MakeIndices()
        {
            var indices = new Dictionary<string, int>(Count, StringComparer.Ordinal);
            for (var i = 0; i < Count; i++) indices.Add(Table[i], i);
            return indices;
        }

        static int[] MakeMirrors()
        {
            var mirrors = new int[Count];
            for (var i = 0; i < Count; i++)
            {
                var name = Table[i];
                var other = name.EndsWith("Left", StringComparison.Ordinal) ? name.Substring(0, name.Length - 4) + "Right"
                    : name.EndsWith("Right", StringComparison.Ordinal) ? name.Substring(0, name.Length - 5) + "Left"
                    : name;
                mirrors[i] = Indices[other];
            }
            return mirrors;
        }

        static FaceRegion[] MakeRegions()
        {
            var regions = new FaceRegion[Count];
            for (var i = 0; i < Count; i++)
            {
                var name = Table[i];
                if (name.StartsWith("eye", StringComparison.Ordinal)) regions[i] = FaceRegion.Eyes;
                else if (name.StartsWith("brow", StringComparison.Ordinal)) regions[i] = FaceRegion.Brows;
                else if (name.StartsWith("jaw", StringComparison.Ordinal)) regions[i] = FaceRegion.Jaw;
                else if (name.StartsWith("mouth", StringComparison.Ordinal)) regions[i] = FaceRegion.Mouth;
                else if (name.StartsWith("tongue", StringComparison.Ordinal)) regions[i] = FaceRegion.Tongue;
                else regions[i] = FaceRegion.CheeksAndNose;
            }
            return regions;
        }
    }
}
