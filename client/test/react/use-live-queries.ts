import { useQueryClient } from '@tanstack/react-query'
import type { TableName } from '../../src/index.js'
import { useTableChanges } from '../../src/react/index.js'

export function useLiveQueries(tables: TableName[]): void {
  const queries = useQueryClient()
  useTableChanges(tables, (event, index) => {
    // Once for all that came together, however many rows that changed.
    if (index === 0) void queries.invalidateQueries({ queryKey: [event.table] })
  })
}
