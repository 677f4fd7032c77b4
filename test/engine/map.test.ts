import { describe, expect, it } from 'vitest'
import { fileWorld } from '#test/support/per-file.ts'
import { finished, json, pipeline } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

const statesOf = ({ steps }: Awaited<ReturnType<typeof finished>>) =>
  Object.fromEntries(steps.filter(({ key }) => key !== undefined).map(({ key, state }) => [key, state]))

/** A child that adds its parameter to what it finds: it shows how often it ran, and with what. */
const child = (dataset: string) => `
parameters: { day: { type: text } }
steps:
  - { id: note, sql: "select \${params.day}::text as day", into: ${dataset}, write: append }`

const rowsOf = async (tenant: Tenant, name: string) => {
  const { items } = await json<{ items: { id: string; name: string }[] }>(
    await tenant.fetch('/v1/datasets'),
    200,
  )
  const id = items.find((each) => each.name === name)?.id
  if (id === undefined) return undefined
  const preview = await json<{ rows: string[][] }>(await tenant.fetch(`/v1/datasets/${id}/preview`), 200)
  return preview.rows.map(([day = '']) => day).toSorted((one, other) => one.localeCompare(other))
}

describe('a map', () => {
  it('runs another pipeline once for each date, and collects what it gave in the dates’ order', async () => {
    await pipeline(acme, child('days'), 'one-day')
    const id = await pipeline(
      acme,
      `
parameters: { to: { type: date, default: "2024-02-03" } }
steps:
  - id: days
    map:
      over: { dates: { from: "2024-01-30", to: "\${params.to}", by: day } }
      as: day
      atOnce: 1
      steps:
        - { id: load, pipeline: { name: one-day, parameters: { day: "\${day}" } } }
  - { id: enough, if: outputs.days.items >= 5, wait: { for: 0s } }
  - { id: too_few, if: outputs.days.items < 5, wait: { for: 0s } }
  - { id: after_it, wait: { for: 0s }, after: [too_few] }`,
    )
    const run = await finished(acme, id)
    expect(statesOf(run)).toMatchObject({
      enough: 'succeeded',
      too_few: 'skipped',
      after_it: 'skipped',
    })
    expect(run.state).toBe('succeeded')
    expect(await rowsOf(acme, 'days')).toEqual([
      '2024-01-30',
      '2024-01-31',
      '2024-02-01',
      '2024-02-02',
      '2024-02-03',
    ])
  })

  it('inside a map goes over the items of each item', async () => {
    await pipeline(globex, child('pairs'), 'one-pair')
    const id = await pipeline(
      globex,
      `
steps:
  - id: outer
    map:
      over: [a, b]
      as: letter
      steps:
        - id: inner
          map:
            over: [1, 2, 3]
            as: number
            steps:
              - { id: load, pipeline: { name: one-pair, parameters: { day: "\${letter}\${number}" } } }`,
    )
    expect((await finished(globex, id)).state).toBe('succeeded')
    expect(await rowsOf(globex, 'pairs')).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
    expect(await rowsOf(acme, 'pairs')).toBeUndefined()
  })

  it('fails when items failed, says how many and why the first did, and has worked on all of them', async () => {
    const id = await pipeline(
      acme,
      `
retry: { attempts: 1 }
steps:
  - id: each
    map:
      over: [1, 2, 3]
      atOnce: 2
      steps:
        - { id: load, if: item != 1, pipeline: { name: not-there, parameters: {} } }`,
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('failed')
    expect(run.steps.find(({ key, state }) => key === 'each' && state === 'failed')?.error?.message).toMatch(
      /^2 of 3 items failed; the first is item 2: .*not-there/,
    )
  })

  it.each([
    ['${params.text}', 'a map goes over a list', 'x'],
    ['${params.text}', 'a map goes over a list', '7'],
  ])('over %s that is no list says so', async (over, words, text) => {
    const id = await pipeline(
      acme,
      `
parameters: { text: { type: text } }
steps:
  - { id: each, map: { over: "${over}", steps: [{ id: wait, wait: { for: 0s } }] } }`,
    )
    const run = await finished(acme, id, { text })
    expect(run.steps[0]?.error).toMatchObject({ code: 'not_a_list' })
    expect(run.steps[0]?.error?.message.toLowerCase()).toContain(words)
  })
})
