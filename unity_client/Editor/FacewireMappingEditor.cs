using System.Collections.Generic;
using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>Maps by the names of a renderer that is dropped here, and says which rows name channels that do not exist.</summary>
    [CustomEditor(typeof(FacewireMapping))]
    sealed class FacewireMappingEditor : UnityEditor.Editor
    {
        readonly AutoMapView _view = new AutoMapView();
        SkinnedMeshRenderer _renderer;

        FacewireMapping Mapping => (FacewireMapping)target;

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            EditorGUILayout.Space();
            var chosen = EditorGUILayout.ObjectField("Shapes of", _renderer, typeof(SkinnedMeshRenderer), true);
            _renderer = chosen as SkinnedMeshRenderer;
            EditorGUI.BeginDisabledGroup(_renderer == null || _renderer.sharedMesh == null);
            if (GUILayout.Button("Map by name (replaces all rows)")) MapByName();
            EditorGUI.EndDisabledGroup();
            DrawWrongRows();
            _view.Draw();
        }

        void MapByName()
        {
            var names = new List<string>();
            for (var i = 0; i < _renderer.sharedMesh.blendShapeCount; i++) names.Add(_renderer.sharedMesh.GetBlendShapeName(i));
            Undo.RecordObject(Mapping, "Facewire mapping");
            _view.Show(Mapping.AutoMap(names));
            EditorUtility.SetDirty(Mapping);
        }

        void DrawWrongRows()
        {
            var wrong = Mapping.Rows.FindAll(row => ArkitBlendshapes.IndexOf(row.Source ?? "") < 0);
            if (wrong.Count > 0)
                EditorGUILayout.HelpBox("No such channel: " + string.Join(", ", wrong.ConvertAll(row => row.Source)), MessageType.Warning);
        }
    }
}
