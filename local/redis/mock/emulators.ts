import { randomUUID } from 'node:crypto'

import type { Word } from '../resp.ts'
import { Store, type Insides, type Run } from './store.ts'

/**
 * ioredis-mock's commands as plain functions, with the store they work on. Its public face wraps each in a promise,
 * which a script cannot wait for; its pipelines are handed the functions themselves.
 */
export async function openEmulators(): Promise<{
  store: Store
  emulators: Map<string, Run>
  client: { disconnect(): void }
}> {
  const { default: RedisMock } = await import('ioredis-mock')
  // A host that nothing else has, or two of them would share what they hold.
  const client = new RedisMock({ host: randomUUID() })
  const { Pipeline } = RedisMock as unknown as { Pipeline: new (client: unknown) => object }
  const emulators = new Map<string, Run>()
  class Collector extends Pipeline {
    protected _createCommand(name: string, emulator: (...args: readonly Word[]) => unknown): void {
      if (!name.endsWith('Buffer')) emulators.set(name, (_, args) => emulator.apply(client, [...args]))
    }
  }
  void new Collector(client)
  return { store: new Store(client as unknown as Insides), emulators, client }
}
