using UnityEngine;

namespace Facewire.Samples
{
    /// <summary>Makes a Unity mesh of the head: x changes its sign and triangles turn round, because Unity is left-handed.</summary>
    public static class OpenHeadMesh
    {
        const float FullWeight = 100;

        public static Mesh Make(OpenHeadAsset head)
        {
            var vertices = Places(head.Vertices);
            var triangles = Flipped(head.Triangles);
            var normals = Normals(vertices, triangles);
            var mesh = new Mesh { name = "Open head", vertices = vertices, normals = normals };
            SetMaterials(mesh, head, triangles);
            foreach (var shape in head.Shapes) AddShape(mesh, shape, vertices, triangles, normals);
            mesh.RecalculateBounds();
            return mesh;
        }

        static Vector3[] Places(float[] numbers)
        {
            var places = new Vector3[numbers.Length / 3];
            for (var i = 0; i < places.Length; i++) places[i] = new Vector3(-numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]);
            return places;
        }

        static int[] Flipped(int[] triangles)
        {
            var flipped = new int[triangles.Length];
            for (var i = 0; i < triangles.Length; i += 3)
            {
                flipped[i] = triangles[i];
                flipped[i + 1] = triangles[i + 2];
                flipped[i + 2] = triangles[i + 1];
            }
            return flipped;
        }

        static void SetMaterials(Mesh mesh, OpenHeadAsset head, int[] triangles)
        {
            mesh.subMeshCount = head.Materials.Count;
            for (var i = 0; i < head.Materials.Count; i++)
            {
                var part = new int[3 * head.Materials[i].TriangleCount];
                System.Array.Copy(triangles, 3 * head.Materials[i].FirstTriangle, part, 0, part.Length);
                mesh.SetTriangles(part, i);
            }
        }

        static void AddShape(Mesh mesh, OpenHeadAsset.Shape shape, Vector3[] vertices, int[] triangles, Vector3[] normals)
        {
            var deltas = new Vector3[vertices.Length];
            var moved = (Vector3[])vertices.Clone();
            var motion = Places(shape.Deltas);
            for (var i = 0; i < motion.Length; i++)
            {
                deltas[shape.Moved[i]] = motion[i];
                moved[shape.Moved[i]] += motion[i];
            }
            var turned = Normals(moved, triangles);
            for (var i = 0; i < turned.Length; i++) turned[i] -= normals[i];
            mesh.AddBlendShapeFrame(shape.Name, FullWeight, deltas, turned, null);
        }

        /// <summary>Of each vertex, the mean of its triangles', larger ones counting more.</summary>
        static Vector3[] Normals(Vector3[] vertices, int[] triangles)
        {
            var normals = new Vector3[vertices.Length];
            for (var i = 0; i < triangles.Length; i += 3)
            {
                int a = triangles[i], b = triangles[i + 1], c = triangles[i + 2];
                var normal = Vector3.Cross(vertices[b] - vertices[a], vertices[c] - vertices[a]);
                normals[a] += normal;
                normals[b] += normal;
                normals[c] += normal;
            }
            for (var i = 0; i < normals.Length; i++) normals[i] = normals[i].normalized;
            return normals;
        }
    }
}
