import { defineConfig } from 'vitest/config'

// Its own: the pages' Vite configuration would start an API here.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // Tokens end all the time while the tests run.
    env: { ACADEMY_TOKEN_S: '8' },
  },
})
