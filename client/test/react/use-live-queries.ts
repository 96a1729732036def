import { useQueryClient } from '@tanstack/react-query'
import { useTableChanges } from '../../src/react/index.js'

export function useLiveQueries(tables: string[]): void {
  const queries = useQueryClient()
  useTableChanges(tables, (event, index) => {
    // Once for a transaction, however many rows it changed.
    if (index === 0) void queries.invalidateQueries({ queryKey: [event.table] })
  })
}
