using System;
using System.IO;
using System.Reflection;
using System.Threading;
using Facewire.Samples;
using NUnit.Framework;
using UnityEngine;

namespace Facewire.LayerTests
{
    public sealed class OtherTests
    {
        [SetUp]
        public void SetUp() => Debug.Lines.Clear();

        [Test]
        public void AReceiverWithoutAServerSaysSoOnceAndLeavesNothingBehind()
        {
            var receiver = new GameObject("receiver").AddComponent<FacewireReceiver>();
            receiver.Address = "127.0.0.1:9";
            receiver.Connect();
            // As long as a loaded machine needs to say it; then a second for what must not be said again.
            var left = 3000;
            for (var told = false; left > 0; left--)
            {
                receiver.Tick(MonotonicClock.NowNs);
                receiver.Sample(MonotonicClock.NowNs);
                if (!told && (told = Debug.Lines.Count > 0)) left = 50;
                Thread.Sleep(20);
            }
            receiver.Disconnect();
            Assert.That(Debug.Lines, Has.Count.EqualTo(1));
            Assert.That(Debug.Lines[0], Does.Contain("No server at ws://127.0.0.1:9"));
            Assert.That(receiver.State, Is.EqualTo(ClientState.Stopped));
            Assert.That(receiver.SendCommand("calibrate"), Is.EqualTo(-1));
        }

        [Test]
        public void TwoReceiversOnOneObjectSaySoOnce()
        {
            var both = new GameObject("receivers", typeof(FacewireReceiver));
            var second = both.AddComponent<FacewireReceiver>();
            second.Address = "127.0.0.1:9";
            Call(second, "OnEnable");
            second.Tick(MonotonicClock.NowNs);
            Call(second, "OnDisable");
            Assert.That(Debug.Lines.FindAll(line => line.Contains("two receivers on one object")), Has.Count.EqualTo(1));
        }

        [TestCase("OnDisable"), TestCase("OnDestroy"), TestCase("OnApplicationQuit")]
        public void WhateverEndsItClosesTheConnection(string message)
        {
            var receiver = new GameObject("receiver").AddComponent<FacewireReceiver>();
            receiver.Address = "127.0.0.1:9";
            Call(receiver, "OnEnable");
            Assert.That(receiver.State, Is.EqualTo(ClientState.Connecting));
            Call(receiver, message);
            Assert.That(receiver.State, Is.EqualTo(ClientState.Stopped));
        }

        [Test]
        public void APhoneThatPausesTheAppClosesTheConnectionAndComesBackAnew()
        {
            var receiver = new GameObject("receiver").AddComponent<FacewireReceiver>();
            receiver.Address = "127.0.0.1:9";
            Call(receiver, "OnEnable");
            Application.InEditor = false;
            try
            {
                Call(receiver, "OnApplicationPause", true);
                Assert.That(receiver.State, Is.EqualTo(ClientState.Stopped));
                Call(receiver, "OnApplicationPause", false);
                Assert.That(receiver.State, Is.EqualTo(ClientState.Connecting));
            }
            finally
            {
                Application.InEditor = true;
                receiver.Disconnect();
            }
        }

        [Test]
        public void AHandlerThatThrowsIsToldAndStopsNeitherThePlayerNorTheReceiver()
        {
            var receiver = new GameObject("receiver").AddComponent<FacewireReceiver>();
            receiver.Address = "ftp://no";
            receiver.StateChanged += state => throw new InvalidOperationException("of the game");
            receiver.Connect();
            receiver.Tick(MonotonicClock.NowNs);
            Assert.That(receiver.State, Is.EqualTo(ClientState.Failed));
            receiver.Disconnect();
            Assert.That(receiver.State, Is.EqualTo(ClientState.Stopped));
            Assert.That(Debug.Lines.FindAll(line => line.Contains("of the game")), Has.Count.EqualTo(2));
            Assert.That(Debug.Lines, Has.Some.Contains("is not a websocket"));
        }

