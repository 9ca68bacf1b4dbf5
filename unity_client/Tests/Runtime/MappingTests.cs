using System.Collections.Generic;
using NUnit.Framework;

namespace Facewire.Tests
{
    public sealed class MappingTests
    {
        [TestCase("{0}"), TestCase("blendShape1.{0}"), TestCase("Head_M_{0}"), TestCase("FACE.ARKit.{0}")]
        public void EveryArkitNameIsFoundBehindAnyPrefix(string pattern)
        {
            var rig = Rename(name => string.Format(pattern, name));
            AssertComplete(rig);
        }

        [Test]
        public void EveryArkitNameIsFoundInOtherSpellings()
        {
            AssertComplete(Rename(name => name.ToLowerInvariant()));
            AssertComplete(Rename(name => char.ToUpperInvariant(name[0]) + name.Substring(1)));
            AssertComplete(Rename(name => name.Replace("Left", "_L").Replace("Right", "_R")));
            AssertComplete(Rename(name => name.Replace("Left", ".l").Replace("Right", ".r")));
            AssertComplete(Rename(name => name.EndsWith("Left") ? "L_" + name.Replace("Left", "") : name.EndsWith("Right") ? "R_" + name.Replace("Right", "") : name));
        }

        [Test]
        public void WhatDoesNotMatchIsListed()
        {
            var result = AutoMapper.Map(new[] { "jawOpen", "earWiggle" });
            Assert.That(result.Rows, Has.Count.EqualTo(1));
            Assert.That(result.UnmatchedShapes, Is.EqualTo(new[] { "earWiggle" }));
            Assert.That(result.UnmatchedChannels, Has.Count.EqualTo(51).And.No.Member("jawOpen"));
        }

        [Test]
        public void AMiddleChannelThatTheRigHasTwiceMovesBoth()
        {
            var result = AutoMapper.Map(new[] { "browInnerUp_L", "browInnerUp_R" });
            Assert.That(result.Rows, Has.Count.EqualTo(2));
            Assert.That(result.Rows.TrueForAll(row => row.Source == "browInnerUp"), Is.True);
        }

        [Test]
        public void VrmExpressionsFollowTheMouthTheEyesAndTheMood()
        {
            var rig = new[] { "aa", "ih", "ou", "ee", "oh", "blink", "blinkLeft", "blinkRight", "happy", "lookUp", "neutral" };
            var result = AutoMapper.Map(rig);
            Assert.That(result.UnmatchedShapes, Is.EqualTo(new[] { "blink", "neutral" }), "blink would close winking eyes twice");
            Assert.That(Shape(rig, result, "aa", "jawOpen", 0.5f), Is.EqualTo(0.6f).Within(1e-5));
            Assert.That(Shape(rig, result, "ou", "mouthPucker", 1), Is.EqualTo(1f));
            Assert.That(Shape(rig, result, "blinkLeft", "eyeBlinkLeft", 1), Is.EqualTo(1f));
            Assert.That(Shape(rig, result, "blinkRight", "eyeBlinkLeft", 1), Is.Zero);
        }

        [Test]
        public void OculusVisemesFollowTheLipsAndTheRestIsListed()
        {
            var rig = new[]
            {
                "viseme_sil", "viseme_PP", "viseme_FF", "viseme_TH", "viseme_DD", "viseme_kk", "viseme_CH", "viseme_SS", "viseme_nn",
                "viseme_RR", "viseme_aa", "viseme_E", "viseme_I", "viseme_O", "viseme_U",
            };
            var result = AutoMapper.Map(rig);
            Assert.That(result.UnmatchedShapes, Is.EqualTo(new[] { "viseme_sil", "viseme_DD", "viseme_kk", "viseme_nn", "viseme_RR" }));
            Assert.That(Shape(rig, result, "viseme_PP", "mouthClose", 1), Is.EqualTo(0.8f).Within(1e-5));
            Assert.That(Shape(rig, result, "viseme_O", "mouthFunnel", 1), Is.EqualTo(1f));
        }

        [Test]
        public void VrchatAndVroidSpellingsAreKnown()
        {
            Assert.That(AutoMapper.Map(new[] { "vrc.v_aa", "vrc.v_oh" }).UnmatchedShapes, Is.Empty);
            Assert.That(AutoMapper.Map(new[] { "Face.M_F00_000_00_Fcl_MTH_A", "Fcl_EYE_Close_L" }).UnmatchedShapes, Is.Empty);
        }

