import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { readAll } from './read-all.ts'

const flights = new URL('../../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url)
const name = 'data.parquet'

it('three million flights are gone on with from any state, with exactly those that were left', async () => {
  const bytes = new Uint8Array(await readFile(flights))
  const columns = ['delay', 'origin']
  const whole = await readAll(bytes, { name, columns })
  for (const i of [5, 6, 64]) {
    const state = whole.states[i]
    const rest = await readAll(bytes, { name, columns, ...(state && { state }) })
    expect(rest.rows).toHaveLength(3_000_000 - (whole.rowsBefore[i] ?? 0))
    expect(rest.rows.slice(0, 1000)).toEqual(
      whole.rows.slice(whole.rowsBefore[i], (whole.rowsBefore[i] ?? 0) + 1000),
    )
    expect(rest.rows.at(-1)).toEqual(whole.rows.at(-1))
  }
})
