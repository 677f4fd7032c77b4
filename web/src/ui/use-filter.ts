import { useLocation } from 'preact-iso'
import { addressOf } from '../address.ts'

export type Filter<N extends string> = Partial<Record<N, string>>

/** What a list is narrowed to stands in the page's address: only what is known and filled in. */
export function useFilter<N extends string>(names: readonly N[]) {
  const { path, query, route } = useLocation()
  const filter: Filter<N> = {}
  for (const name of names) {
    const value = query[name]
    if (value) filter[name] = value
  }
  const choose = (name: N, value: string) => {
    const next = new Map<string, string>(names.flatMap((one) => (filter[one] ? [[one, filter[one]]] : [])))
    if (value === '') next.delete(name)
    else next.set(name, value)
    route(addressOf(path, Object.fromEntries(next)))
  }
  return { filter, choose }
}
