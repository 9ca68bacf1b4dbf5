using UnityEngine;

namespace Facewire.Samples
{
    /// <summary>How a script gets at the numbers: prints once a second what has arrived and what is shown.</summary>
    [AddComponentMenu("Facewire/Frame Printer (sample)")]
    [RequireComponent(typeof(FacewireReceiver))]
    public sealed class FramePrinter : MonoBehaviour
    {
        static readonly int JawOpen = ArkitBlendshapes.IndexOf("jawOpen");

        FacewireReceiver _receiver;
        long _newestSeq;
        float _nextAt;

        void OnEnable()
        {
            _receiver = GetComponent<FacewireReceiver>();
            _receiver.FrameReceived += OnFrame;
        }

        void OnDisable() => _receiver.FrameReceived -= OnFrame;

        /// <summary>Each frame as it came. It is written over afterwards: copy what is to be kept.</summary>
        void OnFrame(FaceFrame frame) => _newestSeq = frame.Seq;

        /// <summary>The face as it is shown now, between the frames.</summary>
        void LateUpdate()
        {
            if (Time.time < _nextAt) return;
            _nextAt = Time.time + 1;
            var pose = _receiver.Pose;
            Debug.Log($"frame {_newestSeq}, {pose.Phase} by {pose.Sources}, jawOpen {pose.Values.Channels[JawOpen]:0.00}, delay {_receiver.DelayMs:0} ms");
        }
    }
}