        [Test]
        public void AnArkitRigKeepsItsVisemesStill()
        {
            var rig = new List<string>(Messages.Names()) { "viseme_aa" };
            Assert.That(AutoMapper.Map(rig).UnmatchedShapes, Is.EqualTo(new[] { "viseme_aa" }));
        }

        [Test]
        public void EveryRecipeNamesRealChannels()
        {
            var rig = new[] { "aa", "ih", "ou", "ee", "oh", "happy", "angry", "sad", "surprised", "lookUp", "lookDown", "lookLeft", "lookRight" };
            foreach (var row in AutoMapper.Map(rig).Rows) Assert.That(ArkitBlendshapes.IndexOf(row.Source), Is.GreaterThanOrEqualTo(0), row.Source);
        }

        [Test]
        public void HandMadeRowsAddUpAreClampedAndLeaveOtherShapesAlone()
        {
            var rig = new[] { "other", "smile" };
            var rows = new[]
            {
                new MapRow("smile", "mouthSmileLeft", 0.8f), new MapRow("smile", "mouthSmileRight", 0.8f),
                new MapRow("gone", "jawOpen", 1), new MapRow("other", "noSuchChannel", 1),
            };
            var map = ChannelMap.Bind(rows, rig);
            var channels = new float[FaceValues.ChannelCount];
            channels[ArkitBlendshapes.IndexOf("mouthSmileLeft")] = channels[ArkitBlendshapes.IndexOf("mouthSmileRight")] = 1;
            var shapes = new[] { 0.3f, 0 };
            map.Apply(channels, shapes);
            Assert.That(shapes, Is.EqualTo(new[] { 0.3f, 1f }));
            Assert.That(map.Driven, Is.EqualTo(new[] { 1 }));
        }

        [Test]
        public void MirrorSwapsSidesAndGainsScaleTheirRegionOnly()
        {
            var streamed = new FaceValues { Head = new Rotation(0, 0.6f, 0, 0.8f) };
            streamed.Channels[ArkitBlendshapes.IndexOf("eyeBlinkLeft")] = 0.5f;
            streamed.Channels[ArkitBlendshapes.IndexOf("mouthSmileLeft")] = 0.5f;
            streamed.Channels[FaceValues.GazeAt] = 0.1f;
            streamed.Channels[FaceValues.GazeAt + 3] = 0.4f;
            var shaped = new FaceValues();
            var shaper = new FaceShaper { Mirror = true };
            shaper.SetGain(FaceRegion.Mouth, 3);
            shaper.Apply(streamed, shaped);
            Assert.That(shaped.Channels[ArkitBlendshapes.IndexOf("eyeBlinkRight")], Is.EqualTo(0.5f));
            Assert.That(shaped.Channels[ArkitBlendshapes.IndexOf("mouthSmileRight")], Is.EqualTo(1f), "clamped");
            Assert.That(shaped.Channels[FaceValues.GazeAt + 2], Is.EqualTo(-0.1f));
            Assert.That(shaped.Channels[FaceValues.GazeAt + 1], Is.EqualTo(0.4f));
            Assert.That(shaped.Head.Y, Is.EqualTo(-0.6f));
        }

        static float Shape(string[] rig, AutoMapResult result, string shape, string channel, float value)
        {
            var channels = new float[FaceValues.ChannelCount];
            channels[ArkitBlendshapes.IndexOf(channel)] = value;
            var shapes = new float[rig.Length];
            ChannelMap.Bind(result.Rows, rig).Apply(channels, shapes);
            return shapes[System.Array.IndexOf(rig, shape)];
        }

        static void AssertComplete(string[] rig)
        {
            var result = AutoMapper.Map(rig);
            Assert.That(result.UnmatchedChannels, Is.Empty);
            Assert.That(result.UnmatchedShapes, Is.Empty);
            for (var i = 0; i < rig.Length; i++)
                Assert.That(result.Rows.Find(row => row.Target == rig[i]).Source, Is.EqualTo(ArkitBlendshapes.Names[i]), rig[i]);
        }

        static string[] Rename(System.Func<string, string> rename)
        {
            var names = Messages.Names();
            for (var i = 0; i < names.Length; i++) names[i] = rename(names[i]);
            return names;
        }
    }
}
