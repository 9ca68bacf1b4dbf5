using System;
using System.Collections.Generic;

namespace Facewire
{
    /// <summary>
    /// Finds by name which of a rig's shapes each channel moves: ARKit's names in any spelling and behind any prefix first; where a rig
    /// has few of those, what VRM, VRoid and Oculus rigs have instead.
    /// </summary>
    public static class AutoMapper
    {
        /// <summary>A rig with so many of ARKit's shapes is an ARKit rig: visemes beside them would move the mouth twice.</summary>
        const int ArkitRig = 20;

        static readonly string[] Keys = MakeKeys();

        public static AutoMapResult Map(IReadOnlyList<string> rigNames)
        {
            var result = new AutoMapResult();
            var names = new ShapeName[rigNames.Count];
            var exact = new bool[ArkitBlendshapes.Count];
            for (var i = 0; i < names.Length; i++)
            {
                names[i] = ShapeName.Parse(rigNames[i]);
                var channel = Array.IndexOf(Keys, names[i].Full);
                if (channel >= 0) exact[channel] = true;
            }
            var matched = new bool[names.Length];
            var found = 0;
            for (var i = 0; i < names.Length; i++)
            {
                var channel = ChannelOf(names[i], exact);
                if (channel < 0) continue;
                matched[i] = true;
                found++;
                result.Rows.Add(new MapRow(rigNames[i], ArkitBlendshapes.Names[channel], 1));
            }
            if (found < ArkitRig) AddRecipes(rigNames, names, matched, result);
            List(rigNames, matched, result);
            return result;
        }

        /// <summary>The same name; else a middle channel that the rig has once for each side; else the longest name that it ends with.</summary>
        static int ChannelOf(in ShapeName name, bool[] exact)
        {
            var same = Array.IndexOf(Keys, name.Full);
            if (same >= 0) return same;
            if (name.Side.Length > 0 && (same = Array.IndexOf(Keys, name.Base)) >= 0 && !exact[same]) return same;
            var best = -1;
            for (var i = 0; i < Keys.Length; i++)
                if (!exact[i] && name.Full.EndsWith(Keys[i], StringComparison.Ordinal) && (best < 0 || Keys[i].Length > Keys[best].Length)) best = i;
            return best;
        }

        static void AddRecipes(IReadOnlyList<string> rigNames, ShapeName[] names, bool[] matched, AutoMapResult result)
        {
            var winks = Array.Exists(names, name => name.Full == "blinkleft" || name.Full == "fcleyecloseleft");
            for (var i = 0; i < names.Length; i++)
            {
                // A rig that can wink closes both eyes by two winks; its common blink on top would close them twice.
                if (matched[i] || (winks && (names[i].Full == "blink" || names[i].Full == "fcleyeclose"))) continue;
                matched[i] = ShapeRecipes.TryGet(rigNames[i], names[i], result.Rows);
            }
        }

        static void List(IReadOnlyList<string> rigNames, bool[] matched, AutoMapResult result)
        {
            for (var i = 0; i < matched.Length; i++)
                if (!matched[i]) result.UnmatchedShapes.Add(rigNames[i]);
            foreach (var channel in ArkitBlendshapes.Names)
                if (!result.Rows.Exists(row => row.Source == channel)) result.UnmatchedChannels.Add(channel);
        }

        static string[] MakeKeys()
        {
            var keys = new string[ArkitBlendshapes.Count];
            for (var i = 0; i < keys.Length; i++) keys[i] = ArkitBlendshapes.Names[i].ToLowerInvariant();
            return keys;
        }
    }
}
