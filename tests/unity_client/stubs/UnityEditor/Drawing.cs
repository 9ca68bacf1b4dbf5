using System;
using UnityEngine;

namespace UnityEditor
{
    public sealed class EditorGUILayout
    {
        public static void Space()
        {
        }

        public static void LabelField(string label, params GUILayoutOption[] options)
        {
        }

        public static void LabelField(string label, string label2, params GUILayoutOption[] options)
        {
        }

        public static void HelpBox(string message, MessageType type)
        {
        }

        public static Rect BeginHorizontal(params GUILayoutOption[] options) => default;

        public static void EndHorizontal()
        {
        }

        public static bool Foldout(bool foldout, string content, bool toggleOnLabelClick) => foldout;

        public static float FloatField(string label, float value, params GUILayoutOption[] options) => value;

        public static UnityEngine.Object ObjectField(string label, UnityEngine.Object obj, Type objType, bool allowSceneObjects, params GUILayoutOption[] options) => obj;
    }

    public sealed class EditorGUI
    {
        public static void BeginDisabledGroup(bool disabled)
        {
        }

        public static void EndDisabledGroup()
        {
        }

        public static void BeginChangeCheck()
        {
        }

        public static bool EndChangeCheck() => false;
    }

    public class SceneView
    {
        public static void RepaintAll()
        {
        }
    }
}
