import type { ReactNode } from 'react'

interface Bar {
  readonly id: number
  readonly name: string
  readonly value: number
}

export function BarChart({ bars }: { readonly bars: readonly Bar[] }): ReactNode {
  const most = Math.max(1, ...bars.map(({ value }) => value))
  return (
    <div className="bars" role="list">
      {bars.map(({ id, name, value }) => (
        <div key={id} role="listitem" aria-label={`${name}: ${String(value)}`}>
          <span>{name}</span>
          <i style={{ width: `${String((value / most) * 100)}%` }} />
          <b>{value}</b>
        </div>
      ))}
    </div>
  )
}

const WIDTH = 300
const HEIGHT = 60

export function LineChart({ values }: { readonly values: readonly number[] }): ReactNode {
  const most = Math.max(1, ...values)
  const points = values.map((value, place) => {
    const x = (place / (values.length - 1)) * WIDTH
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4)
    return `${x.toFixed(1)},${y.toFixed(1)}`
  })
  const sum = values.reduce((total, value) => total + value, 0)
  return (
    <svg
      viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
      role="img"
      aria-label={`${String(sum)} changes in the last minute`}
    >
      <polyline points={points.join(' ')} />
    </svg>
  )
}
