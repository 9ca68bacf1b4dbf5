using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using NUnit.Framework;
using UnityEngine;

namespace Facewire.LayerTests
{
    /// <summary>FacewireFlame on stand-ins for Unity's classes: our arithmetic and our care, not the engine.</summary>
    public sealed class FlameTests
    {
        const string Digest = "0000000000000000000000000000000000000000000000000000000000000000";

        GameObject _object;
        FacewireReceiver _receiver;
        FacewireFlame _flame;
        MeshFilter _filter;

        static byte[] Small => File.ReadAllBytes(Path.Combine(Environment.GetEnvironmentVariable("FACEWIRE_GOLDEN"), "flame", "small.flame.bytes"));

        FlameValues Stream => _receiver.Pose.Values.Flame;

        [SetUp]
        public void SetUp()
        {
            Debug.Lines.Clear();
            UnityEngine.Object.Destroyed.Clear();
            _object = new GameObject("flame", typeof(MeshFilter), typeof(MeshRenderer), typeof(FacewireReceiver));
            _receiver = _object.GetComponent<FacewireReceiver>();
            _filter = _object.GetComponent<MeshFilter>();
            _flame = _object.AddComponent<FacewireFlame>();
            _flame.Head = new TextAsset { bytes = Small, name = "small.flame" };
            Receive(0);
        }

        [Test]
        public void TheMeshIsTheSkinnedHeadInUnitysSpace()
        {
            Receive(1);
            _flame.Apply();
            var skinner = new FlameSkinner(FlameMesh.Read(Small));
            skinner.Skin(Stream, 1);
            var mesh = _filter.sharedMesh;
            Assert.That(mesh.vertices, Has.Length.EqualTo(120));
            for (var i = 0; i < 120; i++)
            {
                var place = mesh.vertices[i];
                Assert.That((place.x, place.y, place.z), Is.EqualTo((-skinner.Vertices[3 * i], skinner.Vertices[3 * i + 1], skinner.Vertices[3 * i + 2])));
            }
            Assert.That((_flame.Materials[0].Name, _flame.Materials[1].Name, mesh.subMeshCount), Is.EqualTo(("skin", "eyes", 2)));
            var triangles = new List<int>(mesh.Submeshes[0]);
            triangles.AddRange(mesh.Submeshes[1]);
            Assert.That(triangles, Is.EqualTo(Flipped(FlameMesh.Read(Small).Triangles)), "turned round");
            Assert.That(Debug.Lines, Is.Empty);
        }

        [Test]
        public void TheWeightGoesFromRestToAll()
        {
            Receive(1);
            _flame.Weight = 0;
            _flame.Apply();
            var rest = (Vector3[])_filter.sharedMesh.vertices.Clone();
            var template = FlameMesh.Read(Small).Template;
            Assert.That(rest[5].y, Is.EqualTo(template[16]).Within(1e-6));
            _flame.Weight = 1;
            _flame.Apply();
            Assert.That(_filter.sharedMesh.vertices, Is.Not.EqualTo(rest));
        }

        [Test]
        public void NormalsFollowOnlyWhereTheyAreWanted()
        {
            _flame.Apply();
            var before = _filter.sharedMesh.NormalsCount;
            _flame.Apply();
            Assert.That(_filter.sharedMesh.NormalsCount, Is.EqualTo(before + 1));
            _flame.RecalculateNormals = false;
            _flame.Apply();
            Assert.That(_filter.sharedMesh.NormalsCount, Is.EqualTo(before + 1));
        }

        [Test]
        public void TheObjectTurnsWithTheHeadFromWhereItWas()
        {
            var before = Quaternion.Euler(0, 30, 0);
            _object.transform.localRotation = before;
            _receiver.Pose.Values.Head = FaceTests.Yaw(0.5f);
            _flame.Apply();
            _flame.Apply();
            var ahead = _object.transform.localRotation * Vector3.forward;
            // To its own left by half a radian, in Unity's space, after thirty degrees the other way.
            var angle = Math.PI / 6 - 0.5;
            Assert.That((ahead.x, ahead.z), Is.EqualTo(((float)Math.Sin(angle), (float)Math.Cos(angle))).Using<(float, float)>(
                (a, b) => Math.Abs(a.Item1 - b.Item1) + Math.Abs(a.Item2 - b.Item2) < 1e-4));
            _flame.Restore();
            Assert.That(_object.transform.localRotation, Is.EqualTo(before));
        }

        [Test]
        public void RestoringGivesTheOldMeshBackAndDestroysOurs()
        {
            var old = new Mesh();
            _filter.sharedMesh = old;
            _flame.Apply();
            var ours = _filter.sharedMesh;
            Assert.That(ours, Is.Not.SameAs(old));
            typeof(FacewireFlame).GetMethod("OnDisable", BindingFlags.NonPublic | BindingFlags.Instance).Invoke(_flame, null);
            Assert.That(_filter.sharedMesh, Is.SameAs(old));
            Assert.That(UnityEngine.Object.Destroyed, Is.EqualTo(new[] { ours }));
        }

