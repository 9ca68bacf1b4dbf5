using System;
using NUnit.Framework;
using UnityEngine;

namespace Facewire.LayerTests
{
    /// <summary>Which way heads and eyes turn. In Unity a character that faces z has its left at -x.</summary>
    public sealed class RigTests
    {
        const float Angle = 0.4f;

        GameObject _character;
        FacewireReceiver _receiver;
        FacewireFace _face;
        Transform _neck;
        Transform _head;
        Transform _eye;

        FaceValues Stream => _receiver.Pose.Values;

        [SetUp]
        public void SetUp()
        {
            _character = new GameObject("character");
            _character.transform.localRotation = Quaternion.Euler(0, 90, 0);
            _receiver = _character.AddComponent<FacewireReceiver>();
            _receiver.Pose.Phase = PlayoutPhase.Live;
            _face = _character.AddComponent<FacewireFace>();
            // Bones whose own axes lie anyhow, as rigs have them.
            _neck = FaceTests.AddBone(_character.transform, Quaternion.Euler(-90, 0, 0));
            _head = FaceTests.AddBone(_neck, Quaternion.Euler(15, 40, 0));
            _eye = FaceTests.AddBone(_head, Quaternion.Euler(0, 0, 90));
            _face.Rig.head = _head;
        }

        [Test]
        public void TheHeadTurnsToTheCharactersOwnLeft()
        {
            Stream.Head = FaceTests.Yaw(Angle);
            AssertTurn(_head, new Vector3(-(float)Math.Sin(Angle), 0, (float)Math.Cos(Angle)));
        }

        [Test]
        public void TheHeadNodsUp()
        {
            Stream.Head = new Rotation(-(float)Math.Sin(Angle / 2), 0, 0, (float)Math.Cos(Angle / 2));
            AssertTurn(_head, new Vector3(0, (float)Math.Sin(Angle), (float)Math.Cos(Angle)));
        }

        [Test]
        public void TheHeadTiltsToTheCharactersOwnLeft()
        {
            // About z out of the face, with x to the left: a positive angle takes left up; so this one takes the crown to the left.
            Stream.Head = new Rotation(0, 0, -(float)Math.Sin(Angle / 2), (float)Math.Cos(Angle / 2));
            AssertTurn(_head, Vector3.up, new Vector3(-(float)Math.Sin(Angle), (float)Math.Cos(Angle), 0));
        }

        [Test]
        public void TheMirrorTurnsItTheOtherWay()
        {
            _face.Mirror = true;
            Stream.Head = FaceTests.Yaw(Angle);
            AssertTurn(_head, new Vector3((float)Math.Sin(Angle), 0, (float)Math.Cos(Angle)));
        }

        [Test]
        public void NeckAndHeadShareTheTurnAndMakeTheWholeOfIt()
        {
            _face.Rig.neck = _neck;
            _face.Rig.neckShare = 0.25f;
            Stream.Head = FaceTests.Yaw(Angle);
            AssertTurn(_neck, new Vector3(-(float)Math.Sin(Angle / 4), 0, (float)Math.Cos(Angle / 4)));
            AssertTurn(_head, new Vector3(-(float)Math.Sin(Angle), 0, (float)Math.Cos(Angle)));
        }

        [TestCase(0, -1, 0), TestCase(1, 0, 1)]
        public void TheEyeLooksToItsLeftAndUp(int part, int x, int y)
        {
            _face.Rig.leftEye = _eye;
            _face.EyeMode = EyeMode.Bones;
            Stream.Channels[FaceValues.GazeAt + part] = Angle;
            AssertTurn(_eye, new Vector3(x * (float)Math.Sin(Angle), y * (float)Math.Sin(Angle), (float)Math.Cos(Angle)));
        }

        [Test]
        public void TheGazeIsRelativeToTheTurnedHead()
        {
            _face.Rig.leftEye = _eye;
            _face.EyeMode = EyeMode.Bones;
            Stream.Head = FaceTests.Yaw(Angle);
            Stream.Channels[FaceValues.GazeAt] = -Angle;
            AssertTurn(_eye, Vector3.forward);
        }

        [Test]
        public void EyesStayStillInShapeMode()
        {
            _face.Rig.leftEye = _eye;
            Stream.Channels[FaceValues.GazeAt] = Angle;
            AssertTurn(_eye, Vector3.forward);
        }

        [Test]
        public void RecenteringTakesThePresentPoseForStraightAhead()
        {
            Stream.Head = FaceTests.Yaw(Angle);
            _face.Apply();
            _face.Recenter();
            AssertTurn(_head, Vector3.forward);
        }

        [Test]
        public void WhatFollowsTheHeadsPlaceMovesToTheCharactersLeftAndStartsWhereItWas()
        {
            var moved = FaceTests.AddBone(_character.transform, Quaternion.identity);
            moved.localPosition = new Vector3(1, 2, 3);
            _face.Rig.moved = moved;
            Stream.Channels[FaceValues.PositionAt + 2] = 0.5f;
            _face.Apply();
            Assert.That(moved.localPosition, Is.EqualTo(new Vector3(1, 2, 3)));
            Stream.Channels[FaceValues.PositionAt] = 0.1f;
            _face.Apply();
            Assert.That(moved.localPosition.x, Is.EqualTo(0.9f).Within(1e-6));
        }

        [Test]
        public void ApplyingAgainDoesNotTurnFurther()
        {
            Stream.Head = FaceTests.Yaw(Angle);
            for (var frame = 0; frame < 10; frame++) _face.Apply();
            AssertTurn(_head, new Vector3(-(float)Math.Sin(Angle), 0, (float)Math.Cos(Angle)));
        }

        void AssertTurn(Transform bone, Vector3 forward) => AssertTurn(bone, Vector3.forward, forward);

        /// <summary>Where a direction of the character, fixed to the bone at rest, points now, in the character's axes.</summary>
        void AssertTurn(Transform bone, Vector3 direction, Vector3 expected)
        {
            _face.Restore();
            var root = _character.transform.rotation;
            var inBone = Quaternion.Inverse(bone.rotation) * (root * direction);
            _face.Apply();
            var found = Quaternion.Inverse(root) * (bone.rotation * inBone);
            Assert.That(found.x, Is.EqualTo(expected.x).Within(1e-4), "x");
            Assert.That(found.y, Is.EqualTo(expected.y).Within(1e-4), "y");
            Assert.That(found.z, Is.EqualTo(expected.z).Within(1e-4), "z");
        }
    }
}
