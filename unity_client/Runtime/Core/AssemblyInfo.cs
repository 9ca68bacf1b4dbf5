using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Facewire.Tests")]
[assembly: InternalsVisibleTo("Facewire.Harness")]
