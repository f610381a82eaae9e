// The peer from npm: a plain broadcast server on the `ws` package, as its own examples write one.
const { WebSocketServer, WebSocket } = require('ws')

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const client of server.clients) {
      if (client !== socket && client.readyState === WebSocket.OPEN) client.send(data, { binary: false })
    }
  })
})
