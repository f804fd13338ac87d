// Bun, with an echo, and with rooms at /ws/chat?room=NAME: bun bun_app.js PORT
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(Bun.argv[2]),
  fetch(request, server) {
    const url = new URL(request.url);
    const room = url.pathname === "/ws/chat" ? url.searchParams.get("room") : null;
    if (!server.upgrade(request, { data: { room } })) return new Response("This is a WebSocket.\n", { status: 426 });
  },
  websocket: {
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 2 * 1024 * 1024,
    perMessageDeflate: true,
    open(ws) {
      if (ws.data.room !== null) ws.subscribe(ws.data.room);
    },
    message(ws, message) {
      if (ws.data.room !== null) server.publish(ws.data.room, message, true);
      else ws.send(message, true);
    },
  },
});
