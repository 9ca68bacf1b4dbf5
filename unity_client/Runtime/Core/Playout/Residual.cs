using System;

namespace Facewire
{
    /// <summary>
    /// The difference between what was shown and what late frames say should have been shown. It is added to the motion and fades, so
    /// that a wrong guess is made good without a step.
    /// </summary>
    public sealed class Residual
    {
        readonly float[] _channels = new float[FaceValues.ChannelCount];
        Rotation _head = Rotation.Identity;
        FlameValues _flame;

        public void Clear()
        {
            Array.Clear(_channels, 0, _channels.Length);
            _head = Rotation.Identity;
            _flame?.SetToRest();
        }

        /// <summary>Becomes what leads from <paramref name="right"/> to <paramref name="shown"/>.</summary>
        public void Set(FaceValues shown, FaceValues right)
        {
            for (var i = 0; i < _channels.Length; i++) _channels[i] = shown.Channels[i] - right.Channels[i];
            _head = shown.Head * right.Head.Inverse;
            if (shown.Flame == null && right.Flame == null) return;
            if (_flame == null) _flame = new FlameValues();
            _flame.SetToRest();
            if (shown.Flame != null) _flame.Add(shown.Flame, 1);
            if (right.Flame != null) _flame.Add(right.Flame, -1);
        }

        /// <summary>Fades by the time that has passed: to 1/e in one time constant.</summary>
        public void Fade(double elapsedMs, double constantMs)
        {
            var left = (float)Math.Exp(-elapsedMs / constantMs);
            for (var i = 0; i < _channels.Length; i++) _channels[i] *= left;
            _head = Rotation.Slerp(Rotation.Identity, _head, left);
            _flame?.Scale(left);
        }

        public void AddTo(FaceValues values)
        {
            for (var i = 0; i < _channels.Length; i++) values.Channels[i] += _channels[i];
            values.Head = _head * values.Head;
            if (_flame != null) values.EnsureFlame().Add(_flame, 1);
        }
    }
}
