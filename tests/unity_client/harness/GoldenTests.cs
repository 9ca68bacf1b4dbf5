using System;
using System.Collections.Generic;
using System.IO;
using NUnit.Framework;

namespace Facewire.Harness
{
    /// <summary>The vectors of tests/golden, which the Python tests read too: both sides mean the same by the same bytes.</summary>
    public sealed class GoldenTests
    {
        static string Folder => Environment.GetEnvironmentVariable("FACEWIRE_GOLDEN") ?? throw new InvalidOperationException("set FACEWIRE_GOLDEN");

        public static IEnumerable<string> Frames() => Named("frame*.msgpack", Folder);

        public static IEnumerable<string> Invalid() => Named("*.msgpack", Path.Combine(Folder, "invalid"));

        [TestCaseSource(nameof(Frames))]
        public void AFrameSaysWhatItsJsonSays(string name)
        {
            var bytes = Bytes(name);
            var said = Said(name);
            var frame = new FaceFrame();
            Assert.That(MessageReader.ReadKind(bytes, 0, bytes.Length), Is.EqualTo(MessageKind.Frame));
            Assert.That(new FrameDecoder().TryDecode(bytes, 0, bytes.Length, frame), Is.True);
            Assert.That(frame.Seq, Is.EqualTo(Convert.ToInt64(said["seq"])));
            Assert.That(frame.CaptureNs, Is.EqualTo(Convert.ToInt64(said["capture_ns"])));
            Assert.That(frame.PublishNs, Is.EqualTo(Convert.ToInt64(said["publish_ns"])));
            Assert.That(frame.Sources.ToString().ToLowerInvariant(), Is.EqualTo(said["sources"]));
            Assert.That(frame.Confidence, Is.EqualTo(Convert.ToSingle(said["confidence"])));
            AssertArray(said, "blendshapes", frame.Values.Channels, 0, 0);
            AssertHead(said, frame.Values);
            AssertArray(said, "gaze", frame.Values.Channels, FaceValues.GazeAt, 0);
            AssertArray(said, "landmarks", frame.Landmarks, 0, 0);
            if (said.ContainsKey("flame")) AssertFlame((Dictionary<string, object>)said["flame"], frame.Flame);
        }

        [TestCaseSource(nameof(Invalid))]
        public void WhatAReaderMustRefuseIsRefused(string name)
        {
            var bytes = Bytes("invalid/" + name);
            var kind = MessageReader.ReadKind(bytes, 0, bytes.Length);
            var refused = kind == MessageKind.Malformed
                || (kind == MessageKind.Frame && !new FrameDecoder().TryDecode(bytes, 0, bytes.Length, new FaceFrame()));
            Assert.That(refused, Is.True);
        }

        [Test]
        public void HelloIsUnderstood()
        {
            var bytes = Bytes("hello");
            Assert.That(HelloMessage.TryDecode(bytes, 0, bytes.Length, out var hello), Is.True);
            Assert.That(hello.Blendshapes, Is.EqualTo(ArkitBlendshapes.Names), "our channels are the protocol's, in its order");
            Assert.That((hello.Protocol, hello.ClockNs, hello.Rate), Is.EqualTo((1L, 1_234_000_000_000L, 60.0)));
            Assert.That(hello.Session, Is.EqualTo(Said("hello")["session"]));
            Assert.That(hello.Streams, Has.Length.EqualTo(4));
        }

        [Test]
        public void PongStatusResultAndErrorAreUnderstood()
        {
            var pong = Bytes("pong");
            Assert.That(PongMessage.TryDecode(pong, 0, pong.Length, out var answer), Is.True);
            Assert.That((answer.ClientNs, answer.ServerNs), Is.EqualTo((987_654_321L, 1_234_000_500_000L)));
            var status = Bytes("status");
            Assert.That(StatusMessage.TryDecode(status, 0, status.Length, out var report), Is.True);
            Assert.That(report.Entries, Has.Member(new KeyValuePair<string, string>("devices.video.state", "open")));
            Assert.That(report.Entries, Has.Member(new KeyValuePair<string, string>("rates.publish", "29.75")));
            var error = Bytes("error");
            Assert.That(ErrorMessage.TryDecode(error, 0, error.Length, out var problem), Is.True);
            Assert.That((problem.Code, problem.Message), Is.EqualTo(("unknown_type", "unknown message type 'wave'")));
        }

        [TestCase("result", 7L, "", true, ""), TestCase("result_value", -1L, "b1946ac9", true, "")]
        [TestCase("result_error", 7L, "", false, "unknown command 'dance'")]
        public void ResultsAreUnderstood(string name, long id, string textId, bool ok, string error)
        {
            var bytes = Bytes(name);
            Assert.That(ResultMessage.TryDecode(bytes, 0, bytes.Length, out var result), Is.True);
            Assert.That((result.Id, result.TextId, result.Ok, result.Error), Is.EqualTo((id, textId, ok, error)));
        }

