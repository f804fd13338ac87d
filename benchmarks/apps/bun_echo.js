// Bun, with its echo: bun bun_echo.js PORT
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(Bun.argv[2]),
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("This is a WebSocket.\n", { status: 426 });
  },
  websocket: {
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    perMessageDeflate: true,
    message(ws, message) {
      ws.send(message, true);
    },
  },
});
