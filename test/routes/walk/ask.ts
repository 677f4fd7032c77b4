import type { Init } from '#test/support/tenant.ts'
import { namesIn, type Walked } from './route.ts'
import type { Things } from './things.ts'

/** Puts a tenant's things into what the table says; `of` may put others in their place. */
export function asker(things: Things) {
  const same = (id: string) => id

  const fill = (text: string, of: (id: string) => string): string =>
    text.replaceAll(/(?<!\w):([a-zA-Z]+)\b/g, (whole, kind: string) => {
      const id = things[kind]
      return id === undefined ? whole : of(id)
    })

  return {
    pathOf: (entry: Walked, of = same): string => {
      const names = namesIn(entry)
      const path = entry.path.replaceAll(/:(\w+)/g, (whole, parameter: string) => {
        const value = fill(names.find((one) => one.parameter === parameter)?.value ?? '', of)
        if (value === '' || value.startsWith(':'))
          throw new Error(`${entry.method} ${entry.path}: nothing stands for ${whole}`)
        return encodeURIComponent(value)
      })
      return path + fill(entry.query, of)
    },
    initOf: ({ method, headers, body }: Walked, of = same): Init => {
      if (body === undefined) return { method, headers: { ...headers } }
      if (typeof body === 'string') return { method, headers: { ...headers }, body }
      const filled = JSON.parse(JSON.stringify(body), (_, value: unknown) =>
        typeof value === 'string' ? fill(value, of) : value,
      ) as unknown
      return {
        method,
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(filled),
      }
    },
  }
}
