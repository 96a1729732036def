import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Tests against a real gateway wait for real processes.
const PATIENCE_MS = 60_000

const patient = {
  testTimeout: PATIENCE_MS,
  hookTimeout: PATIENCE_MS,
  maxWorkers: 2,
  // Projects of other means run before or after.
  sequence: { groupOrder: 1 },
}
const globalSetup = ['test/support/global.ts']

/** The hooks are one source for two versions of React. */
function react(major: '18' | '19') {
  const older = (name: string): string =>
    fileURLToPath(new URL(`test/react-18/node_modules/${name}`, import.meta.url))
  const alias = major === '18' ? { react: older('react'), 'react-dom': older('react-dom') } : {}
  return {
    resolve: { alias },
    test: {
      name: `react ${major}`,
      include: ['test/react/**/*.test.tsx'],
      provide: { reactMajor: major },
      // So that it gets the React of this run.
      server: { deps: { inline: ['@tanstack/react-query'] } },
      globalSetup,
      ...patient,
    },
  }
}

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.{ts,tsx}'] } },
      {
        test: {
          name: 'gateway',
          include: ['test/gateway/**/*.test.{ts,tsx}'],
          globalSetup,
          ...patient,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup,
          ...patient,
          testTimeout: 2 * PATIENCE_MS,
        },
      },
      react('18'),
      react('19'),
      {
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: 'test/types/tsconfig.json',
          },
        },
      },
    ],
  },
})
