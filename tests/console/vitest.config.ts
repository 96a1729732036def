import { defineConfig } from 'vitest/config'

// Tests before a real gateway wait for real processes.
export default defineConfig({
  test: {
    include: ['*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two windows and two databases at a time are enough for a small machine.
    maxWorkers: 2,
  },
})
