// The browser's websocket for WebGlTransport.cs. Messages wait here until the player loop takes them; the queue is bounded, and where
// the player loop does not come (a hidden tab), the oldest message is dropped.
var FacewireSocketLibrary = {
  $facewire: {
    MAX_WAITING: 64,
    CONNECTING: 0,
    OPEN: 1,
    CLOSED: 2,
    last: 0,
    sockets: {},
  },

  FacewireSocketOpen: function (address, protocol, maxBytes) {
    var id = ++facewire.last;
    var entry = { state: facewire.CONNECTING, wasOpen: 0, code: 1006, waiting: [], socket: null };
    facewire.sockets[id] = entry;
    try {
      entry.socket = new WebSocket(UTF8ToString(address), UTF8ToString(protocol));
    } catch (error) {
      // A malformed address, or ws:// from an https page.
      entry.state = facewire.CLOSED;
      return id;
    }
    entry.socket.binaryType = 'arraybuffer';
    entry.socket.onopen = function () {
      entry.state = facewire.OPEN;
      entry.wasOpen = 1;
    };
    entry.socket.onmessage = function (event) {
      if (typeof event.data === 'string' || event.data.byteLength === 0) return;
      if (event.data.byteLength > maxBytes) {
        entry.code = 1009;
        entry.socket.onclose = null;
        entry.state = facewire.CLOSED;
        // A page may not send 1009 itself; 4009 is in the range left to it.
        entry.socket.close(4009, 'message too big');
        return;
      }
      if (entry.waiting.length === facewire.MAX_WAITING) entry.waiting.shift();
      entry.waiting.push(new Uint8Array(event.data));
    };
    entry.socket.onclose = function (event) {
      entry.state = facewire.CLOSED;
      entry.code = event.code;
    };
    return id;
  },

  FacewireSocketState: function (id) {
    var entry = facewire.sockets[id];
    return entry ? entry.state : facewire.CLOSED;
  },

  FacewireSocketWasOpen: function (id) {
    var entry = facewire.sockets[id];
    return entry ? entry.wasOpen : 0;
  },

  FacewireSocketSend: function (id, bytes, count) {
    var entry = facewire.sockets[id];
    if (!entry || entry.state !== facewire.OPEN) return 0;
    // A copy: the heap moves on, the socket sends later.
    entry.socket.send(HEAPU8.slice(bytes, bytes + count));
    return 1;
  },

  FacewireSocketNextSize: function (id) {
    var entry = facewire.sockets[id];
    return entry && entry.waiting.length ? entry.waiting[0].length : 0;
  },

  FacewireSocketTake: function (id, into) {
    var entry = facewire.sockets[id];
    if (entry && entry.waiting.length) HEAPU8.set(entry.waiting.shift(), into);
  },

  FacewireSocketCloseCode: function (id) {
    var entry = facewire.sockets[id];
    return entry ? entry.code : 1006;
  },

  FacewireSocketClose: function (id) {
    var entry = facewire.sockets[id];
    if (!entry) return;
    delete facewire.sockets[id];
    if (!entry.socket) return;
    entry.socket.onopen = entry.socket.onmessage = entry.socket.onclose = null;
    entry.socket.close(1000);
  },
};

autoAddDeps(FacewireSocketLibrary, '$facewire');
mergeInto(LibraryManager.library, FacewireSocketLibrary);
