using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>Settings, what does not work, and what of the stream the head shows.</summary>
    [CustomEditor(typeof(FacewireFlame))]
    sealed class FacewireFlameEditor : UnityEditor.Editor
    {
        FacewireFlame Flame => (FacewireFlame)target;

        public override bool RequiresConstantRepaint() => Flame.Receiver != null && Flame.Receiver.IsRunning;

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            EditorGUILayout.Space();
            foreach (var problem in Flame.Problems) EditorGUILayout.HelpBox(problem, MessageType.Warning);
            EditorGUILayout.LabelField("Shown", Flame.Status);
        }
    }
}
