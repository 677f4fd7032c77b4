import { describe, expect, it } from 'vitest'
import { apiKeyPattern, checksum, isApiKey, newApiKey } from '#src/domain/api-key.ts'

describe('api keys', () => {
  it('computes the checksum of the published vector', () => {
    expect(checksum('dk_live_0000000000ABCDEFGHIJabcdefghij')).toBe('0kQGAk')
    expect(checksum('qkJaB6MffYVzZXWqmcoF49yrUxP3wf')).toBe('0LsakP')
  })

  it('makes keys that a secret scanner finds and that pass their own checksum', () => {
    const keys = Array.from({ length: 200 }, newApiKey)
    expect(new Set(keys).size).toBe(200)
    for (const key of keys) {
      expect(key).toMatch(apiKeyPattern)
      expect(isApiKey(key)).toBe(true)
    }
  })

  it('uses every base62 character about equally often', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 2_000; i++) {
      for (const char of newApiKey().slice(10, 40)) counts.set(char, (counts.get(char) ?? 0) + 1)
    }
    const expected = (2_000 * 30) / 62
    expect(counts.size).toBe(62)
    for (const times of counts.values()) expect(Math.abs(times - expected) / expected).toBeLessThan(0.25)
  })

  it('refuses a key with one character changed anywhere', () => {
    const key = newApiKey()
    for (let i = 10; i < key.length; i++) {
      const other = key[i] === 'x' ? 'y' : 'x'
      expect(isApiKey(key.slice(0, i) + other + key.slice(i + 1))).toBe(false)
    }
  })

  it.each(['', 'weir_live_', 'weir_test_' + 'a'.repeat(36), newApiKey() + '0', ` ${newApiKey()}`])(
    'refuses %j',
    (text) => {
      expect(isApiKey(text)).toBe(false)
    },
  )
})
