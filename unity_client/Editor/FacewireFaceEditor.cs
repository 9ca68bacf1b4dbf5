using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>Settings, what does not work, and which shapes and channels found no partner.</summary>
    [CustomEditor(typeof(FacewireFace))]
    sealed class FacewireFaceEditor : UnityEditor.Editor
    {
        readonly AutoMapView _view = new AutoMapView();

        FacewireFace Face => (FacewireFace)target;

        public override void OnInspectorGUI()
        {
            EditorGUI.BeginChangeCheck();
            DrawDefaultInspector();
            if (EditorGUI.EndChangeCheck() && Application.isPlaying) Face.Bind();
            EditorGUILayout.Space();
            foreach (var problem in Face.Problems) EditorGUILayout.HelpBox(problem, MessageType.Warning);
            if (GUILayout.Button("Check the mapping")) _view.Check(Face);
            if (GUILayout.Button(Face.Mapping == null ? "Make a mapping asset by name" : "Map again by name")) MapByName();
            if (Application.isPlaying && GUILayout.Button("Recenter: this is straight ahead")) Face.Recenter();
            _view.Draw();
        }

        void MapByName()
        {
            var mapping = Face.Mapping;
            if (mapping == null)
            {
                var path = EditorUtility.SaveFilePanelInProject("Facewire mapping", Face.name + " mapping", "asset", "Where to keep the mapping");
                if (path.Length == 0) return;
                mapping = CreateInstance<FacewireMapping>();
                AssetDatabase.CreateAsset(mapping, path);
                Undo.RecordObject(Face, "Facewire mapping");
                Face.Mapping = mapping;
                EditorUtility.SetDirty(Face);
            }
            Undo.RecordObject(mapping, "Facewire mapping");
            _view.Show(mapping.AutoMap(AutoMapView.ShapeNames(Face)));
            EditorUtility.SetDirty(mapping);
        }
    }
}
