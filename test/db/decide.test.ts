import pg from 'pg'
import { expect, inject, it } from 'vitest'
import { decide, whens, type Needs } from '#src/domain/run-state.ts'

const upTo = (n: number) => Array.from({ length: n + 1 }, (_, i) => i)

it('app.decide and the domain decide alike, for every rule and all needs of up to four steps', async () => {
  const cases: ({ when: (typeof whens)[number] } & Needs)[] = whens.flatMap((when) =>
    upTo(4).flatMap((total) =>
      upTo(total).flatMap((succeeded) =>
        upTo(total - succeeded).flatMap((failed) =>
          upTo(total - succeeded - failed).map((skipped) => ({ when, total, succeeded, failed, skipped })),
        ),
      ),
    ),
  )
  const client = new pg.Client({ connectionString: inject('ownerUrl') })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select app.decide(c."when", c.total, c.succeeded, c.failed, c.skipped) as decided
       from jsonb_to_recordset($1::jsonb) as c("when" text, total int, succeeded int, failed int, skipped int)`,
      [JSON.stringify(cases)],
    )
    expect(cases.length).toBe(560)
    expect(rows.map((row: { decided: string }) => row.decided)).toEqual(
      cases.map(({ when, ...needs }) => decide(when, needs)),
    )
  } finally {
    await client.end()
  }
})
