// The core, bundled and minified as an application would: what a page without React pays.
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const LIMIT_BYTES = 6 * 1000

const bundle = await rolldown({ input: 'src/index.ts', platform: 'browser' })
const { output } = await bundle.generate({ format: 'es', minify: true, comments: false })
// What is loaded only where WebSockets are broken does not weigh on the others.
const chunks = output.map((chunk) => ({
  name: chunk.isEntry ? 'core' : chunk.name,
  bytes: gzipSync(chunk.code ?? '', { level: 9 }).length,
  imports: chunk.imports ?? [],
}))
for (const { name, bytes } of chunks) console.log(`${name}: ${bytes} bytes gzip`)
const entry = chunks.find(({ name }) => name === 'core')
// A core that imports a further chunk would not be measured whole.
const core = entry?.imports.length === 0 ? entry.bytes : Infinity
if (core > LIMIT_BYTES) {
  console.error(`core is over its budget of ${LIMIT_BYTES}`)
  process.exitCode = 1
}