        [Test]
        public void AClipKeepsWhatMovedAndDropsKeysOnALine()
        {
            var character = new GameObject("character");
            character.AddComponent<FacewireFace>();
            var skin = FaceTests.AddSkin(character, "jawOpen", "hat");
            var clip = character.AddComponent<FacewireClip>();
            clip.Begin();
            for (var frame = 0; frame <= 60; frame++)
            {
                Time.Now = frame / 60f;
                skin.SetBlendShapeWeight(0, frame <= 30 ? frame : 60 - frame);
                Call(clip, "LateUpdate");
            }
            clip.End();
            Assert.That(clip.Length, Is.EqualTo(1).Within(1e-3));
            var made = clip.ToClip(60);
            Assert.That(made.Curves.Keys, Is.EquivalentTo(new[] { "skin:blendShape.jawOpen" }), "the hat stood still");
            var keys = made.Curves["skin:blendShape.jawOpen"].keys;
            Assert.That(keys, Has.Length.EqualTo(3));
            Assert.That((keys[1].time, keys[1].value), Is.EqualTo((0.5f, 30f)));
        }

        [Test]
        public void TheSamplesHeadIsWholeAndIsMappedByName()
        {
            var head = OpenHeadAsset.Read(File.ReadAllBytes(Environment.GetEnvironmentVariable("FACEWIRE_HEAD")));
            var mesh = OpenHeadMesh.Make(head);
            Assert.That(mesh.blendShapeCount, Is.EqualTo(ArkitBlendshapes.Count));
            var names = new string[mesh.blendShapeCount];
            for (var i = 0; i < names.Length; i++) names[i] = mesh.GetBlendShapeName(i);
            Assert.That(AutoMapper.Map(names).UnmatchedChannels, Is.Empty);
            Assert.That(mesh.Submeshes, Has.Count.EqualTo(head.Materials.Count));
            Assert.That(head.Joints["left_eye"][0], Is.GreaterThan(0.02f), "x to its left");
        }

        [Test]
        public void TheSamplesSkinIsSeenFromOutside()
        {
            var mesh = OpenHeadMesh.Make(OpenHeadAsset.Read(File.ReadAllBytes(Environment.GetEnvironmentVariable("FACEWIRE_HEAD"))));
            var outwards = 0;
            var skin = mesh.Submeshes[0];
            foreach (var vertex in skin)
            {
                var place = mesh.vertices[vertex] - new Vector3(0, 0.05f, 0.04f);
                var normal = mesh.normals[vertex];
                if (place.x * normal.x + place.y * normal.y + place.z * normal.z > 0) outwards++;
            }
            Assert.That((double)outwards / skin.Length, Is.GreaterThan(0.8));
        }

        [Test]
        public void TheSamplesFlameHeadHasAColourForEachOfItsParts()
        {
            var sample = new GameObject("flame", typeof(MeshFilter), typeof(MeshRenderer), typeof(FacewireReceiver), typeof(FacewireFlame));
            var path = Path.Combine(Path.GetDirectoryName(Environment.GetEnvironmentVariable("FACEWIRE_HEAD")), "OpenHead.flame.bytes");
            sample.GetComponent<FacewireFlame>().Head = new TextAsset { bytes = File.ReadAllBytes(path), name = "OpenHead.flame" };
            Call(sample.AddComponent<LiveFlame>(), "Start");
            var mesh = sample.GetComponent<MeshFilter>().sharedMesh;
            var materials = sample.GetComponent<MeshRenderer>().sharedMaterials;
            Assert.That(Array.ConvertAll(materials, material => material.name), Has.Member("lips").And.Member("sclera"));
            Assert.That(materials, Has.Length.EqualTo(mesh.subMeshCount));
            Assert.That(mesh.bounds.size.y, Is.InRange(0.2f, 0.6f), "metres");
            Assert.That(Debug.Lines, Is.Empty);
        }

        [Test]
        public void ACutHeadIsALineInTheLogAndNoException()
        {
            var sample = new GameObject("head", typeof(FacewireReceiver), typeof(FacewireFace)).AddComponent<LiveHead>();
            Call(sample, "Awake");
            Assert.That(Debug.Lines[0], Does.Contain("drag OpenHead.bytes"));
            var cut = new TextAsset { bytes = new byte[] { 1, 2, 3 } };
            typeof(LiveHead).GetField("asset", BindingFlags.NonPublic | BindingFlags.Instance).SetValue(sample, cut);
            Call(sample, "Awake");
            Assert.That(Debug.Lines[1], Does.Contain("cannot be read"));
        }

        static void Call(MonoBehaviour behaviour, string message, params object[] arguments) =>
            behaviour.GetType().GetMethod(message, BindingFlags.NonPublic | BindingFlags.Instance).Invoke(behaviour, arguments);
    }
}
