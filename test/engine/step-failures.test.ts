import { describe, expect, it } from 'vitest'
import { fileWorld } from '#test/support/per-file.ts'
import { connect, finished, json, pipeline, upload } from '#test/support/pipeline.ts'

const here = await fileWorld()
const acme = await here.tenant()
const files = await connect(acme, 'files')
await upload(acme, files, 'orders.csv', ['id,amount', '1,10', '2,x', '3,7', '3,y'].join('\n'))

const read = '{ id: read, extract: { connection: files, stream: orders.csv }, into: raw }'
const errorOf = async (step: string) => {
  const run = await finished(
    acme,
    await pipeline(acme, `retry: { attempts: 1 }\nsteps:\n  - ${read}\n  - ${step}`),
  )
  return run.steps.at(-1)?.error
}

describe('a step that fails says what it failed on', () => {
  it.each([
    [
      '{ id: a, from: raw, into: x, transform: [{ cast: { amount: integer } }] }',
      'bad_cast',
      /^2 values of column "amount" cannot be read as integer; try_cast/,
    ],
    [
      '{ id: a, from: raw, into: x, transform: [{ drop: [amuont] }] }',
      'no_column',
      /no column "amuont": did you mean "amount"/,
    ],
    [
      '{ id: a, from: raw, into: x, transform: [{ filter: { column: id, eq: many } }] }',
      'bad_value',
      /"id" is bigint, and "many"|"id" is integer, and "many"/,
    ],
    [
      '{ id: a, from: raw, into: x, transform: [{ cast: { id: date } }] }',
      'no_cast',
      /cannot be cast to date/,
    ],
    [
      '{ id: a, check: raw, rules: [{ rule: unique, column: id }] }',
      'quality',
      /unique on id failed for 1 of 4 values/,
    ],
    [
      '{ id: a, check: raw, rules: [{ rule: between, column: id, min: soon }] }',
      'bad_value',
      /"soon" cannot be read/,
    ],
  ])('%s', async (step, code, message) => {
    expect(await errorOf(step)).toMatchObject({ code, message: expect.stringMatching(message) })
  })
})

describe('a definition is refused when it is saved', () => {
  const refusal = async (steps: string) => {
    const body = `apiVersion: weir/v1\nkind: Pipeline\nname: p\nsteps:\n${steps}`
    const response = await acme.fetch('/v1/pipelines', {
      method: 'POST',
      headers: { 'Content-Type': 'application/yaml' },
      body,
    })
    return (await json<{ fields: unknown[] }>(response, 422)).fields
  }

  it('for a pattern that PostgreSQL cannot read, by its line', async () => {
    const rule = (pattern: string) => `      - { rule: matches, column: c, pattern: '${pattern}' }`
    expect(
      await refusal(
        `  - id: a\n    check: raw\n    rules:\n${['^[A-Z]{3}$', '(unclosed', '\\m[[:alpha:]]+\\M', '*', '(unclosed'].map(rule).join('\n')}`,
      ),
    ).toMatchObject([
      { path: 'steps[0].rules[1].pattern', line: 9, message: expect.stringMatching(/regular expression/) },
      { path: 'steps[0].rules[3].pattern', line: 11 },
      { path: 'steps[0].rules[4].pattern', line: 12 },
    ])
  })

  it.each([
    "select ('app.claim'::text).current_setting",
    "select set_config('app.claim', '', true)",
    'delete from raw',
    'select 1; select 2',
    'select * from public.users',
  ])('for SQL that is more than a SELECT over datasets: %s', async (sql) => {
    expect(await refusal(`  - { id: a, into: x, sql: ${JSON.stringify(sql)} }`)).toMatchObject([
      { path: 'steps[0].sql', line: 5 },
    ])
  })
})
