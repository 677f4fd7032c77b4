import { describe, expect, it } from 'vitest'
import { tell } from '../../web/src/api.ts'
import { takeMailLink } from '../../web/src/mail-link.ts'
import { isOpen } from '../../web/src/session.ts'

const place = (hash: string) => ({ pathname: '/verify', search: '?x=1', hash })

describe('a link in a mail', () => {
  it('is read once, and gone from the address', () => {
    const seen: unknown[][] = []
    const history = { state: null, replaceState: (...given: unknown[]) => void seen.push(given) }
    expect(takeMailLink(place('#token=weir_link_a&for=undo'), history)).toEqual({
      token: 'weir_link_a',
      purpose: 'undo',
    })
    expect(seen).toEqual([[null, '', '/verify?x=1']])
    expect(takeMailLink(place('#token=b'), history)).toEqual({ token: 'b', purpose: '' })
    for (const hash of ['', '#', '#other=1']) expect(takeMailLink(place(hash), history)).toBeUndefined()
    expect(seen).toHaveLength(2)
  })

  it('leads to pages that are open to everybody', () => {
    for (const path of ['/verify', '/link', '/reset']) expect(isOpen(path)).toBe(true)
    expect(isOpen('/runs')).toBe(false)
  })
})

describe('an answer without content', () => {
  it('is good, or the problem that it names', async () => {
    const answer = (status: number, body: unknown) =>
      tell(Promise.resolve({ ok: status < 300, status, json: () => Promise.resolve(body) }))
    expect(await answer(204, undefined)).toEqual({ state: 'ready', value: true })
    expect(await answer(410, { code: 'gone', detail: 'Over.', status: 410 })).toMatchObject({
      state: 'failed',
      problem: { code: 'gone', detail: 'Over.' },
    })
    expect(await tell(Promise.reject(new Error('offline')))).toMatchObject({
      problem: { code: 'unreachable' },
    })
  })
})
