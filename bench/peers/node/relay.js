// Node `ws` and `pg`: LISTEN, and every payload to everybody who asked for its table.
// Written as the two libraries' guides show it. Ends with its standard input.

import { createServer } from 'node:http';
import pg from 'pg';
import { WebSocketServer } from 'ws';

const channel = 'relay_node';

const server = createServer();
const sockets = new WebSocketServer({ server });
const byTable = new Map();

sockets.on('connection', (socket, request) => {
  const table = new URL(request.url, 'http://localhost').searchParams.get('table');
  if (!byTable.has(table)) byTable.set(table, new Set());
  const members = byTable.get(table);
  members.add(socket);
  socket.on('close', () => members.delete(socket));
  socket.on('error', () => socket.terminate());
});

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
client.on('notification', ({ payload }) => {
  const { table } = JSON.parse(payload);
  for (const socket of byTable.get(table) ?? []) socket.send(payload);
});
await client.query(`listen ${channel}`);

const host = process.env.LISTEN_ADDRESS ?? '127.0.0.1';
server.listen({ host, port: 0, backlog: 4096 }, () => {
  console.log(`node is ready on http://${host}:${server.address().port}/`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
