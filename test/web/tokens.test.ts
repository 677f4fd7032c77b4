import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '#local/build.ts'

const css = await readFile(join(root, 'web/src/styles/tokens.css'), 'utf8')
const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(
    ([, name = '', light = '', dark = '']) => [name, { light, dark }],
  ),
)

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** As WCAG counts it. */
function contrast(one: string, other: string, scheme: 'light' | 'dark'): number {
  const [high = 0, low = 0] = [one, other]
    .map((name) => luminance(tokens.get(name)?.[scheme] ?? ''))
    .sort((a, b) => b - a)
  return (high + 0.05) / (low + 0.05)
}

describe.each(['light', 'dark'] as const)('the colours of the %s console', (scheme) => {
  it('are all there', () => {
    expect(tokens.size).toBe(css.match(/light-dark\(/g)?.length)
    expect(contrast('ink', 'ink', scheme)).toBe(1)
  })

  it.each(
    ['ink', 'muted', 'accent', 'good', 'bad', 'warn'].flatMap((text) =>
      ['ground', 'surface', 'chosen'].map((ground) => [text, ground] as const),
    ),
  )('let %s be read on %s', (text, ground) => {
    expect(contrast(text, ground, scheme)).toBeGreaterThanOrEqual(4.5)
  })

  it('let buttons be read, and edges and what has the focus be seen', () => {
    expect(contrast('on-accent', 'accent', scheme)).toBeGreaterThanOrEqual(4.5)
    for (const ground of ['ground', 'surface']) {
      expect(contrast('edge', ground, scheme)).toBeGreaterThanOrEqual(3)
      expect(contrast('accent', ground, scheme)).toBeGreaterThanOrEqual(3)
    }
  })
})
