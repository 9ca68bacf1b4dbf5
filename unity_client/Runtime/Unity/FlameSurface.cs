using UnityEngine;

namespace Facewire
{
    /// <summary>
    /// A Unity mesh that shows what a FlameSkinner skins. x changes its sign and triangles turn round, because Unity is left-handed. The
    /// vertices lie in one array that is handed over each time: Unity copies them, so that the frame that is drawn is never half written.
    /// </summary>
    sealed class FlameSurface
    {
        /// <summary>Of the head's size: a jaw that opens and a neck that turns stay inside.</summary>
        const float Margin = 0.3f;

        readonly FlameSkinner _skinner;
        readonly Vector3[] _places;

        public FlameSurface(FlameMesh head)
        {
            _skinner = new FlameSkinner(head);
            _places = new Vector3[head.VertexCount];
            Mesh = new Mesh { name = "FLAME " + head.Name, hideFlags = HideFlags.DontSave };
            Mesh.MarkDynamic();
            Place();
            Mesh.subMeshCount = head.Materials.Length;
            for (var i = 0; i < head.Materials.Length; i++) Mesh.SetTriangles(Flipped(head, head.Materials[i]), i);
            Mesh.RecalculateNormals();
            Mesh.RecalculateBounds();
            // Set once and wide enough: to measure them anew each frame costs more than it saves.
            var bounds = Mesh.bounds;
            bounds.Expand(Margin * Mathf.Max(bounds.size.x, Mathf.Max(bounds.size.y, bounds.size.z)));
            Mesh.bounds = bounds;
        }

        public Mesh Mesh { get; }

        public void Show(FlameValues values, float weight, bool normals)
        {
            _skinner.Skin(values, weight);
            Place();
            if (normals) Mesh.RecalculateNormals();
        }

        void Place()
        {
            var vertices = _skinner.Vertices;
            for (int i = 0, at = 0; i < _places.Length; i++, at += 3) _places[i] = new Vector3(-vertices[at], vertices[at + 1], vertices[at + 2]);
            Mesh.SetVertices(_places);
        }

        static int[] Flipped(FlameMesh head, in FlameMaterial material)
        {
            var flipped = new int[3 * material.TriangleCount];
            for (int i = 0, from = 3 * material.FirstTriangle; i < flipped.Length; i += 3, from += 3)
            {
                flipped[i] = head.Triangles[from];
                flipped[i + 1] = head.Triangles[from + 2];
                flipped[i + 2] = head.Triangles[from + 1];
            }
            return flipped;
        }
    }
}
