using System;

namespace Facewire
{
    /// <summary>
    /// Skins a FLAME head (Li et al. 2017, section 3): expression and pose correctives are added to the template, then neck, jaw and eyes
    /// turn it by linear blend skinning. All memory is taken at construction.
    /// </summary>
    public sealed class FlameSkinner
    {
        const int Neck = 1;
        const int Jaw = 2;
        const int LeftEye = 3;
        const int RightEye = 4;

        /// <summary>What moves a coefficient's whole column by less than anybody sees; most frames have many such.</summary>
        const float Nothing = 1e-6f;

        readonly FlameMesh _mesh;
        readonly float[] _shaped;
        readonly float[] _vertices;
        readonly float[] _features = new float[FlameMesh.CorrectiveCount];

        /// <summary>Of each joint, what it does to a point of the unposed head: three rows of four.</summary>
        readonly float[] _transforms = new float[12 * FlameMesh.JointCount];

        readonly double[] _neckTurn = new double[9];
        readonly double[] _turn = new double[9];

        public FlameSkinner(FlameMesh mesh)
        {
            _mesh = mesh;
            _shaped = new float[mesh.Template.Length];
            _vertices = (float[])mesh.Template.Clone();
        }

        /// <summary>x y z of each vertex as skinned last, in the mesh's own space; written over by each call of <see cref="Skin"/>.</summary>
        public float[] Vertices => _vertices;

        /// <summary>
        /// Skins with <paramref name="share"/> (0 is rest) of the parameters. Coefficients that the mesh does not have are left out, those
        /// that are not sent are 0.
        /// </summary>
        public void Skin(FlameValues values, float share)
        {
            Pose(values, share);
            Array.Copy(_mesh.Template, _shaped, _shaped.Length);
            var count = Math.Min(values.ExpressionCount, _mesh.ExpressionCount);
            for (var i = 0; i < count; i++) Add(_mesh.Expression[i], values.Expression[i] * share);
            for (var i = 0; i < _features.Length; i++)
                if (_mesh.Correctives[i] != null) Add(_mesh.Correctives[i], _features[i]);
            Turn();
        }

        void Add(float[] column, float weight)
        {
            if (Math.Abs(weight) < Nothing) return;
            var shaped = _shaped;
            for (var i = 0; i < shaped.Length && i < column.Length; i++) shaped[i] += weight * column[i];
        }

        void Pose(FlameValues values, float share)
        {
            // The root stays: where the head is in the room is another stream's.
            SetTransform(0, Identity, Identity, 0);
            Rotate(values.Neck, 0, share, _neckTurn);
            SetTransform(Neck, Identity, _neckTurn, 0);
            Rotate(values.Jaw, 0, share, _turn);
            SetTransform(Jaw, _neckTurn, _turn, Neck);
            Rotate(values.Eyes, 0, share, _turn);
            SetTransform(LeftEye, _neckTurn, _turn, Neck);
            Rotate(values.Eyes, 3, share, _turn);
            SetTransform(RightEye, _neckTurn, _turn, Neck);
        }

        /// <summary>
        /// A joint turns about its own place, then does what its parent does: x to P (R (x - j) + j) with P the parent's transform
        /// (equation 2). Its turn less the identity is what pose correctives go by (equation 4).
        /// </summary>
        void SetTransform(int joint, double[] parentTurn, double[] turn, int parent)
        {
            var at = 12 * joint;
            var place = 3 * joint;
            for (var row = 0; row < 3; row++)
            {
                for (var column = 0; column < 3; column++)
                {
                    var sum = 0.0;
                    for (var k = 0; k < 3; k++) sum += parentTurn[3 * row + k] * turn[3 * k + column];
                    _transforms[at + 4 * row + column] = (float)sum;
                    if (joint > 0) _features[9 * (joint - 1) + 3 * row + column] = (float)(turn[3 * row + column] - Identity[3 * row + column]);
                }
                // Where the joint is taken by its parent, less where its own turn would take it.
                var moved = parent > 0 ? Moved(12 * parent + 4 * row, place) : _mesh.Joints[place + row];
                for (var k = 0; k < 3; k++) moved -= _transforms[at + 4 * row + k] * _mesh.Joints[place + k];
                _transforms[at + 4 * row + 3] = moved;
            }
        }

        float Moved(int row, int place) =>
            _transforms[row] * _mesh.Joints[place] + _transforms[row + 1] * _mesh.Joints[place + 1]
            + _transforms[row + 2] * _mesh.Joints[place + 2] + _transforms[row + 3];

        void Turn()
        {
            float[] shaped = _shaped, weights = _mesh.Weights, t = _transforms, vertices = _vertices;
            for (int at = 0, w = 0; at < shaped.Length; at += 3, w += FlameMesh.JointCount)
            {
                float x = shaped[at], y = shaped[at + 1], z = shaped[at + 2];
                // The root is the identity.
                float newX = weights[w] * x, newY = weights[w] * y, newZ = weights[w] * z;
                for (int joint = 1, m = 12; joint < FlameMesh.JointCount; joint++, m += 12)
                {
                    var weight = weights[w + joint];
                    if (weight == 0) continue;
                    newX += weight * (t[m] * x + t[m + 1] * y + t[m + 2] * z + t[m + 3]);
                    newY += weight * (t[m + 4] * x + t[m + 5] * y + t[m + 6] * z + t[m + 7]);
                    newZ += weight * (t[m + 8] * x + t[m + 9] * y + t[m + 10] * z + t[m + 11]);
                }
                vertices[at] = newX;
                vertices[at + 1] = newY;
                vertices[at + 2] = newZ;
            }
        }

        /// <summary>Rodrigues' formula: axis times angle to a matrix by rows.</summary>
        static void Rotate(float[] axisAngle, int at, float share, double[] into)
        {
            double x = axisAngle[at] * share, y = axisAngle[at + 1] * share, z = axisAngle[at + 2] * share;
            var square = x * x + y * y + z * z;
            var angle = Math.Sqrt(square);
            // By their series where the quotients lose their digits.
            var s = angle < 1e-4 ? 1 - square / 6 : Math.Sin(angle) / angle;
            var c = angle < 1e-4 ? 0.5 - square / 24 : (1 - Math.Cos(angle)) / square;
            into[0] = 1 - c * (y * y + z * z);
            into[1] = c * x * y - s * z;
            into[2] = c * x * z + s * y;
            into[3] = c * x * y + s * z;
            into[4] = 1 - c * (x * x + z * z);
            into[5] = c * y * z - s * x;
            into[6] = c * x * z - s * y;
            into[7] = c * y * z + s * x;
            into[8] = 1 - c * (x * x + y * y);
        }

        static readonly double[] Identity = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    }
}
