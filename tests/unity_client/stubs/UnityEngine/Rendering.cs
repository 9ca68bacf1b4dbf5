using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public class Shader : Object
    {
        public static Shader Find(string name) => new Shader();
    }

    public class Material : Object
    {
        public Material(Shader shader)
        {
        }

        public Color color { get; set; }
    }

    public sealed class Mesh : Object
    {
        readonly List<string> _shapes = new List<string>();

        public Vector3[] vertices { get; set; }
        public Vector3[] normals { get; set; }
        public int subMeshCount { get; set; }
        public int blendShapeCount => _shapes.Count;

        public string GetBlendShapeName(int shapeIndex) => _shapes[shapeIndex];

        public void AddBlendShapeFrame(string shapeName, float frameWeight, Vector3[] deltaVertices, Vector3[] deltaNormals, Vector3[] deltaTangents) =>
            _shapes.Add(shapeName);

        internal readonly Dictionary<int, int[]> Submeshes = new Dictionary<int, int[]>();

        public void SetTriangles(int[] triangles, int submesh) => Submeshes[submesh] = triangles;

        public Bounds bounds { get; set; }

        public void MarkDynamic()
        {
        }

        public void SetVertices(Vector3[] inVertices)
        {
            if (vertices == null || vertices.Length != inVertices.Length) vertices = new Vector3[inVertices.Length];
            Array.Copy(inVertices, vertices, inVertices.Length);
        }

        /// <summary>For the tests: how often it was asked for.</summary>
        internal int NormalsCount;

        public void RecalculateNormals() => NormalsCount++;

        public void RecalculateBounds()
        {
            Vector3 least = vertices[0], most = vertices[0];
            foreach (var place in vertices)
            {
                least = new Vector3(Mathf.Min(least.x, place.x), Mathf.Min(least.y, place.y), Mathf.Min(least.z, place.z));
                most = new Vector3(Mathf.Max(most.x, place.x), Mathf.Max(most.y, place.y), Mathf.Max(most.z, place.z));
            }
            bounds = new Bounds((least + most) * 0.5f, most - least);
        }
    }

    public sealed class MeshFilter : Component
    {
        public Mesh sharedMesh { get; set; }
    }

    public class Renderer : Component
    {
        public Material[] sharedMaterials { get; set; }
    }

    public class MeshRenderer : Renderer
    {
    }

    public class SkinnedMeshRenderer : Renderer
    {
        readonly Dictionary<int, float> _weights = new Dictionary<int, float>();

        public Mesh sharedMesh { get; set; }
        public bool updateWhenOffscreen { get; set; }

        public float GetBlendShapeWeight(int index) => _weights.TryGetValue(index, out var weight) ? weight : 0;

        public void SetBlendShapeWeight(int index, float value) => _weights[index] = value;
    }

    public class TextAsset : Object
    {
        public byte[] bytes { get; set; }
    }
}

namespace UnityEngine.SceneManagement
{
    public struct Scene
    {
        public GameObject[] GetRootGameObjects() => new GameObject[0];
    }

    public class SceneManager
    {
        public static Scene GetActiveScene() => default;
    }
}
