using System.Collections.Generic;

namespace Facewire
{
    /// <summary>
    /// What rigs without ARKit's shapes have instead, as sums of ARKit channels: VRM 1.0 expressions, VRoid's shapes and Oculus visemes.
    /// The weights are our own; visemes that lips and jaw do not tell apart (DD, kk, nn, RR, sil) are left out rather than guessed.
    /// </summary>
    static class ShapeRecipes
    {
        /// <summary>Shape, as <see cref="ShapeName.Full"/> without side folding, to "channel weight, channel weight, ...".</summary>
        static readonly string[,] Table =
        {
            { "aa", "jawOpen 1.2, mouthFunnel -0.8, mouthPucker -0.5" },
            { "ih", "mouthStretchLeft 0.5, mouthStretchRight 0.5, mouthUpperUpLeft 0.2, mouthUpperUpRight 0.2" },
            { "ou", "mouthPucker 1, mouthFunnel -0.3" },
            { "ee", "mouthDimpleLeft 0.4, mouthDimpleRight 0.4, mouthStretchLeft 0.3, mouthStretchRight 0.3, mouthFunnel -0.5" },
            { "oh", "mouthFunnel 1, mouthPucker -0.3" },
            { "blinkleft", "eyeBlinkLeft 1" },
            { "blinkright", "eyeBlinkRight 1" },
            { "blink", "eyeBlinkLeft 0.5, eyeBlinkRight 0.5" },
            { "lookup", "eyeLookUpLeft 0.5, eyeLookUpRight 0.5" },
            { "lookdown", "eyeLookDownLeft 0.5, eyeLookDownRight 0.5" },
            { "lookleft", "eyeLookOutLeft 0.5, eyeLookInRight 0.5" },
            { "lookright", "eyeLookInLeft 0.5, eyeLookOutRight 0.5" },
            { "happy", "mouthSmileLeft 0.5, mouthSmileRight 0.5" },
            { "angry", "browDownLeft 0.4, browDownRight 0.4, noseSneerLeft 0.2, noseSneerRight 0.2" },
            { "sad", "mouthFrownLeft 0.4, mouthFrownRight 0.4, browInnerUp 0.3" },
            { "surprised", "browInnerUp 0.4, browOuterUpLeft 0.2, browOuterUpRight 0.2, eyeWideLeft 0.2, eyeWideRight 0.2" },
            { "fclmtha", "jawOpen 1.2, mouthFunnel -0.8, mouthPucker -0.5" },
            { "fclmthi", "mouthStretchLeft 0.5, mouthStretchRight 0.5" },
            { "fclmthu", "mouthPucker 1, mouthFunnel -0.3" },
            { "fclmthe", "mouthDimpleLeft 0.4, mouthDimpleRight 0.4, mouthStretchLeft 0.3, mouthStretchRight 0.3, mouthFunnel -0.5" },
            { "fclmtho", "mouthFunnel 1, mouthPucker -0.3" },
            { "fcleyecloseleft", "eyeBlinkLeft 1" },
            { "fcleyecloseright", "eyeBlinkRight 1" },
            { "fcleyeclose", "eyeBlinkLeft 0.5, eyeBlinkRight 0.5" },
            { "fclmthjoy", "mouthSmileLeft 0.5, mouthSmileRight 0.5" },
            { "fclmthsorrow", "mouthFrownLeft 0.5, mouthFrownRight 0.5" },
            { "fclbrwangry", "browDownLeft 0.5, browDownRight 0.5" },
            { "fclbrwsurprised", "browOuterUpLeft 0.5, browOuterUpRight 0.5" },
            { "fclbrwsorrow", "browInnerUp 1" },
            { "visemepp", "mouthPressLeft 0.4, mouthPressRight 0.4, mouthClose 0.8, mouthRollLower 0.3, mouthRollUpper 0.3" },
            { "visemeff", "mouthRollLower 0.8, mouthUpperUpLeft 0.2, mouthUpperUpRight 0.2" },
            { "visemeth", "tongueOut 1" },
            { "visemech", "mouthFunnel 0.6, mouthShrugUpper 0.3, jawOpen -0.5" },
            { "visemess", "mouthStretchLeft 0.3, mouthStretchRight 0.3, jawOpen -0.5" },
            { "visemeaa", "jawOpen 1.2, mouthFunnel -0.8, mouthPucker -0.5" },
            { "visemee", "mouthDimpleLeft 0.4, mouthDimpleRight 0.4, mouthStretchLeft 0.3, mouthStretchRight 0.3, mouthFunnel -0.5" },
            { "visemei", "mouthStretchLeft 0.5, mouthStretchRight 0.5" },
            { "visemeo", "mouthFunnel 1, mouthPucker -0.3" },
            { "visemeu", "mouthPucker 1, mouthFunnel -0.3" },
        };

        /// <summary>Other spellings of the same shapes.</summary>
        static readonly string[,] Aliases =
        {
            { "visemeih", "visemei" }, { "visemeoh", "visemeo" }, { "visemeou", "visemeu" }, { "visemeeh", "visemee" },
            { "vpp", "visemepp" }, { "vff", "visemeff" }, { "vth", "visemeth" }, { "vch", "visemech" }, { "vss", "visemess" },
            { "vaa", "visemeaa" }, { "ve", "visemee" }, { "vih", "visemei" }, { "voh", "visemeo" }, { "vou", "visemeu" },
        };

        static readonly Dictionary<string, string> Recipes = Make();

        /// <summary>The rows that make this shape; false where it is none of these.</summary>
        public static bool TryGet(string rigName, in ShapeName name, List<MapRow> rows)
        {
            if (!Recipes.TryGetValue(WithoutPrefix(name.Full), out var recipe)) return false;
            foreach (var part in recipe.Split(','))
            {
                var words = part.Trim().Split(' ');
                rows.Add(new MapRow(rigName, words[0], float.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture)));
            }
            return true;
        }

        /// <summary>VRoid writes the mesh's name before each shape: "Face.M_F00_000_00_Fcl_MTH_A".</summary>
        static string WithoutPrefix(string name)
        {
            var start = System.Math.Max(name.LastIndexOf("fcl", System.StringComparison.Ordinal), name.LastIndexOf("viseme", System.StringComparison.Ordinal));
            return start > 0 ? name.Substring(start) : name;
        }

        static Dictionary<string, string> Make()
        {
            var recipes = new Dictionary<string, string>();
            for (var i = 0; i < Table.GetLength(0); i++) recipes.Add(Table[i, 0], Table[i, 1]);
            for (var i = 0; i < Aliases.GetLength(0); i++) recipes.Add(Aliases[i, 0], recipes[Aliases[i, 1]]);
            return recipes;
        }
    }
}
