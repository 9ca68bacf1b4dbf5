namespace Facewire
{
    /// <summary>Written by bridge/mapping/export_unity.py from the mapping table; docs/mapping.md shows it.</summary>
    static class ShapeRecipeTable
    {
        /// <summary>Shape, as <see cref="ShapeName.Full"/>, to "channel weight, channel weight, ...".</summary>
        public static readonly string[,] Rows =
        {
            { "happy", "mouthSmileLeft 0.5, mouthSmileRight 0.5" },
            { "angry", "browDownLeft 0.4, browDownRight 0.4, noseSneerLeft 0.2, noseSneerRight 0.2" },
            { "sad", "mouthFrownLeft 0.4, mouthFrownRight 0.4, browInnerUp 0.3" },
            { "surprised", "browInnerUp 0.4, browOuterUpLeft 0.2, browOuterUpRight 0.2, eyeWideLeft 0.2, eyeWideRight 0.2" },
            { "aa", "jawOpen 1.2, mouthFunnel -0.8, mouthPucker -0.5" },
            { "ih", "mouthStretchLeft 0.5, mouthStretchRight 0.5, mouthUpperUpLeft 0.2, mouthUpperUpRight 0.2" },
            { "ou", "mouthPucker 1, mouthFunnel -0.3" },
            { "ee", "mouthDimpleLeft 0.4, mouthDimpleRight 0.4, mouthStretchLeft 0.3, mouthStretchRight 0.3, mouthFunnel -0.5" },
            { "oh", "mouthFunnel 1, mouthPucker -0.3" },
            { "blink", "eyeBlinkLeft 0.5, eyeBlinkRight 0.5" },
            { "blinkleft", "eyeBlinkLeft 1" },
            { "blinkright", "eyeBlinkRight 1" },
            { "lookup", "eyeLookUpLeft 0.5, eyeLookUpRight 0.5" },
            { "lookdown", "eyeLookDownLeft 0.5, eyeLookDownRight 0.5" },
            { "lookleft", "eyeLookOutLeft 0.5, eyeLookInRight 0.5" },
            { "lookright", "eyeLookInLeft 0.5, eyeLookOutRight 0.5" },
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
            { "visemeih", "mouthStretchLeft 0.5, mouthStretchRight 0.5" },
            { "visemeoh", "mouthFunnel 1, mouthPucker -0.3" },
            { "visemeou", "mouthPucker 1, mouthFunnel -0.3" },
        };

        /// <summary>Other spellings of the same shapes.</summary>
        public static readonly string[,] Spellings =
        {
            { "vpp", "visemepp" },
            { "vff", "visemeff" },
            { "vth", "visemeth" },
            { "vch", "visemech" },
            { "vss", "visemess" },
            { "vaa", "visemeaa" },
            { "ve", "visemee" },
            { "vih", "visemeih" },
            { "voh", "visemeoh" },
            { "vou", "visemeou" },
            { "visemei", "visemeih" },
            { "visemeo", "visemeoh" },
            { "visemeu", "visemeou" },
            { "visemeeh", "visemee" },
        };
    }
}