        [Test]
        public void NilIsAbsent()
        {
            var bytes = Bytes("nil_hello");
            Assert.That(HelloMessage.TryDecode(bytes, 0, bytes.Length, out var hello), Is.True);
            Assert.That((hello.FlameModel, hello.FlameDigest, hello.FlameExpressions), Is.EqualTo(("", "", 0L)));
            bytes = Bytes("nil_status");
            Assert.That(StatusMessage.TryDecode(bytes, 0, bytes.Length, out var status), Is.True);
            Assert.That(status.Entries, Is.EqualTo(new[] { new KeyValuePair<string, string>("subscribers", "2") }));
            bytes = Bytes("nil_frame");
            var (frame, bare) = (new FaceFrame(), new FaceFrame());
            var full = Bytes("frame_all"); // what an earlier frame had does not stay
            Assert.That(new FrameDecoder().TryDecode(full, 0, full.Length, frame), Is.True);
            Assert.That(new FrameDecoder().TryDecode(bytes, 0, bytes.Length, frame), Is.True);
            full = Bytes("frame_bare");
            Assert.That(new FrameDecoder().TryDecode(full, 0, full.Length, bare), Is.True);
            Assert.That(frame.Streams, Is.EqualTo(FaceStreams.None));
            Assert.That(frame.Values.Channels, Is.EqualTo(bare.Values.Channels));
        }

        [TestCase("nil_result", true), TestCase("nil_result_error", false)]
        public void NilInAResultIsAbsent(string name, bool ok)
        {
            var bytes = Bytes(name);
            Assert.That(ResultMessage.TryDecode(bytes, 0, bytes.Length, out var result), Is.True);
            Assert.That((result.Id, result.Ok, result.Error, result.Code), Is.EqualTo((7L, ok, "", "")));
        }

        [Test]
        public void TypesOfLaterVersionsAreUnknownAndNotMalformed()
        {
            var bytes = Bytes("unknown_type");
            Assert.That(MessageReader.ReadKind(bytes, 0, bytes.Length), Is.EqualTo(MessageKind.Unknown));
        }

        [Test]
        public void WhatTheClientSendsIsTheVectorsByteForByte()
        {
            AssertBytes("subscribe", writer => MessageWriter.WriteSubscribe(writer, FaceStreams.Default, 0));
            AssertBytes("ping", writer => MessageWriter.WritePing(writer, 987_654_321));
            AssertBytes("command", writer => MessageWriter.WriteCommand(writer, 7, "set", new CommandArguments().Add("mirror", true)));
        }

        [Test]
        public void ASubscriptionToAllIsTheVectorWithoutItsFormatWhichWeNeverChange()
        {
            var writer = new MsgpackWriter();
            MessageWriter.WriteSubscribe(writer, (FaceStreams)31, 30);
            var golden = Bytes("subscribe_all");
            const int formatBytes = 12; // a6 "format" a4 "json"
            var expected = new byte[golden.Length - formatBytes];
            Array.Copy(golden, expected, expected.Length);
            expected[0]--;
            Assert.That(Tests.Messages.Bytes(writer), Is.EqualTo(expected));
        }

        static void AssertBytes(string name, Action<MsgpackWriter> write)
        {
            var writer = new MsgpackWriter();
            write(writer);
            Assert.That(Tests.Messages.Bytes(writer), Is.EqualTo(Bytes(name)), name);
        }

        static void AssertHead(Dictionary<string, object> said, FaceValues values)
        {
            if (!said.ContainsKey("head")) return;
            var numbers = Numbers(said["head"]);
            // The vectors' quaternion is not of unit length; the decoder makes it so.
            Rotation.TryNormalize(numbers[0], numbers[1], numbers[2], numbers[3], out var head);
            Assert.That(values.Head, Is.EqualTo(head));
            for (var i = 0; i < 3; i++) Assert.That(values.Channels[FaceValues.PositionAt + i], Is.EqualTo(numbers[4 + i]));
        }

        static void AssertFlame(Dictionary<string, object> said, FlameValues flame)
        {
            Assert.That(flame.ExpressionCount, Is.EqualTo(Numbers(said["expression"]).Length));
            AssertArray(said, "expression", flame.Expression, 0, 0);
            AssertArray(said, "jaw", flame.Jaw, 0, 0);
            AssertArray(said, "neck", flame.Neck, 0, 0);
            AssertArray(said, "eyes", flame.Eyes, 0, 0);
        }

        static void AssertArray(Dictionary<string, object> said, string key, float[] found, int at, int from)
        {
            if (!said.ContainsKey(key)) return;
            var numbers = Numbers(said[key]);
            for (var i = from; i < numbers.Length; i++) Assert.That(found[at + i], Is.EqualTo(numbers[i]), $"{key}[{i}]");
        }

        static float[] Numbers(object list)
        {
            var items = (List<object>)list;
            var numbers = new float[items.Count];
            for (var i = 0; i < numbers.Length; i++) numbers[i] = Convert.ToSingle(items[i]);
            return numbers;
        }

        static byte[] Bytes(string name) => File.ReadAllBytes(Path.Combine(Folder, name + ".msgpack"));

        static Dictionary<string, object> Said(string name) =>
            (Dictionary<string, object>)Json.Parse(File.ReadAllText(Path.Combine(Folder, name + ".json")));

        static IEnumerable<string> Named(string pattern, string folder)
        {
            var names = new List<string>();
            foreach (var path in Directory.GetFiles(folder, pattern)) names.Add(Path.GetFileNameWithoutExtension(path));
            names.Sort(StringComparer.Ordinal);
            return names;
        }
    }
}
