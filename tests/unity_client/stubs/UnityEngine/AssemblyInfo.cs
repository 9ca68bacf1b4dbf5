using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Facewire.LayerTests")]
