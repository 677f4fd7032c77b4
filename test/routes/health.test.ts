import { describe, expect, it } from 'vitest'
import { connectRedis } from '#src/cache/redis.ts'
import { connectDatabase } from '#src/db/database.ts'
import { bodyOf, entrance } from '#test/http/entrance.ts'

describe('health', () => {
  it('is ok when database and cache answer, and asks them once a second at most', async () => {
    const door = await entrance()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => door.send('/v1/health', {}, door.from('10.9.9.9'))),
    )
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(await bodyOf(await door.send('/v1/health'))).toEqual({ status: 'ok' })
  })

  it('is a 503 that names what does not answer', async () => {
    const down = await entrance({
      cache: connectRedis({ url: 'http://127.0.0.1:9', token: 'none-none-none-none' }),
    })
    const answer = await down.send('/v1/health')
    expect(answer.status).toBe(503)
    expect((await bodyOf(answer)).detail).toBe('Does not answer: cache.')
    expect(answer.headers.has('retry-after')).toBe(true)
  })

  it('shows nothing of where the database is', async () => {
    const { services } = await entrance()
    const database = connectDatabase({
      url: 'postgresql://weir_app:hunter2@db.invalid/nowhere',
      claimKey: services.env.CLAIM_KEY,
      now: () => new Date(),
    })
    const down = await entrance({ database })
    const answer = await down.send('/v1/health')
    expect(answer.status).toBe(503)
    const said = JSON.stringify([await answer.json(), down.lines])
    expect(said).toContain('database')
    expect(said).not.toMatch(/hunter2|nowhere|invalid/)
  })
})
