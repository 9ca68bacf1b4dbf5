using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>Settings, live status, and buttons for the server.</summary>
    [CustomEditor(typeof(FacewireReceiver))]
    sealed class FacewireReceiverEditor : UnityEditor.Editor
    {
        bool _showsServer;

        FacewireReceiver Receiver => (FacewireReceiver)target;

        public override bool RequiresConstantRepaint() => Receiver.IsRunning;

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            EditorGUILayout.Space();
            if (Receiver.GetComponents<FacewireReceiver>().Length > 1)
                EditorGUILayout.HelpBox("Two receivers on one object: remove one of them.", MessageType.Error);
            if (Receiver.Problem.Length > 0) EditorGUILayout.HelpBox(Receiver.Problem, MessageType.Warning);
            DrawConnection();
            if (!Receiver.IsRunning) return;
            DrawStream();
            DrawCommands();
            DrawServer();
        }

        void DrawConnection()
        {
            EditorGUILayout.LabelField("State", Receiver.State.ToString());
            EditorGUILayout.BeginHorizontal();
            if (Application.isPlaying)
            {
                if (GUILayout.Button("Connect")) Receiver.Connect();
                if (GUILayout.Button("Disconnect")) Receiver.Disconnect();
            }
            else if (!FacewirePreview.IsOn(Receiver))
            {
                if (GUILayout.Button("Preview in the scene view")) FacewirePreview.Begin(Receiver);
            }
            else if (GUILayout.Button("End preview")) FacewirePreview.End();
            EditorGUILayout.EndHorizontal();
        }

        void DrawStream()
        {
            var stats = Receiver.Stats;
            EditorGUILayout.LabelField("Server", Receiver.Hello == null ? "" : Receiver.Hello.Server);
            EditorGUILayout.LabelField("Rate", $"{stats.Rate:0.0} frames/s");
            EditorGUILayout.LabelField("Latency", $"{stats.LatencyMs:0.0} ms on the way, {stats.CaptureLatencyMs:0.0} ms since capture");
            EditorGUILayout.LabelField("Playout", $"{Receiver.DelayMs:0.0} ms delay for {Receiver.JitterMs:0.0} ms jitter");
            EditorGUILayout.LabelField("Frames", $"{stats.Frames}, {stats.Missed} missed, {stats.Malformed} not understood");
            EditorGUILayout.LabelField("Shown", $"{Receiver.Pose.Phase}, by {Receiver.Pose.Sources}, confidence {Receiver.Pose.Confidence:0.00}");
        }

        void DrawCommands()
        {
            EditorGUI.BeginDisabledGroup(Receiver.State != ClientState.Live);
            EditorGUILayout.BeginHorizontal();
            if (GUILayout.Button("Calibrate")) Receiver.SendCommand("calibrate");
            if (GUILayout.Button("Record on the server")) Receiver.SendCommand("record_start");
            if (GUILayout.Button("Stop recording")) Receiver.SendCommand("record_stop");
            EditorGUILayout.EndHorizontal();
            EditorGUI.EndDisabledGroup();
        }

        void DrawServer()
        {
            if (Receiver.ServerStatus == null) return;
            _showsServer = EditorGUILayout.Foldout(_showsServer, "What the server reports", true);
            if (!_showsServer) return;
            foreach (var entry in Receiver.ServerStatus.Entries) EditorGUILayout.LabelField(entry.Key, entry.Value);
        }
    }
}
