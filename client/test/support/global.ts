import type { TestProject } from 'vitest/node'
import { Cluster } from './cluster.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the cluster that all test files share listens. */
    clusterPort: number
    reactMajor: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await Cluster.start()
  project.provide('clusterPort', cluster.port)
  return () => cluster.drop()
}
