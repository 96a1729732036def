// Starts the whole academy in one command: `npm start`. Ctrl-C ends it.
import { runnerImport } from 'vite'

const { module } = await runnerImport('./server/start.ts')
await module.start()
