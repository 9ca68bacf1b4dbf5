using System;
using System.Collections.Generic;
using System.IO;
using NUnit.Framework;

namespace Facewire.Harness
{
    /// <summary>A small FLAME in poses whose vertices the Python skinning wrote down (tests/golden/flame).</summary>
    public sealed class GoldenFlameTests
    {
        static string Folder =>
            Path.Combine(Environment.GetEnvironmentVariable("FACEWIRE_GOLDEN") ?? throw new InvalidOperationException("set FACEWIRE_GOLDEN"), "flame");

        static FlameMesh Mesh => FlameMesh.Read(File.ReadAllBytes(Path.Combine(Folder, "small.flame.bytes")));

        [Test]
        public void TheMeshIsReadWhole()
        {
            var mesh = Mesh;
            Assert.That((mesh.Name, mesh.Digest), Is.EqualTo(("small", new string('0', 64))));
            Assert.That((mesh.VertexCount, mesh.Triangles.Length, mesh.ExpressionCount), Is.EqualTo((120, 120, 10)));
            Assert.That(Array.FindAll(mesh.Correctives, column => column != null), Has.Length.EqualTo(29));
        }

        [Test]
        public void EveryPoseIsThePythonSkinningsToTenMicrometres()
        {
            var skinner = new FlameSkinner(Mesh);
            var poses = (List<object>)Json.Parse(File.ReadAllText(Path.Combine(Folder, "poses.json")));
            Assert.That(poses, Has.Count.EqualTo(8));
            foreach (Dictionary<string, object> pose in poses)
            {
                skinner.Skin(Values(pose), 1);
                var expected = Numbers(pose["vertices"]);
                var worst = 0f;
                for (var i = 0; i < expected.Length; i++) worst = Math.Max(worst, Math.Abs(expected[i] - skinner.Vertices[i]));
                Assert.That(worst, Is.LessThan(1e-5f), (string)pose["name"]);
            }
        }

        [Test]
        public void HalfOfAPoseIsNearerToRest()
        {
            var skinner = new FlameSkinner(Mesh);
            var pose = Values((Dictionary<string, object>)((List<object>)Json.Parse(File.ReadAllText(Path.Combine(Folder, "poses.json"))))[7]);
            skinner.Skin(pose, 0);
            var rest = (float[])skinner.Vertices.Clone();
            skinner.Skin(pose, 0.5f);
            var half = Distance(rest, skinner.Vertices);
            skinner.Skin(pose, 1);
            Assert.That(half, Is.GreaterThan(0).And.LessThan(0.7 * Distance(rest, skinner.Vertices)));
        }

        static double Distance(float[] a, float[] b)
        {
            var sum = 0.0;
            for (var i = 0; i < a.Length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
            return Math.Sqrt(sum);
        }

        static FlameValues Values(Dictionary<string, object> pose)
        {
            var values = new FlameValues();
            var expression = Numbers(pose["expression"]);
            Array.Copy(expression, values.Expression, expression.Length);
            values.ExpressionCount = expression.Length;
            Array.Copy(Numbers(pose["jaw"]), values.Jaw, 3);
            Array.Copy(Numbers(pose["neck"]), values.Neck, 3);
            Array.Copy(Numbers(pose["eyes"]), values.Eyes, 6);
            return values;
        }

        static float[] Numbers(object list)
        {
            var items = (List<object>)list;
            var numbers = new float[items.Count];
            for (var i = 0; i < numbers.Length; i++) numbers[i] = Convert.ToSingle(items[i]);
            return numbers;
        }
    }
}
