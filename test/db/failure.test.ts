import { expect, it } from 'vitest'
import { isUnavailable, sqlStateOf } from '#src/db/failure.ts'

const refused = Object.assign(new Error('refused'), { code: '57P01' })

it('a database that cannot be asked is told from a mistake of ours, which asking again does not mend', () => {
  expect(isUnavailable(new TypeError('fetch failed'))).toBe(true)
  expect(isUnavailable(refused)).toBe(true)
  expect(isUnavailable(new Error('through a wrapper', { cause: refused }))).toBe(true)
  expect(isUnavailable(new TypeError("Cannot read properties of undefined (reading 'id')"))).toBe(false)
  expect(isUnavailable(Object.assign(new Error('twice'), { code: '23505' }))).toBe(false)
  expect(isUnavailable('no error at all')).toBe(false)
  expect(sqlStateOf(new Error('a code of another kind', { cause: { code: 'ENOENT' } }))).toBeUndefined()
})
