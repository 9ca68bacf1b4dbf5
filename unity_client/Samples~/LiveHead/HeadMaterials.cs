using System.Collections.Generic;
using UnityEngine;

namespace Facewire.Samples
{
    /// <summary>What the parts of a head look like, by their names.</summary>
    public static class HeadMaterials
    {
        /// <summary>One material for each name; <paramref name="shader"/> null = the lit one of the render pipeline, as far as it is in the build.</summary>
        public static Material[] Make(IReadOnlyList<string> names, Shader shader)
        {
            var materials = new Material[names.Count];
            for (var i = 0; i < materials.Length; i++)
            {
                materials[i] = new Material(shader != null ? shader : Find()) { name = names[i] };
                materials[i].color = Colours.TryGetValue(names[i], out var colour) ? colour : Colours["skin"];
            }
            return materials;
        }

        static Shader Find()
        {
            foreach (var name in new[] { "Universal Render Pipeline/Lit", "HDRP/Lit", "Standard", "Unlit/Color" })
            {
                var found = Shader.Find(name);
                if (found != null) return found;
            }
            return null;
        }

        static readonly Dictionary<string, Color> Colours = new Dictionary<string, Color>
        {
            ["skin"] = new Color(0.88f, 0.68f, 0.58f),
            ["lips"] = new Color(0.78f, 0.43f, 0.42f),
            ["mouth"] = new Color(0.40f, 0.16f, 0.17f),
            ["teeth"] = new Color(0.94f, 0.92f, 0.87f),
            ["tongue"] = new Color(0.77f, 0.40f, 0.42f),
            ["brows"] = new Color(0.30f, 0.21f, 0.16f),
            ["pupil"] = new Color(0.05f, 0.05f, 0.05f),
            ["iris"] = new Color(0.25f, 0.43f, 0.58f),
            ["sclera"] = new Color(0.94f, 0.94f, 0.94f),
            ["eyes"] = new Color(0.94f, 0.94f, 0.94f),
        };
    }
}
