using UnityEngine;

namespace Facewire
{
    /// <summary>
    /// From the wire's space (right-handed: x to the subject's left, y up, z out of the face) to a character's own in Unity
    /// (left-handed: x to its right, y up, z forward): x changes its sign.
    /// </summary>
    static class UnitySpace
    {
        public static Quaternion Turn(in Rotation rotation)
        {
            var mirrored = rotation.Mirrored;
            return new Quaternion(mirrored.X, mirrored.Y, mirrored.Z, mirrored.W);
        }

        /// <summary>Metres.</summary>
        public static Vector3 Place(FaceValues values)
        {
            const int at = FaceValues.PositionAt;
            return new Vector3(-values.Channels[at], values.Channels[at + 1], values.Channels[at + 2]);
        }

        /// <summary>Eye 0 is the left one. On the wire +yaw goes to the subject's left and +pitch up; Unity turns the other way in both.</summary>
        public static Quaternion Gaze(FaceValues values, int eye)
        {
            var at = FaceValues.GazeAt + 2 * eye;
            return Quaternion.Euler(-values.Channels[at + 1] * Mathf.Rad2Deg, -values.Channels[at] * Mathf.Rad2Deg, 0);
        }
    }
}
