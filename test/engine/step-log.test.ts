import { describe, expect, it } from 'vitest'
import type { RunId } from '#src/domain/id.ts'
import { redactor } from '#src/domain/redact.ts'
import { stepLog } from '#src/engine/step-log.ts'

const runId = 'run_01' as RunId
const now = () => new Date('2026-01-02T03:04:05Z')
const newLog = () => stepLog(now, runId, { key: 'a', mapIndex: 0 })

type Line = { at: string; level: string; message: string }
function taken(log: ReturnType<typeof newLog>): Line[] {
  const [statement] = log.pending().statements
  return statement ? (JSON.parse(String(statement.params[3])) as Line[]) : []
}

describe("a step's log", () => {
  it('is kept until the transaction that takes it along is committed', () => {
    const log = newLog()
    expect(log.pending().statements).toEqual([])
    log.say('info', 'one')
    const first = log.pending()
    log.say('warn', 'two')
    expect(taken(log).map(({ message }) => message)).toEqual(['one', 'two'])
    first.written()
    expect(taken(log)).toEqual([{ at: '2026-01-02T03:04:05.000Z', level: 'warn', message: 'two' }])
  })

  it('is bounded in lines and bytes, with one line too many for the database to see', () => {
    const many = newLog()
    for (let i = 0; i < 5_000; i++) many.say('debug', `${i}`)
    expect(taken(many)).toHaveLength(1_001)
    many.pending().written()
    many.say('debug', 'later')
    expect(taken(many)).toEqual([])
    const large = newLog()
    for (let i = 0; i < 100; i++) large.say('debug', 'x'.repeat(100_000))
    expect(taken(large)).toHaveLength(33)
  })

  it('cuts a message to 8 KB between two characters', () => {
    const log = newLog()
    log.say('info', '€'.repeat(5_000))
    log.say('info', 'x'.repeat(8_192))
    const [cut, whole] = taken(log)
    expect(Buffer.byteLength(cut?.message ?? '')).toBeLessThanOrEqual(8_192)
    expect(cut?.message).toMatch(/^€{2729}…$/)
    expect(whole?.message).toBe('x'.repeat(8_192))
  })

  it('says nothing that the database cannot store', () => {
    const log = newLog()
    log.say('info', 'a\u0000b\ud800c')
    expect(taken(log)[0]?.message).toBe('a\ufffdb\ufffdc')
  })

  it('hides a secret before it cuts the message', () => {
    const log = newLog()
    log.hide({ password: 'hunter2-hunter2' })
    log.say('info', `${'x'.repeat(8_180)}hunter2-hunter2`)
    expect(taken(log)[0]?.message).not.toContain('hunter')
  })
})

describe('a redactor', () => {
  it.each([
    ['as it is', (secret: string) => secret],
    ['in a URL', (secret: string) => `postgres://u:${encodeURIComponent(secret)}@h/d`],
    ['in JSON', (secret: string) => JSON.stringify({ secret })],
    ['in base64', (secret: string) => Buffer.from(secret).toString('base64')],
    ['twice', (secret: string) => `${secret} ${secret}`],
  ])('hides a value %s', (_, shown) => {
    for (const secret of [
      's3cr3t/"with" spaces&more',
      'pässwörd\\€',
      '-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n',
    ]) {
      const { add, redact } = redactor()
      add({ deep: [{ value: secret }] })
      const text = redact(`before ${shown(secret)} after`)
      expect(text).toMatch(/^before .*•••.* after$/s)
      for (const form of [secret, shown(secret), secret.split('\n')[1] ?? secret])
        expect(text).not.toContain(form)
    }
  })

  it('hides the longer of two values of which one holds the other, numbers, and one line of several', () => {
    const { add, redact } = redactor()
    add({ user: 'weir', password: 'weir-weir-weir', pin: 98_765_432, empty: '', flag: true, none: null })
    expect(redact('weir-weir-weir for weir, pin 98765432, true')).toBe('••• for •••, pin •••, true')
    add('-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----')
    expect(redact('cannot read line "MIIEvQIBADAN"')).toBe('cannot read line "•••"')
  })
})
