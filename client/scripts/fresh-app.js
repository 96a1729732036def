// Installs the packed package into an empty Vite project and builds the README's example with it,
// as printed. Says where the project is, and leaves it there when asked with --keep.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VERSIONS = {
  '@types/react': '19.3.0',
  '@types/react-dom': '19.3.0',
  react: '19.3.1',
  'react-dom': '19.3.1',
  typescript: '5.9.3',
  vite: '8.3.8',
}
const COMPILER = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  jsx: 'react-jsx',
  module: 'preserve',
  target: 'es2022',
  lib: ['es2022', 'dom'],
  noEmit: true,
}
const PAGE = '<div id="root"></div><script type="module" src="/main.tsx"></script>'

const directory = mkdtempSync(join(tmpdir(), 'pgfeed-fresh-'))
const run = (command, ...words) =>
  execFileSync(command, words, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] })

const [, example] = /```tsx\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? []
if (!example) throw new Error('the README has no example')
execFileSync('npm', ['pack', '--pack-destination', directory], { stdio: 'ignore' })
const tarball = `file:./pgfeed-${JSON.parse(readFileSync('package.json', 'utf8')).version}.tgz`
const files = {
  'package.json': JSON.stringify({
    private: true,
    type: 'module',
    dependencies: { ...VERSIONS, pgfeed: tarball },
  }),
  'tsconfig.json': JSON.stringify({ compilerOptions: COMPILER, include: ['main.tsx'] }),
  'index.html': PAGE,
  'main.tsx': example,
}
for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
run('npm', 'install', '--no-audit', '--no-fund', '--loglevel', 'error')
run('npx', 'tsc')
run('npx', 'vite', 'build')
console.log(
  `The README's example, ${example.trim().split('\n').length} lines, builds in ${directory}`,
)
if (process.argv[2] !== '--keep') rmSync(directory, { recursive: true })
