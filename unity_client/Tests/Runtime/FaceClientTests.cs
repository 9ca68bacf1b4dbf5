using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Facewire.Tests
{
    public sealed class FaceClientTests
    {
        const long MsNs = 1_000_000;

        readonly List<FakeTransport> _transports = new List<FakeTransport>();
        readonly List<string> _problems = new List<string>();
        FaceClient _client;
        FaceFrame _frame = new FaceFrame();

        FakeTransport Newest => _transports[_transports.Count - 1];

        [SetUp]
        public void SetUp()
        {
            _transports.Clear();
            _problems.Clear();
            _client = new FaceClient(Make, new Random(1));
            _client.ProblemChanged += problem => _problems.Add(problem?.Kind ?? "");
        }

        [Test]
        public void ItConnectsSubscribesAndDeliversFrames()
        {
            GoLive(0);
            Assert.That(_client.State, Is.EqualTo(ClientState.Live));
            Assert.That(Text(Newest.Sent[0]), Does.Contain("subscribe"));
            Newest.Says(Messages.Frame(1, 1, 1), 5);
            Assert.That(_client.TryTakeFrame(ref _frame), Is.True);
            Assert.That((_frame.Seq, _frame.ReceivedNs), Is.EqualTo((1L, 5L)));
            Assert.That(_client.TryTakeFrame(ref _frame), Is.False);
        }

        [Test]
        public void WhatIsAskedForWhileLiveIsSubscribedAtOnceAndAfterEveryReconnection()
        {
            GoLive(0);
            Assert.That(Text(Newest.Sent[0]), Does.Not.Contain("flame"));
            _client.Subscribe(FaceStreams.Default | FaceStreams.Flame);
            Assert.That(Text(Newest.Sent[Newest.Sent.Count - 1]), Does.Contain("flame").And.Contain("gaze"));
            Newest.Closes(CloseCause.Busy);
            _client.Poll(MsNs);
            _client.Poll(5000 * MsNs);
            Newest.Opens();
            Newest.Says(Messages.Hello(), 5000 * MsNs);
            _client.Poll(5000 * MsNs);
            Assert.That(_transports, Has.Count.EqualTo(2));
            Assert.That(Text(Newest.Sent[0]), Does.Contain("subscribe").And.Contain("flame"));
        }

        [Test]
        public void MissedFramesAreCountedByTheGapsInTheirNumbers()
        {
            GoLive(0);
            foreach (var seq in new[] { 5L, 6, 9 }) Newest.Says(Messages.Frame(seq, seq, seq));
            while (_client.TryTakeFrame(ref _frame))
            {
            }
            Assert.That((_client.Stats.Frames, _client.Stats.Missed), Is.EqualTo((3L, 2L)));
        }

        [Test]
        public void APlayerLoopThatDoesNotComeLosesTheOldestFramesAndCountsThem()
        {
            GoLive(0);
            for (var seq = 0; seq < 20; seq++) Newest.Says(Messages.Frame(seq, seq, seq));
            Assert.That(_client.TryTakeFrame(ref _frame), Is.True);
            Assert.That(_frame.Seq, Is.EqualTo(4));
            Assert.That(_client.Overrun, Is.EqualTo(4));
        }

        [Test]
        public void ALostServerIsTriedAgainWithinTheLongestWaitAndToldOnce()
        {
            GoLive(0);
            Newest.Closes(CloseCause.Lost, "reset");
            var nowMs = 0;
            for (; nowMs < 20000; nowMs += 10)
            {
                _client.Poll(nowMs * MsNs);
                if (_client.State == ClientState.Connecting) Newest.Closes(CloseCause.Unreachable, "refused");
            }
            Assert.That(_transports.Count, Is.InRange(18, 30), "one attempt a second once it has slowed down");
            Assert.That(_problems, Is.EqualTo(new[] { "lost", "unreachable" }));
            Assert.That(_transports.FindAll(transport => !transport.IsDisposed), Has.Count.LessThanOrEqualTo(1));
        }

        [Test]
        public void AServerThatGreetsAndClosesIsToldOnceAndTriedEverMoreSlowly()
        {
            var attempts = 0;
            _client.Start(new ClientOptions(), 0);
            for (var nowMs = 0; nowMs < 10000; nowMs += 10)
            {
                _client.Poll(nowMs * MsNs);
                if (_client.State != ClientState.Connecting) continue;
                attempts++;
                Newest.Opens();
                Newest.Says(Messages.Hello(), nowMs * MsNs);
                Newest.Closes(CloseCause.ClosedByServer, "1011");
                _client.Poll(nowMs * MsNs);
            }
            Assert.That(attempts, Is.InRange(8, 18));
            Assert.That(_problems.FindAll(kind => kind == "closed"), Has.Count.EqualTo(1));
        }

        [TestCase(CloseCause.Unauthorized, "token"), TestCase(CloseCause.Forbidden, "forbidden"), TestCase(CloseCause.NotFacewire, "foreign")]
        public void ARefusalIsFinalUntilTheUserChangesSomething(CloseCause cause, string kind)
        {
            _client.Start(new ClientOptions(), 0);
            Newest.Closes(cause);
            for (var nowMs = 0; nowMs < 10000; nowMs += 100) _client.Poll(nowMs * MsNs);
            Assert.That(_client.State, Is.EqualTo(ClientState.Failed));
            Assert.That(_problems, Is.EqualTo(new[] { kind }));
            Assert.That(_transports, Has.Count.EqualTo(1));
        }

        [Test]
        public void AForeignProtocolVersionIsFinal()
        {
            _client.Start(new ClientOptions(), 0);
            Newest.Opens();
            Newest.Says(Messages.Hello(2));
            _client.Poll(0);
            Assert.That(_client.State, Is.EqualTo(ClientState.Failed));
            Assert.That(_client.Problem.Text, Does.Contain("protocol 2"));
            Assert.That(Newest.IsDisposed, Is.True);
        }

        [Test]
        public void AServerThatGoesSilentIsLeft()
        {
            GoLive(0);
            for (var nowMs = 0; nowMs <= 3000; nowMs += 10) _client.Poll(nowMs * MsNs);
            Assert.That(_client.State, Is.EqualTo(ClientState.Live));
            _client.Poll(3001 * MsNs);
            Assert.That(_client.Problem.Kind, Is.EqualTo("stalled"));
        }

        [Test]
        public void MalformedMessagesAreCountedToldOnceAndSurvived()
        {
            GoLive(0);
            for (var i = 0; i < 5; i++)
            {
                Newest.Says(new byte[] { 0x81, 0xc1 });
                _client.Poll(0);
            }
            Newest.Says(Messages.Frame(1, 1, 1));
            Assert.That(_client.TryTakeFrame(ref _frame), Is.True);
            Assert.That(_client.Stats.Malformed, Is.EqualTo(5));
            Assert.That(_problems, Is.EqualTo(new[] { "malformed" }));
        }

        [Test]
        public void AMessageTypeOfTheFutureIsSkipped()
        {
            GoLive(0);
            var writer = new MsgpackWriter();
            writer.WriteMap(1);
            writer.WriteString("type");
            writer.WriteString("hologram");
            Newest.Says(Messages.Bytes(writer));
            _client.Poll(0);
            Assert.That(_client.Stats.Malformed, Is.Zero);
        }

        [Test]
        public void NoBytesOfAServerGetAnExceptionIntoThePlayerLoop()
        {
            var random = new Random(4);
            GoLive(0);
            for (var round = 0; round < 5000; round++)
            {
                var bytes = round % 2 == 0 ? new byte[random.Next(100)] : Messages.Frame(round, round, round);
                for (var i = random.Next(3); i >= 0 && bytes.Length > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                Newest.Says(bytes, 0);
                _client.Poll(0);
                while (_client.TryTakeFrame(ref _frame))
                {
                }
            }
            Assert.That(_client.State, Is.EqualTo(ClientState.Live));
            Assert.That(_problems, Has.Count.LessThanOrEqualTo(1));
        }

        [Test]
        public void AHandlerMayConnectElsewhereAndTheOldEndIsNotTakenForTheNew()
        {
            GoLive(0);
            var old = Newest;
            _client.StatusReceived += status => _client.Start(new ClientOptions { Address = "elsewhere" }, 0);
            old.Says(Messages.Status());
            old.Closes(CloseCause.ClosedByServer, "1001");
            _client.Poll(0);
            Assert.That(_client.State, Is.EqualTo(ClientState.Connecting));
            Assert.That(_problems, Is.Empty);
            Assert.That((old.IsDisposed, Newest.IsDisposed), Is.EqualTo((true, false)));
        }

        [Test]
        public void PingsGiveTheOffsetOfTheQuickestWay()
        {
            var clock = new ClockEstimator();
            clock.Update(new PongMessage(100, 1150), 300);
            clock.Update(new PongMessage(1000, 2010), 1020);
            clock.Update(new PongMessage(2000, 3900), 3000);
            Assert.That((clock.OffsetNs, clock.RoundTripNs), Is.EqualTo((1000L, 20L)));
        }

        [Test]
        public void CommandsCarryANumberThatTheResultBringsBack()
        {
            var results = new List<string>();
            _client.ResultReceived += result => results.Add($"{result.Id} {result.Ok} {result.Error}");
            Assert.That(_client.SendCommand("calibrate"), Is.EqualTo(-1), "no connection yet");
            GoLive(0);
            var id = _client.SendCommand("record_start", new CommandArguments().Add("name", "take"));
            Assert.That(Text(Newest.Sent[Newest.Sent.Count - 1]), Does.Contain("record_start").And.Contain("take"));
            Newest.Says(Messages.Result(id, false, "disk full"));
            _client.Poll(0);
            Assert.That(results, Is.EqualTo(new[] { $"{id} False disk full" }));
        }

        [Test]
        public void StoppingLeavesNothingAndWhatComesLaterIsIgnored()
        {
            GoLive(0);
            var old = Newest;
            _client.Stop();
            old.Says(Messages.Frame(1, 1, 1));
            old.Closes(CloseCause.Lost);
            _client.Poll(0);
            Assert.That(old.IsDisposed, Is.True);
            Assert.That(_client.State, Is.EqualTo(ClientState.Stopped));
            Assert.That(_client.TryTakeFrame(ref _frame), Is.False);
        }

        [TestCase(""), TestCase("ftp://host"), TestCase("::::")]
        public void ABadAddressIsOneClearLine(string address)
        {
            _client.Start(new ClientOptions { Address = address }, 0);
            Assert.That(_client.State, Is.EqualTo(ClientState.Failed));
            Assert.That(_client.Problem.Text, Does.Contain("address").Or.Contain("ws://"));
            Assert.That(_transports, Is.Empty);
        }

        [TestCase("localhost", "ws://localhost:8787/v1/live")]
        [TestCase("192.168.1.5:9000", "ws://192.168.1.5:9000/v1/live")]
        [TestCase("http://host:8787/?token=a", "ws://host:8787/v1/live?token=a")]
        [TestCase("wss://face.example/v1/live", "wss://face.example/v1/live")]
        [TestCase("ws://host:80", "ws://host/v1/live")]
        [TestCase("[::1]:8787", "ws://[::1]:8787/v1/live")]
        public void AddressesAreCompleted(string typed, string address)
        {
            Assert.That(Endpoint.TryParse(typed, "", out var endpoint, out _), Is.True);
            Assert.That(endpoint.Address.ToString(), Is.EqualTo(address));
        }

        [Test]
        public void TheTokenTravelsInTheAddressButNotInMessages()
        {
            Endpoint.TryParse("host", "s e&cret", out var endpoint, out _);
            Assert.That(endpoint.Address.Query, Is.EqualTo("?token=s%20e%26cret"));
            Assert.That(endpoint.Display, Does.Not.Contain("cret"));
        }

        [TestCase("HTTP/1.1 401 Unauthorized\r\nA: b\r\n\r\nThis server needs its token.\n", CloseCause.Unauthorized, "This server needs its token.")]
        [TestCase("HTTP/1.1 403 Forbidden\r\n\r\n", CloseCause.Forbidden, "HTTP status 403")]
        [TestCase("HTTP/1.1 503 Full\r\n\r\nfull", CloseCause.Busy, "full")]
        [TestCase("HTTP/1.1 101 Switching Protocols\r\n\r\n", CloseCause.Busy, "HTTP status 101")]
        [TestCase("HTTP/1.1 200 OK\r\n\r\n<html>\n", CloseCause.NotFacewire, "<html>")]
        [TestCase("SSH-2.0-OpenSSH\r\n", CloseCause.NotFacewire, "its answer is no HTTP"), TestCase("", CloseCause.NotFacewire, "its answer is no HTTP")]
        public void ARefusalIsReadFromItsAnswer(string answer, CloseCause cause, string reason)
        {
            var refusal = Refusal.Parse(answer);
            Assert.That((refusal.Cause, refusal.Reason), Is.EqualTo((cause, reason)));
        }

        FakeTransport Make()
        {
            var transport = new FakeTransport();
            _transports.Add(transport);
            return transport;
        }

        void GoLive(long nowNs)
        {
            _client.Start(new ClientOptions(), nowNs);
            Newest.Opens();
            Newest.Says(Messages.Hello(), nowNs);
            _client.Poll(nowNs);
        }

        static string Text(byte[] bytes) => System.Text.Encoding.ASCII.GetString(bytes);
    }
}