        [Test]
        public void AReceiverThatIsTurnedOffLeavesAHeadAtRest()
        {
            Receive(1);
            _flame.Apply();
            _receiver.Pose.Phase = PlayoutPhase.Empty;
            _flame.Apply();
            Assert.That(_filter.sharedMesh.vertices[5].y, Is.EqualTo(FlameMesh.Read(Small).Template[16]).Within(1e-6));
        }

        [TestCase("none", "No head: drag"), TestCase("cut", "small.flame cannot be read"), TestCase("other", "not a FLAME mesh")]
        public void AHeadThatCannotBeReadIsToldOnceAndNothingThrows(string what, string line)
        {
            if (what == "none") _flame.Head = null;
            else _flame.Head.bytes = what == "cut" ? new byte[100] : new byte[] { 1, 2, 3 };
            if (what == "cut") Array.Copy(Small, _flame.Head.bytes, 100);
            for (var frame = 0; frame < 5; frame++) _flame.Apply();
            _flame.Bind();
            Assert.That(_flame.Problems, Has.Some.Contains(line));
            Assert.That(Debug.Lines, Has.Count.EqualTo(1));
            Assert.That(_flame.Status, Is.EqualTo("no head"));
        }

        [Test]
        public void AnotherHeadIsReadBeforeTheNextFrame()
        {
            _flame.Apply();
            var first = _filter.sharedMesh;
            _flame.Head = new TextAsset { bytes = Small, name = "other" };
            _flame.Apply();
            Assert.That(_filter.sharedMesh, Is.Not.SameAs(first));
            Assert.That(UnityEngine.Object.Destroyed, Is.EqualTo(new[] { first }));
        }

        [TestCase(null, "", "streams no FLAME"), TestCase("flame2023", "", "streams FLAME for 'flame2023' and this head is of another model, 'small'")]
        [TestCase("small", "12ab", "another model"), TestCase("small", "", "streams 50 expression coefficients and this head has 10")]
        [TestCase("renamed", Digest, "streams 50 expression coefficients")]
        public void WhatDoesNotFitTheServersFlameIsSaidInOneLine(string model, string digest, string line)
        {
            var streams = model == null ? new[] { "blendshapes" } : new[] { "flame" };
            var hello = new HelloMessage { Streams = streams, FlameModel = model ?? "", FlameDigest = digest, FlameExpressions = 50 };
            var check = typeof(FacewireFlame).GetMethod("Check", BindingFlags.NonPublic | BindingFlags.Instance);
            _flame.Apply();
            for (var i = 0; i < 3; i++) check.Invoke(_flame, new object[] { hello });
            Assert.That(_flame.Problems, Has.Count.EqualTo(1));
            Assert.That(_flame.Problems[0], Does.Contain(line));
            Assert.That(Debug.Lines, Has.Count.EqualTo(1));
            check.Invoke(_flame, new object[] { new HelloMessage { Streams = new[] { "flame" }, FlameModel = "small", FlameExpressions = 8 } });
            Assert.That(_flame.Problems, Is.Empty);
            Assert.That(_flame.Status, Is.EqualTo("small: 120 vertices, 10 expressions; 10 of 50 streamed coefficients"));
        }

        [Test]
        public void ApplyingAllocatesNothing()
        {
            var count = (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread", Type.EmptyTypes));
            for (var i = 0; i < 50; i++) Step(i);
            var before = count();
            for (var i = 0; i < 1000; i++) Step(i);
            Assert.That(count() - before, Is.Zero);
        }

        void Step(int i)
        {
            Stream.Jaw[0] = i % 100 * 0.003f;
            _receiver.Pose.Values.Head = FaceTests.Yaw(i * 1e-4f);
            _flame.Apply();
        }

        /// <summary>Puts a frame's FLAME where the receiver has it: fifty coefficients and an open jaw, as far as <paramref name="level"/>.</summary>
        void Receive(float level)
        {
            var values = new FaceValues();
            var flame = (FlameValues)typeof(FaceValues).GetMethod("EnsureFlame", BindingFlags.NonPublic | BindingFlags.Instance).Invoke(values, null);
            flame.ExpressionCount = 50;
            for (var i = 0; i < 50; i++) flame.Expression[i] = level * (i % 3 - 1);
            flame.Jaw[0] = 0.3f * level;
            _receiver.Pose.Values.CopyFrom(values);
            _receiver.Pose.Phase = PlayoutPhase.Live;
        }

        static int[] Flipped(int[] triangles)
        {
            var flipped = (int[])triangles.Clone();
            for (var i = 0; i < flipped.Length; i += 3) (flipped[i + 1], flipped[i + 2]) = (triangles[i + 2], triangles[i + 1]);
            return flipped;
        }
    }
}
