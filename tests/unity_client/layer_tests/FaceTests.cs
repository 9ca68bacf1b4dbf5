using System;
using System.Reflection;
using NUnit.Framework;
using UnityEngine;

namespace Facewire.LayerTests
{
    /// <summary>FacewireFace on stand-ins for Unity's classes: our arithmetic and our care, not the engine.</summary>
    public sealed class FaceTests
    {
        GameObject _character;
        FacewireReceiver _receiver;
        FacewireFace _face;
        SkinnedMeshRenderer _skin;

        FaceValues Stream => _receiver.Pose.Values;

        [SetUp]
        public void SetUp()
        {
            Debug.Lines.Clear();
            _character = new GameObject("character");
            _receiver = _character.AddComponent<FacewireReceiver>();
            _face = _character.AddComponent<FacewireFace>();
            _skin = AddSkin(_character, "jawOpen", "eyeBlinkLeft", "eyeLookUpLeft", "hat");
            _receiver.Pose.Phase = PlayoutPhase.Live;
        }

        [Test]
        public void ShapesFollowTheStreamInHundredthsAndOthersAreLeftAlone()
        {
            _skin.SetBlendShapeWeight(3, 42);
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 0.5f;
            _face.Apply();
            Assert.That(Weights(), Is.EqualTo(new[] { 50f, 0, 0, 42 }));
        }

        [Test]
        public void NothingMovesBeforeTheFirstFrame()
        {
            _receiver.Pose.Phase = PlayoutPhase.Empty;
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            _face.Apply();
            Assert.That(Weights()[0], Is.Zero);
        }

        [Test]
        public void AReceiverThatIsTurnedOffLeavesNoFrozenFace()
        {
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            _face.Apply();
            Assert.That(Weights()[0], Is.EqualTo(100f));
            typeof(FacewireReceiver).GetMethod("OnDisable", BindingFlags.NonPublic | BindingFlags.Instance).Invoke(_receiver, null);
            _face.Apply();
            Assert.That(Weights()[0], Is.Zero);
        }

        [Test]
        public void RestoringLeavesShapesAndBonesAsTheyWereFound()
        {
            var head = AddBone(_character.transform, Quaternion.Euler(10, 20, 30));
            var before = head.localRotation;
            _face.Rig.head = head;
            _skin.SetBlendShapeWeight(0, 7);
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            Stream.Head = Yaw(0.5f);
            _face.Apply();
            Assert.That(Weights()[0], Is.EqualTo(100f));
            _face.Restore();
            Assert.That(Weights()[0], Is.EqualTo(7f));
            Assert.That(head.localRotation, Is.EqualTo(before));
        }

        [Test]
        public void OverAnAnimationTheWeightMixesWithWhatTheAnimatorWrote()
        {
            _face.OverAnimation = true;
            _face.Weight = 0.25f;
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            for (var frame = 0; frame < 5; frame++)
            {
                _skin.SetBlendShapeWeight(0, 20);
                _face.Apply();
                Assert.That(Weights()[0], Is.EqualTo(40f).Within(1e-3));
            }
        }

        [Test]
        public void WithoutAnAnimatorAPartialWeightDoesNotCreep()
        {
            _face.Weight = 0.5f;
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            for (var frame = 0; frame < 20; frame++) _face.Apply();
            Assert.That(Weights()[0], Is.EqualTo(50f).Within(1e-3));
        }

        [Test]
        public void EyeBonesMakeTheEyeLookShapesStill()
        {
            Stream.Channels[ArkitBlendshapes.IndexOf("eyeLookUpLeft")] = 1;
            _face.EyeMode = EyeMode.Bones;
            _face.Apply();
            Assert.That(Weights()[2], Is.Zero);
            _face.EyeMode = EyeMode.BonesAndShapes;
            _face.Apply();
            Assert.That(Weights()[2], Is.EqualTo(100f));
        }

        [Test]
        public void MirroringSwapsTheSides()
        {
            _face.Mirror = true;
            Stream.Channels[ArkitBlendshapes.IndexOf("eyeBlinkRight")] = 1;
            _face.Apply();
            Assert.That(Weights()[1], Is.EqualTo(100f));
        }

