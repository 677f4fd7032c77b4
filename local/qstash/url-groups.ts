import type { Clock } from './clock.ts'
import { badRequest, notFound } from './failure.ts'
import type { Journal } from './journal.ts'

export type Endpoint = { name?: string; url: string }
type Group = { createdAt: number; updatedAt: number; endpoints: Endpoint[] }

/** Named lists of URLs; what is published to a group goes to each of them. */
export class UrlGroups {
  readonly #groups = new Map<string, Group>()
  readonly #clock: Clock
  readonly #journal: Journal

  constructor(clock: Clock, journal: Journal) {
    this.#clock = clock
    this.#journal = journal
    for (const [name, group] of journal.read<Group>('group')) this.#groups.set(name, group)
    journal.keep('group', () => this.#groups)
  }

  find(name: string): readonly Endpoint[] | undefined {
    return this.#groups.get(name)?.endpoints
  }

  view(name: string): Record<string, unknown> {
    const group = this.#groups.get(name)
    if (!group) throw notFound(`topic ${name} not found`)
    return { name, ...group }
  }

  views(): Record<string, unknown>[] {
    return [...this.#groups.keys()].map((name) => this.view(name))
  }

  add(name: string, endpoints: readonly Endpoint[]): void {
    if (endpoints.length === 0) throw badRequest('at least one endpoint must be given')
    const now = this.#clock.now()
    const group = this.#groups.get(name) ?? { createdAt: now, updatedAt: now, endpoints: [] }
    for (const endpoint of endpoints) {
      const isSame = (each: Endpoint): boolean =>
        each.url === endpoint.url || (endpoint.name !== undefined && each.name === endpoint.name)
      const at = group.endpoints.findIndex(isSame)
      if (at === -1) group.endpoints.push(endpoint)
      else group.endpoints[at] = endpoint
    }
    this.#save(name, { ...group, updatedAt: now })
  }

  /** Takes endpoints out by name or by URL; a group without endpoints is no more. */
  removeEndpoints(name: string, endpoints: readonly { name?: string; url?: string }[]): void {
    const group = this.#groups.get(name)
    if (!group) throw notFound(`topic ${name} not found`)
    const isGone = (each: Endpoint): boolean =>
      endpoints.some((gone) => gone.url === each.url || (gone.name !== undefined && gone.name === each.name))
    const left = group.endpoints.filter((each) => !isGone(each))
    if (left.length === 0) this.remove(name)
    else this.#save(name, { ...group, endpoints: left, updatedAt: this.#clock.now() })
  }

  remove(name: string): void {
    if (!this.#groups.delete(name)) throw notFound(`topic ${name} not found`)
    this.#journal.delete('group', name)
  }

  #save(name: string, group: Group): void {
    this.#groups.set(name, group)
    this.#journal.put('group', name, group)
  }
}
