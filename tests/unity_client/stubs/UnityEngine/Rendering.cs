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

        public void RecalculateBounds()
        {
        }
    }

    public class Renderer : Component
    {
        public Material[] sharedMaterials { get; set; }
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