        [TestCase("mesh", "'skin' has no mesh."), TestCase("shapes", "'skin' has no blend shapes."), TestCase("names", "no shape has a name")]
        [TestCase("entry", "A renderer in the list is missing")]
        public void WhatIsWrongIsToldOnceAndNothingThrows(string wrong, string line)
        {
            if (wrong == "mesh") _skin.sharedMesh = null;
            if (wrong == "shapes") _skin.sharedMesh = new Mesh();
            if (wrong == "names") _skin.sharedMesh = MeshWith("ear wiggle");
            _face.Renderers.Add(wrong == "entry" ? null : _skin);
            for (var frame = 0; frame < 10; frame++) _face.Apply();
            _face.Bind();
            Assert.That(Debug.Lines.FindAll(said => said.Contains(line)), Has.Count.EqualTo(1));
            Assert.That(_face.Problems, Has.Some.Contains(line));
        }

        [Test]
        public void AFaceWithoutAReceiverSaysSo()
        {
            var face = new GameObject("alone").AddComponent<FacewireFace>();
            for (var frame = 0; frame < 10; frame++) face.Apply();
            Assert.That(face.Problems, Has.Some.Contains("No Facewire Receiver"));
            Assert.That(Debug.Lines.FindAll(said => said.Contains("No Facewire Receiver")), Has.Count.EqualTo(1));
        }

        [Test]
        public void AMeshThatIsSwappedIsBoundAnew()
        {
            _face.Apply();
            _skin.sharedMesh = MeshWith("other", "jawOpen");
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            _face.Apply();
            Assert.That(_skin.GetBlendShapeWeight(1), Is.EqualTo(100f));
        }

        [Test]
        public void AMappingAssetReplacesTheNames()
        {
            var mapping = ScriptableObject.CreateInstance<FacewireMapping>();
            mapping.Rows.Add(new MapRow("hat", "jawOpen", 0.5f));
            _face.Mapping = mapping;
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = 1;
            _face.Apply();
            Assert.That(Weights(), Is.EqualTo(new[] { 0f, 0, 0, 50 }));
        }

        [Test]
        public void ApplyingAllocatesNothing()
        {
            _face.Rig.head = AddBone(_character.transform, Quaternion.identity);
            var count = (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread", Type.EmptyTypes));
            for (var i = 0; i < 100; i++) Step(i);
            var before = count();
            for (var i = 0; i < 10000; i++) Step(i);
            Assert.That(count() - before, Is.Zero);
        }

        void Step(int i)
        {
            Stream.Channels[ArkitBlendshapes.IndexOf("jawOpen")] = i % 100 / 100f;
            Stream.Head = Yaw(i * 1e-4f);
            _face.Apply();
        }

        float[] Weights()
        {
            var weights = new float[_skin.sharedMesh.blendShapeCount];
            for (var i = 0; i < weights.Length; i++) weights[i] = _skin.GetBlendShapeWeight(i);
            return weights;
        }

        /// <summary>Turned to the subject's left, on the wire.</summary>
        internal static Rotation Yaw(float radians) => new Rotation(0, (float)Math.Sin(radians / 2), 0, (float)Math.Cos(radians / 2));

        internal static Transform AddBone(Transform parent, Quaternion localRotation)
        {
            var bone = new GameObject("bone").transform;
            bone.SetParent(parent, false);
            bone.localRotation = localRotation;
            return bone;
        }

        internal static SkinnedMeshRenderer AddSkin(GameObject character, params string[] shapes)
        {
            var child = new GameObject("skin");
            child.transform.SetParent(character.transform, false);
            var skin = child.AddComponent<SkinnedMeshRenderer>();
            skin.sharedMesh = MeshWith(shapes);
            return skin;
        }

        static Mesh MeshWith(params string[] shapes)
        {
            var mesh = new Mesh();
            foreach (var shape in shapes) mesh.AddBlendShapeFrame(shape, 100, null, null, null);
            return mesh;
        }
    }
}
