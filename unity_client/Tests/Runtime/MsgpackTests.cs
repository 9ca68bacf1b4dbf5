using System;
using NUnit.Framework;

namespace Facewire.Tests
{
    public sealed class MsgpackTests
    {
        static readonly long[] Integers =
        {
            0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, long.MaxValue,
            -1, -32, -33, -128, -129, -32768, -32769, int.MinValue, int.MinValue - 1L, long.MinValue,
        };

        [TestCaseSource(nameof(Integers))]
        public void IntegersSurviveTheWayThereAndBack(long value)
        {
            var reader = Read(writer => writer.WriteInteger(value));
            Assert.That(reader.TryReadInteger(out var back), Is.True);
            Assert.That(back, Is.EqualTo(value));
            Assert.That(reader.Remaining, Is.Zero);
        }

        [TestCase(0, 1), TestCase(127, 1), TestCase(128, 2), TestCase(256, 3), TestCase(65536, 5), TestCase(4294967296, 9)]
        [TestCase(-32, 1), TestCase(-33, 2), TestCase(-129, 3), TestCase(-32769, 5), TestCase(-2147483649, 9)]
        public void IntegersTakeTheirShortestForm(long value, int bytes)
        {
            var writer = new MsgpackWriter();
            writer.WriteInteger(value);
            Assert.That(writer.Count, Is.EqualTo(bytes));
        }

        [TestCase(0), TestCase(31), TestCase(32), TestCase(255), TestCase(256), TestCase(65535), TestCase(65536)]
        public void StringsAndBinariesOfEveryLengthSurvive(int length)
        {
            var reader = Read(writer =>
            {
                writer.WriteString(new string('x', length));
                writer.WriteBinary(new byte[length]);
            });
            Assert.That(reader.TryReadString(out var text), Is.True);
            Assert.That(text.ToString(), Is.EqualTo(new string('x', length)));
            Assert.That(reader.TryReadBinary(out var bytes), Is.True);
            Assert.That(bytes.Count, Is.EqualTo(length));
            Assert.That(reader.Remaining, Is.Zero);
        }

        [Test]
        public void FloatsOfBothWidthsAndIntegersReadAsNumbers()
        {
            Assert.That(Number(0xca, 0x3f, 0x80, 0, 0), Is.EqualTo(1.0));
            Assert.That(Number(0xcb, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18), Is.EqualTo(Math.PI));
            Assert.That(Number(0xd0, 0xfb), Is.EqualTo(-5.0));
        }

        [Test]
        public void AnUnsignedIntegerBeyondLongIsRefused()
        {
            var reader = Reader(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
            Assert.That(reader.TryReadInteger(out _), Is.False);
        }

        [Test]
        public void AContainerThatClaimsMoreThanThereIsIsRefused()
        {
            var map = Reader(0xdf, 0x7f, 0xff, 0xff, 0xff);
            var array = Reader(0xdd, 0xff, 0xff, 0xff, 0xff);
            var text = Reader(0xdb, 0xff, 0xff, 0xff, 0xff);
            Assert.That(map.TryReadMap(out _), Is.False);
            Assert.That(array.TryReadArray(out _), Is.False);
            Assert.That(text.TryReadString(out _), Is.False);
        }

        [Test]
        public void SkippingStepsOverEveryType()
        {
            var bytes = new byte[]
            {
                0xdc, 0, 16, 0xc0, 0xc2, 0xc3, 0x05, 0xe0, 0xcc, 1, 0xcd, 1, 2, 0xd3, 1, 2, 3, 4, 5, 6, 7, 8, 0xca, 0, 0, 0, 0,
                0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1, 0x61, 0xc4, 1, 9, 0xd4, 1, 2, 0xc7, 2, 1, 3, 4, 0x81, 0xa1, 0x6b, 0x91, 0x01, 0xcf,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            };
            var reader = new MsgpackReader(bytes, 0, bytes.Length);
            Assert.That(reader.TrySkip(), Is.True);
            Assert.That(reader.Remaining, Is.Zero);
        }

        [Test]
        public void DeepNestingCannotExhaustTheStack()
        {
            var bytes = new byte[1 << 20];
            for (var i = 0; i < bytes.Length - 1; i++) bytes[i] = 0x91;
            var reader = new MsgpackReader(bytes, 0, bytes.Length);
            Assert.That(reader.TrySkip(), Is.True);
        }

        [Test]
        public void NoByteStringMakesTheReaderThrow()
        {
            var random = new Random(1);
            var bytes = new byte[64];
            for (var round = 0; round < 20000; round++)
            {
                random.NextBytes(bytes);
                var reader = new MsgpackReader(bytes, 0, random.Next(bytes.Length + 1));
                for (var i = 0; i < 8 && reader.TrySkip(); i++)
                {
                }
                Assert.That(reader.Remaining, Is.GreaterThanOrEqualTo(0));
            }
        }

        static double Number(params byte[] bytes)
        {
            var reader = Reader(bytes);
            Assert.That(reader.TryReadNumber(out var value), Is.True);
            return value;
        }

        static MsgpackReader Reader(params byte[] bytes) => new MsgpackReader(bytes, 0, bytes.Length);

        static MsgpackReader Read(Action<MsgpackWriter> write)
        {
            var writer = new MsgpackWriter();
            write(writer);
            return new MsgpackReader(writer.Buffer, 0, writer.Count);
        }
    }
}
