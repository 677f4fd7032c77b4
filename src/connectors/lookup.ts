import { lookup, resolve4, resolve6 } from 'node:dns/promises'

/** Every address that a name has; none when there is no such name. */
export type Lookup = (host: string) => Promise<string[]>

/** Workers connect by name only; there the platform itself reaches nothing private. */
export const isWorker = (): boolean => navigator.userAgent === 'Cloudflare-Workers'

export async function platformLookup(host: string): Promise<string[]> {
  if (!isWorker()) {
    const found = await lookup(host, { all: true }).catch(() => [])
    return found.map(({ address }) => address)
  }
  const answers = [resolve4(host), resolve6(host)].map((answer) => answer.catch(() => []))
  return (await Promise.all(answers)).flat()
}
