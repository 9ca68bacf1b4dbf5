// Runs FacewireSocket.jslib as Emscripten would link it, with a stand-in for the browser's WebSocket.
'use strict';
const assert = require('assert');
const fs = require('fs');
const vm = require('vm');

class FakeWebSocket {
  constructor(address, protocol) {
    if (address.startsWith('bad')) throw new SyntaxError('bad address');
    Object.assign(this, { address, protocol, sent: [], closed: null });
    FakeWebSocket.last = this;
  }
  send(bytes) { this.sent.push(Array.from(bytes)); }
  close(code) { this.closed = code; }
  says(...bytes) { this.onmessage({ data: Uint8Array.from(bytes).buffer }); }
}

function link(path) {
  const heap = new Uint8Array(4096);
  const texts = {};
  const context = vm.createContext({
    WebSocket: FakeWebSocket,
    HEAPU8: heap,
    Uint8Array,
    LibraryManager: { library: {} },
    UTF8ToString: (pointer) => texts[pointer],
    autoAddDeps: (library, name) => { context.facewire = library[name]; },
    mergeInto: (target, library) => Object.assign(target, library),
  });
  vm.runInContext(fs.readFileSync(path, 'utf8'), context);
  return { js: context.LibraryManager.library, heap, texts };
}

const tests = {
  'connects with the address and the subprotocol'({ js }, open) {
    const id = open('ws://host');
    assert.deepStrictEqual([FakeWebSocket.last.address, FakeWebSocket.last.protocol], ['ws://host', 'facewire.v1']);
    assert.strictEqual(js.FacewireSocketState(id), 0);
    FakeWebSocket.last.onopen();
    assert.deepStrictEqual([js.FacewireSocketState(id), js.FacewireSocketWasOpen(id)], [1, 1]);
  },
  'hands over messages in their order'({ js, heap }, open) {
    const id = open('ws://host');
    FakeWebSocket.last.onopen();
    FakeWebSocket.last.says(1, 2, 3);
    FakeWebSocket.last.says(4);
    assert.strictEqual(js.FacewireSocketNextSize(id), 3);
    js.FacewireSocketTake(id, 100);
    assert.deepStrictEqual(Array.from(heap.slice(100, 103)), [1, 2, 3]);
    assert.strictEqual(js.FacewireSocketNextSize(id), 1);
  },
  'keeps the newest where nobody takes them'({ js, heap }, open) {
    const id = open('ws://host');
    for (let i = 0; i < 100; i++) FakeWebSocket.last.says(i);
    js.FacewireSocketTake(id, 0);
    assert.strictEqual(heap[0], 36);
  },
  'sends a copy of the heap'({ js, heap }, open) {
    const id = open('ws://host');
    assert.strictEqual(js.FacewireSocketSend(id, 0, 2), 0, 'not open yet');
    FakeWebSocket.last.onopen();
    heap.set([7, 8], 10);
    assert.strictEqual(js.FacewireSocketSend(id, 10, 2), 1);
    heap.fill(0);
    assert.deepStrictEqual(FakeWebSocket.last.sent, [[7, 8]]);
  },
  'refuses an oversized message'({ js }, open) {
    const id = open('ws://host');
    FakeWebSocket.last.onopen();
    FakeWebSocket.last.onmessage({ data: new ArrayBuffer(2000) });
    assert.deepStrictEqual([js.FacewireSocketState(id), js.FacewireSocketCloseCode(id)], [2, 1009]);
    assert.strictEqual(FakeWebSocket.last.closed, 4009);
  },
  'tells how it was closed, and that a bad address never opened'({ js }, open) {
    const id = open('ws://host');
    FakeWebSocket.last.onclose({ code: 1001 });
    assert.deepStrictEqual([js.FacewireSocketState(id), js.FacewireSocketCloseCode(id)], [2, 1001]);
    const bad = open('bad');
    assert.deepStrictEqual([js.FacewireSocketState(bad), js.FacewireSocketWasOpen(bad)], [2, 0]);
  },
  'closing forgets the socket and is safe twice'({ js }, open) {
    const id = open('ws://host');
    const socket = FakeWebSocket.last;
    js.FacewireSocketClose(id);
    js.FacewireSocketClose(id);
    assert.deepStrictEqual([socket.closed, socket.onmessage, js.FacewireSocketState(id)], [1000, null, 2]);
    assert.strictEqual(js.FacewireSocketNextSize(id), 0);
  },
};

let passed = 0;
for (const [name, test] of Object.entries(tests)) {
  const linked = link(process.argv[2]);
  linked.texts[2] = 'facewire.v1';
  test(linked, (address) => {
    linked.texts[1] = address;
    return linked.js.FacewireSocketOpen(1, 2, 1000);
  });
  passed += 1;
  console.log(`passed ${name}`);
}
console.log(`${passed} passed`);
