using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public class Application
    {
        public static bool isPlaying => true;
        public static bool isEditor => InEditor;

        internal static bool InEditor = true;
    }

    public class Time
    {
        internal static float Now;

        public static float time => Now;
    }

    public class Debug
    {
        /// <summary>For the tests: what was logged.</summary>
        internal static readonly List<string> Lines = new List<string>();

        public static void Log(object message) => Lines.Add(message.ToString());

        public static void LogWarning(object message, Object context) => Lines.Add(message.ToString());

        public static void LogException(Exception exception, Object context) => Lines.Add(exception.ToString());
    }

    public class GUILayout
    {
        public static bool Button(string text, params GUILayoutOption[] options) => false;
    }

    public class GUILayoutOption
    {
    }
}
