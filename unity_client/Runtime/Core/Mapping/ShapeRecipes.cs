using System.Collections.Generic;

namespace Facewire
{
    /// <summary>
    /// What rigs without ARKit's shapes have instead, as sums of ARKit channels: VRM 1.0 expressions, VRoid's shapes and Oculus visemes.
    /// <see cref="ShapeRecipeTable"/> has them. Visemes that lips and jaw do not tell apart (DD, kk, nn, RR, sil) are left out rather than guessed.
    /// </summary>
    static class ShapeRecipes
    {
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
            var rows = ShapeRecipeTable.Rows;
            for (var i = 0; i < rows.GetLength(0); i++) recipes.Add(rows[i, 0], rows[i, 1]);
            var spellings = ShapeRecipeTable.Spellings;
            for (var i = 0; i < spellings.GetLength(0); i++) recipes.Add(spellings[i, 0], recipes[spellings[i, 1]]);
            return recipes;
        }
    }
}
