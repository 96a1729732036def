// Takes the pictures of the documentation: `npm run pictures`.
import { runnerImport } from 'vite'

const { module } = await runnerImport('./test/pictures.ts')
await module.take('../../docs')
