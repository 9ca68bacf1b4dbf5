using System.Collections.Generic;
using System.IO;
using System.Text;

namespace Facewire.Samples
{
    /// <summary>
    /// Reads OpenHead.bytes: a head with the 52 shapes, in metres, right-handed (x to its left, y up, z out of the face), origin where the
    /// skull sits on the neck. The format is described in Facewire's models/head/export_unity.py.
    /// </summary>
    public sealed class OpenHeadAsset
    {
        const string Magic = "FWHEAD1\0";

        /// <summary>x y z of each vertex.</summary>
        public float[] Vertices;

        /// <summary>Three for each triangle, counter-clockwise seen from outside.</summary>
        public int[] Triangles;

        public readonly List<Part> Materials = new List<Part>();
        public readonly List<Shape> Shapes = new List<Shape>();
        public readonly Dictionary<string, float[]> Joints = new Dictionary<string, float[]>();

        /// <summary>A run of triangles of one material.</summary>
        public readonly struct Part
        {
            public readonly string Name;
            public readonly int FirstTriangle;
            public readonly int TriangleCount;

            public Part(string name, int firstTriangle, int triangleCount)
            {
                Name = name;
                FirstTriangle = firstTriangle;
                TriangleCount = triangleCount;
            }
        }

        /// <summary>The vertices that a shape moves, and by how much at full weight.</summary>
        public readonly struct Shape
        {
            public readonly string Name;
            public readonly int[] Moved;
            public readonly float[] Deltas;

            public Shape(string name, int[] moved, float[] deltas)
            {
                Name = name;
                Moved = moved;
                Deltas = deltas;
            }
        }

        /// <summary>Throws InvalidDataException where this is another file, EndOfStreamException where it is cut.</summary>
        public static OpenHeadAsset Read(byte[] bytes)
        {
            using (var reader = new BinaryReader(new MemoryStream(bytes)))
            {
                if (Encoding.ASCII.GetString(reader.ReadBytes(Magic.Length)) != Magic) throw new InvalidDataException("not an OpenHead file");
                var head = new OpenHeadAsset();
                head.Read(reader);
                return head;
            }
        }

        void Read(BinaryReader reader)
        {
            int vertices = reader.ReadInt32(), triangles = reader.ReadInt32(), materials = reader.ReadInt32();
            int shapes = reader.ReadInt32(), joints = reader.ReadInt32();
            var unit = reader.ReadSingle();
            Vertices = ReadMetres(reader, 3 * vertices, unit);
            Triangles = ReadIndices(reader, 3 * triangles);
            for (var i = 0; i < materials; i++) Materials.Add(new Part(ReadText(reader), reader.ReadInt32(), reader.ReadInt32()));
            for (var i = 0; i < shapes; i++) Shapes.Add(ReadShape(reader, unit));
            for (var i = 0; i < joints; i++) Joints.Add(ReadText(reader), new[] { reader.ReadSingle(), reader.ReadSingle(), reader.ReadSingle() });
        }

        static Shape ReadShape(BinaryReader reader, float unit)
        {
            var name = ReadText(reader);
            var count = reader.ReadInt32();
            var moved = ReadIndices(reader, count);
            return new Shape(name, moved, ReadMetres(reader, 3 * count, unit));
        }

        static float[] ReadMetres(BinaryReader reader, int count, float unit)
        {
            var metres = new float[count];
            for (var i = 0; i < count; i++) metres[i] = reader.ReadInt16() * unit;
            return metres;
        }

        static int[] ReadIndices(BinaryReader reader, int count)
        {
            var indices = new int[count];
            for (var i = 0; i < count; i++) indices[i] = reader.ReadUInt16();
            return indices;
        }

        static string ReadText(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes(reader.ReadByte()));
    }
}
