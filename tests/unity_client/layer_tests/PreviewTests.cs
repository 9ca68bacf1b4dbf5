using System;
using System.Reflection;
using NUnit.Framework;
using UnityEditor;
using UnityEngine;

namespace Facewire.LayerTests
{
    /// <summary>The editor's preview, which has no play mode that would end what it began.</summary>
    public sealed class PreviewTests
    {
        static readonly Type Preview = Assembly.Load("Facewire.Editor").GetType("Facewire.Editor.FacewirePreview");

        FacewireReceiver _receiver;

        [SetUp]
        public void SetUp()
        {
            Debug.Lines.Clear();
            _receiver = new GameObject("receiver").AddComponent<FacewireReceiver>();
            _receiver.Address = "127.0.0.1:9";
            Call("Begin", _receiver);
            Assert.That(_receiver.IsRunning, Is.True);
        }

        [TearDown]
        public void TearDown() => Call("End");

        [Test]
        public void ItEndsWithoutAConnectionLeft()
        {
            EditorApplication.update();
            Assert.That(Call("IsOn", _receiver), Is.True);
            Call("End");
            Assert.That(_receiver.State, Is.EqualTo(ClientState.Stopped));
            Assert.That(Call("IsOn", _receiver), Is.False);
            Assert.That(EditorApplication.update, Is.Null);
        }

        [Test]
        public void AReceiverThatIsDeletedMeanwhileLeavesNoConnectionEither()
        {
            UnityEngine.Object.DestroyImmediate(_receiver);
            EditorApplication.update();
            Assert.That(_receiver.State, Is.EqualTo(ClientState.Stopped));
            Assert.That(EditorApplication.update, Is.Null);
        }

        static object Call(string method, params object[] arguments) =>
            Preview.GetMethod(method, BindingFlags.Public | BindingFlags.Static).Invoke(null, arguments);
    }
}
