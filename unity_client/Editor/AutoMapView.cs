using System.Collections.Generic;
using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>What mapping by name found and what it did not, as inspectors show it.</summary>
    sealed class AutoMapView
    {
        AutoMapResult _result;

        public void Show(AutoMapResult result) => _result = result;

        public void Check(FacewireFace face) => _result = AutoMapper.Map(ShapeNames(face));

        public void Draw()
        {
            if (_result == null) return;
            EditorGUILayout.LabelField($"{_result.Rows.Count} rows by name");
            DrawList("Channels that move nothing here", _result.UnmatchedChannels);
            DrawList("Shapes that nothing moves", _result.UnmatchedShapes);
        }

        public static List<string> ShapeNames(FacewireFace face)
        {
            var names = new List<string>();
            var renderers = face.Renderers.Count > 0 ? face.Renderers.ToArray() : face.GetComponentsInChildren<SkinnedMeshRenderer>(true);
            foreach (var renderer in renderers)
            {
                var mesh = renderer == null ? null : renderer.sharedMesh;
                for (var i = 0; mesh != null && i < mesh.blendShapeCount; i++)
                    if (!names.Contains(mesh.GetBlendShapeName(i))) names.Add(mesh.GetBlendShapeName(i));
            }
            return names;
        }

        static void DrawList(string title, List<string> names)
        {
            if (names.Count > 0) EditorGUILayout.HelpBox($"{title} ({names.Count}):\n{string.Join(", ", names)}", MessageType.Info);
        }
    }
}
