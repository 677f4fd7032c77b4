import type { Word } from '../resp.ts'
import type { Stream } from './stream.ts'

export type Type = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream' | 'none'

/** What ioredis-mock keeps under a name. It copies every object; a function it keeps as it is, and so streams are held. */
export type Value =
  | string
  | Buffer
  | readonly unknown[]
  | Set<unknown>
  | Map<unknown, unknown>
  | object
  | (() => Stream)

/** The parts of ioredis-mock that its types do not show. */
export type Insides = {
  data: {
    get(key: string): Value
    has(key: string): boolean
    set(key: string, value: Value): void
    delete(key: string): void
    keys(): string[]
    clear(): void
  }
  expires: {
    get(key: string): number
    has(key: string): boolean
    set(key: string, atMs: number): void
    delete(key: string): void
    clear(): void
  }
}

/** What the mock holds, and until when. */
export class Store {
  readonly #data: Insides['data']
  readonly #expires: Insides['expires']
  /** Names that end some day: those which nobody asks for again must go too. */
  readonly #mortal = new Set<string>()

  constructor({ data, expires }: Insides) {
    this.#data = data
    this.#expires = expires
  }

  get(key: string): Value | undefined {
    return this.#data.has(key) ? this.#data.get(key) : undefined
  }

  has(key: string): boolean {
    return this.#data.has(key)
  }

  /** Replaces a value; how long it lives stays. */
  set(key: string, value: Value): void {
    this.#data.set(key, value)
  }

  delete(key: string): boolean {
    const had = this.#data.has(key)
    this.#data.delete(key)
    return had
  }

  keys(): string[] {
    return this.#data.keys()
  }

  clear(): void {
    this.#data.clear()
    this.#expires.clear()
    this.#mortal.clear()
  }

  /** When it ends; undefined when never. */
  endOf(key: string): number | undefined {
    return this.#data.has(key) && this.#expires.has(key) ? this.#expires.get(key) : undefined
  }

  endAt(key: string, atMs: number): void {
    if (atMs <= Date.now()) return void this.delete(key)
    this.#expires.set(key, atMs)
    this.#mortal.add(key)
  }

  keepForever(key: string): void {
    this.#expires.delete(key)
    this.#mortal.delete(key)
  }

  /** Lets go of what is over. */
  sweep(): void {
    for (const key of this.#mortal)
      if (!this.#data.has(key) || !this.#expires.has(key)) this.#mortal.delete(key)
  }

  typeOf(key: string): Type {
    const value = this.get(key)
    return value === undefined ? 'none' : typeOf(value)
  }

  /** Redis keeps no empty lists, sets and hashes. */
  dropIfEmpty(key: string): void {
    const value = this.get(key)
    if (value === undefined || typeof value === 'string' || Buffer.isBuffer(value)) return
    if (sizeOf(value) === 0) this.delete(key)
  }

  /** The text under a name. */
  text(key: string): string | Buffer | undefined {
    const value = this.get(key)
    if (value === undefined || typeof value === 'string' || Buffer.isBuffer(value)) return value
    throw new Error(wrongType)
  }

  stream(key: string): Stream | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (typeof value !== 'function') throw new Error(wrongType)
    return value()
  }
}

export const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value'

function typeOf(value: Value): Type {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return 'string'
  if (typeof value === 'function') return 'stream'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Set) return 'set'
  return value instanceof Map ? 'zset' : 'hash'
}

function sizeOf(value: Value): number {
  if (typeof value === 'function') return 1
  if (Array.isArray(value)) return value.length
  return value instanceof Set || value instanceof Map ? value.size : Object.keys(value).length
}

/** A command of the mock: its words without the first, its answer as ioredis-mock gives answers. */
export type Run = (store: Store, args: readonly Word[]) => unknown
