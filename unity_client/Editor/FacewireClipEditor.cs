using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>Records in play mode and saves what was recorded as an animation clip.</summary>
    [CustomEditor(typeof(FacewireClip))]
    sealed class FacewireClipEditor : UnityEditor.Editor
    {
        float _frameRate = 60;

        FacewireClip Clip => (FacewireClip)target;

        public override bool RequiresConstantRepaint() => Clip.IsRecording;

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            _frameRate = EditorGUILayout.FloatField("Frames a second of the clip", _frameRate);
            EditorGUI.BeginDisabledGroup(!Application.isPlaying);
            if (!Clip.IsRecording && GUILayout.Button("Record")) Clip.Begin();
            if (Clip.IsRecording && GUILayout.Button($"Stop ({Clip.Length:0.0} s)")) Clip.End();
            EditorGUI.EndDisabledGroup();
            if (!Application.isPlaying) EditorGUILayout.HelpBox("Recording works in play mode.", MessageType.Info);
            if (Clip.HasRecording && GUILayout.Button($"Save {Clip.Length:0.0} s as a clip")) Save();
        }

        void Save()
        {
            var path = EditorUtility.SaveFilePanelInProject("Facewire clip", Clip.name + " face", "anim", "Where to keep the clip");
            if (path.Length == 0) return;
            AssetDatabase.CreateAsset(Clip.ToClip(Mathf.Clamp(_frameRate, 1, 240)), path);
            AssetDatabase.SaveAssets();
        }
    }
}
