import { describe, expect, it } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { factsOf } from '../../web/src/pages/audit/facts.ts'
import { addressOf } from '../../web/src/address.ts'
import { asked, filterOf } from '../../web/src/pages/audit/filter.ts'
import { AuditModel, type Entry } from '../../web/src/pages/audit/model.ts'
import { groupingOf, monthOf } from '../../web/src/pages/usage/period.ts'
import { UsageModel } from '../../web/src/pages/usage/model.ts'
import { deviceName } from '../../web/src/ui/device.ts'
import { answers, origin, problem } from './answers.ts'

describe('what is looked for in the audit log', () => {
  it('is what is known and filled in', () => {
    const given: Record<string, string> = { search: '  Acme ', actor: '', limit: '5', action: 'run.' }
    expect(filterOf((name) => given[name])).toEqual({ search: 'Acme', action: 'run.' })
  })

  it('ends with the end of its last day, where the browser is', () => {
    expect(asked({ from: '2026-03-28', to: '2026-03-29', action: 'run.' })).toEqual({
      action: 'run.',
      from: new Date(2026, 2, 28).toISOString(),
      to: new Date(2026, 2, 30).toISOString(),
    })
    expect(asked({ from: 'yesterday' })).toEqual({})
  })

  it('is in the address of the page and of the file', () => {
    expect(addressOf('/audit', {})).toBe('/audit')
    expect(addressOf('/audit', { search: 'a&b=c' })).toBe('/audit?search=a%26b%3Dc')
  })

  it('is asked for page by page, and no entry is shown twice', async () => {
    const server = answers(({ search }) =>
      search.includes('cursor')
        ? { body: { items: [{ id: 8 }, { id: 7 }] } }
        : { body: { items: [{ id: 9 }, { id: 8 }], nextCursor: 'c' } },
    )
    const { entries } = new AuditModel(newClient(server.fetch, origin), { action: 'run.' })
    await entries.look()
    await entries.more()
    expect(server.paths()).toEqual(['GET /v1/audit?action=run.', 'GET /v1/audit?action=run.&cursor=c'])
    expect(entries.list.value).toMatchObject({
      value: { items: [{ id: '9' }, { id: '8' }, { id: '7' }] },
    })
  })
})

describe('an entry of the audit log', () => {
  const entry: Entry = {
    id: '1',
    seq: null,
    at: '2026-01-01T00:00:00.000Z',
    actor: 'usr_1',
    actorKind: 'user',
    action: 'member.update',
    targetKind: 'member',
    targetId: 'usr_2',
    targetName: null,
    address: null,
    userAgent: null,
    credential: null,
    requestId: null,
    records: null,
    details: {},
    hash: null,
  }

  it('says what was changed from what to what, and what else there is', () => {
    const changed = {
      role: { from: 'viewer', to: 'admin' },
      name: { to: 'x' },
      team: { from: ['a'] },
      secret: { hidden: true },
    }
    expect(factsOf({ ...entry, details: { changed, by: ['pwd'] } })).toEqual([
      ['role', 'viewer → admin'],
      ['name', 'x'],
      ['team', '["a"] → nothing'],
      ['secret', 'changed, to what is not shown'],
      ['by', '["pwd"]'],
      ['place in the chain', 'not sealed yet'],
    ])
    const more = { records: 3, requestId: 'req_1', userAgent: 'curl/8', seq: 7, hash: 'abc' }
    expect(factsOf({ ...entry, ...more })).toEqual([
      ['records shown', '3'],
      ['device', 'curl/8'],
      ['request', 'req_1'],
      ['place in the chain', '7, abc'],
    ])
  })
})

describe('the usage', () => {
  it.each([
    ['2026-03-15T23:30:00Z', 0, { from: '2026-03-01', to: '2026-03-15' }],
    ['2026-03-15T23:30:00Z', 1, { from: '2026-02-01', to: '2026-02-28' }],
    ['2026-01-31T00:00:00Z', 1, { from: '2025-12-01', to: '2025-12-31' }],
  ])('of the month at %s, %i before, is that of UTC', (now, before, period) => {
    expect(monthOf(new Date(now), before)).toEqual(period)
  })

  it('is by project unless something else is asked for that there is', () => {
    expect([undefined, 'day', 'toString', 'tag'].map(groupingOf)).toEqual([
      'project',
      'day',
      'project',
      'tag',
    ])
  })

  it('is what the server says, or what went wrong', async () => {
    const server = answers(() => problem(403, 'forbidden'))
    const model = new UsageModel(newClient(server.fetch, origin), { from: 'a', to: 'b', by: 'day' })
    await model.load()
    expect(model.usage.value).toMatchObject({ state: 'failed', problem: { status: 403 } })
    await model.table()
    expect(server.asked.map(({ headers }) => headers.get('accept'))).toEqual([null, 'text/csv'])
    expect(server.asked[1]?.search).toBe('?from=a&to=b&by=day')
  })
})

describe('a device', () => {
  const webkit = 'AppleWebKit/605.1.15 (KHTML, like Gecko)'
  it.each([
    [`Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/130.0 Safari/537.36`, 'Chrome on Linux'],
    [`Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/130.0 Safari/537.36 Edg/130.0`, 'Edge on Windows'],
    ['Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0', 'Firefox on Linux'],
    [
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) ${webkit} Version/18.0 Safari/605.1.15`,
      'Safari on macOS',
    ],
    [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${webkit} CriOS/130.0 Mobile Safari/604.1`,
      'Chrome on iPhone',
    ],
    [
      `Mozilla/5.0 (Linux; Android 15) ${webkit} Chrome/130.0 Mobile Safari/537.36 OPR/80`,
      'Opera on Android',
    ],
    ['curl/8.5.0', 'curl/8.5.0'],
    ['x'.repeat(100), `${'x'.repeat(60)}…`],
    [undefined, 'A program'],
  ])('that calls itself %s is %s', (userAgent, name) => {
    expect(deviceName(userAgent)).toBe(name)
  })
})
