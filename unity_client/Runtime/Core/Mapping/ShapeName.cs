using System;
using System.Collections.Generic;
using System.Text;

namespace Facewire
{
    /// <summary>
    /// Brings a rig's shape names to one form: what stands before the last dot goes, case and separators go, and a side (_L, .R, left_)
    /// goes to the end as "left" or "right". "Face.L_Eye-Blink", "eyeBlink_L" and "EyeBlinkLeft" all become "eyeblinkleft".
    /// </summary>
    readonly struct ShapeName
    {
        public readonly string Base;

        /// <summary>"left", "right" or nothing.</summary>
        public readonly string Side;

        ShapeName(string root, string side)
        {
            Base = root;
            Side = side;
        }

        public string Full => Base + Side;

        public static ShapeName Parse(string name)
        {
            var tokens = Tokens(name);
            var side = "";
            if (tokens.Count > 1)
            {
                side = SideOf(tokens[tokens.Count - 1]);
                if (side.Length > 0) tokens.RemoveAt(tokens.Count - 1);
                else if ((side = SideOf(tokens[0])).Length > 0) tokens.RemoveAt(0);
            }
            return new ShapeName(string.Concat(tokens), side);
        }

        static List<string> Tokens(string name)
        {
            var tokens = new List<string>();
            var token = new StringBuilder();
            var before = '\0';
            for (var i = StartAfterPrefix(name); i < name.Length; i++)
            {
                var letter = name[i];
                var hump = char.IsUpper(letter) && char.IsLower(before);
                if ((hump || !char.IsLetterOrDigit(letter)) && token.Length > 0)
                {
                    tokens.Add(token.ToString());
                    token.Clear();
                }
                if (char.IsLetterOrDigit(letter)) token.Append(char.ToLowerInvariant(letter));
                before = letter;
            }
            if (token.Length > 0) tokens.Add(token.ToString());
            return tokens;
        }

        /// <summary>Maya writes "blendShape1.jawOpen", but "eyeBlink.L" ends in a side: that dot is no prefix.</summary>
        static int StartAfterPrefix(string name)
        {
            var dot = name.LastIndexOf('.');
            if (dot >= 0 && SideOf(name.Substring(dot + 1).ToLowerInvariant()).Length > 0) dot = dot > 0 ? name.LastIndexOf('.', dot - 1) : -1;
            return dot + 1;
        }

        static string SideOf(string token)
        {
            if (token == "l" || token == "left") return "left";
            return token == "r" || token == "right" ? "right" : "";
        }
    }
}
