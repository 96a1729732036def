import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import type { Plugin, ProxyOptions } from 'vite'
import pg from 'pg'
import { createApi } from './server/api.js'

const gateway = process.env['GATEWAY_URL'] ?? 'http://127.0.0.1:8080'

/** The API within the development server, so that the example is one process and one address. */
function api(): Plugin {
  const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] ?? '' })
  // A database that restarts ends idle connections; the next request makes a new one.
  pool.on('error', () => undefined)
  const handler = createApi(pool, process.env['JWT_SECRET'] ?? '')
  return {
    name: 'academy-api',
    configureServer: (server) => void server.middlewares.use('/api', handler),
    configurePreviewServer: (server) => void server.middlewares.use('/api', handler),
    closeBundle: () => pool.end(),
  }
}

const passed: ProxyOptions = { target: gateway, ws: true }
const proxy = { '/ws/': passed, '/sse/': passed, '/poll/': passed }

export default defineConfig({
  plugins: [react(), api()],
  // The package is linked, and must not bring a React of its own.
  resolve: { dedupe: ['react', 'react-dom'] },
  server: { proxy },
  preview: { proxy },
})
