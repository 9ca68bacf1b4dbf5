using System;
using System.IO;
using System.Text;

namespace Facewire
{
    /// <summary>
    /// A FLAME head (Li et al. 2017) as <c>facewire flame unity</c> writes it: right-handed, metres, x to the head's left, y up, z out of
    /// the face. The format is described in Facewire's models/flame/packed.py.
    /// </summary>
    public sealed class FlameMesh
    {
        public const int JointCount = 5;
        public const int CorrectiveCount = 36;

        const string Magic = "FWFLAME1";
        const int MostVertices = 65535;
        const int MostTriangles = 400000;
        const int MostMaterials = 64;
        const float WeightUnit = 1f / 65535;

        /// <summary>The name of the FLAME that it was made from, as a server announces it.</summary>
        public string Name = "";

        /// <summary>SHA-256 of the file that it was made from.</summary>
        public string Digest = "";

        /// <summary>x y z of each vertex at rest.</summary>
        public float[] Template;

        /// <summary>Three for each triangle, counter-clockwise seen from outside.</summary>
        public int[] Triangles;

        /// <summary>Runs of triangles that look alike; the open head has nine, a FLAME file skin and eyes.</summary>
        public FlameMaterial[] Materials;

        /// <summary>Of each vertex, how much root, neck, jaw, left and right eye move it.</summary>
        public float[] Weights;

        /// <summary>x y z of root, neck, jaw, left and right eye at rest.</summary>
        public float[] Joints;

        /// <summary>For each expression coefficient, x y z of each vertex for one of it.</summary>
        public float[][] Expression;

        /// <summary>What each entry of the joints' rotation matrices adds to the vertices; null where that is nothing.</summary>
        public float[][] Correctives;

        public int VertexCount => Template.Length / 3;
        public int ExpressionCount => Expression.Length;

        /// <summary>Throws InvalidDataException where this is another file, EndOfStreamException where it is cut.</summary>
        public static FlameMesh Read(byte[] bytes)
        {
            using (var reader = new BinaryReader(new MemoryStream(bytes, false)))
            {
                if (Encoding.ASCII.GetString(reader.ReadBytes(Magic.Length)) != Magic) throw new InvalidDataException("not a FLAME mesh of Facewire");
                var mesh = new FlameMesh();
                mesh.Read(reader, bytes.Length);
                return mesh;
            }
        }

        void Read(BinaryReader reader, int size)
        {
            int vertices = reader.ReadInt32(), triangles = reader.ReadInt32(), materials = reader.ReadInt32();
            int expressions = reader.ReadInt32(), correctives = reader.ReadInt32();
            // What is announced is what memory is taken for: no more than the file can hold.
            Demand(vertices > 0 && vertices <= MostVertices && triangles > 0 && triangles <= MostTriangles, "sizes");
            Demand(materials > 0 && materials <= MostMaterials, "materials");
            Demand(expressions >= 0 && expressions <= FlameValues.MaxExpression && correctives >= 0 && correctives <= CorrectiveCount, "counts");
            if (size < 6L * vertices * (3 + expressions + correctives) + 6L * triangles) throw new EndOfStreamException("it is cut");
            Name = ReadText(reader);
            Digest = ReadText(reader);
            Materials = new FlameMaterial[materials];
            for (var i = 0; i < materials; i++) Materials[i] = ReadMaterial(reader, triangles);
            Template = ReadFloats(reader, 3 * vertices);
            Triangles = ReadTriangles(reader, 3 * triangles, vertices);
            Weights = new float[JointCount * vertices];
            for (var i = 0; i < Weights.Length; i++) Weights[i] = reader.ReadUInt16() * WeightUnit;
            Joints = ReadFloats(reader, 3 * JointCount);
            Expression = new float[expressions][];
            for (var i = 0; i < expressions; i++) Expression[i] = ReadQuantised(reader, 3 * vertices);
            Correctives = new float[CorrectiveCount][];
            for (var i = 0; i < correctives; i++) ReadCorrective(reader, 3 * vertices);
        }

        void ReadCorrective(BinaryReader reader, int count)
        {
            var entry = reader.ReadInt32();
            Demand(entry >= 0 && entry < CorrectiveCount, "a corrective");
            Correctives[entry] = ReadQuantised(reader, count);
        }

        static FlameMaterial ReadMaterial(BinaryReader reader, int triangles)
        {
            var material = new FlameMaterial(ReadText(reader), reader.ReadInt32(), reader.ReadInt32());
            int first = material.FirstTriangle, count = material.TriangleCount;
            Demand(first >= 0 && count > 0 && count <= triangles - first, "a material");
            return material;
        }

        static int[] ReadTriangles(BinaryReader reader, int count, int vertices)
        {
            var triangles = new int[count];
            for (var i = 0; i < count; i++)
            {
                triangles[i] = reader.ReadUInt16();
                Demand(triangles[i] < vertices, "a triangle");
            }
            return triangles;
        }

        static float[] ReadQuantised(BinaryReader reader, int count)
        {
            var unit = ReadFinite(reader);
            var values = new float[count];
            for (var i = 0; i < count; i++) values[i] = reader.ReadInt16() * unit;
            return values;
        }

        static float[] ReadFloats(BinaryReader reader, int count)
        {
            var values = new float[count];
            for (var i = 0; i < count; i++) values[i] = ReadFinite(reader);
            return values;
        }

        static float ReadFinite(BinaryReader reader)
        {
            var value = reader.ReadSingle();
            Demand(Math.Abs(value) < 1e3f, "a number");
            return value;
        }

        static string ReadText(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes(reader.ReadByte()));

        static void Demand(bool isTrue, string what)
        {
            if (!isTrue) throw new InvalidDataException(what + " that no FLAME has");
        }
    }
}
