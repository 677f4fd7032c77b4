import * as z from 'zod'
import { StepFailure } from '#src/domain/failure.ts'

const patienceMs = 5_000
const mostBytes = 64 * 1024
const txt = 16
/** That there are such records, or that there is no such name; the rest says nothing about either. */
const answered: readonly number[] = [0, 3]

const answer = z.object({
  Status: z.number(),
  Answer: z.array(z.object({ type: z.number(), data: z.string() })).default([]),
})

/** The TXT records of a name, asked over HTTPS in the JSON that Cloudflare's and Google's resolvers speak. */
export async function txtRecords(resolverUrl: string, name: string): Promise<string[]> {
  const url = new URL(resolverUrl)
  url.searchParams.set('name', name)
  url.searchParams.set('type', 'TXT')
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/dns-json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    })
    const text = await response.text()
    if (!response.ok || text.length > mostBytes) throw new Error(`the resolver answered ${response.status}`)
    const { Status, Answer: records } = answer.parse(JSON.parse(text))
    if (!answered.includes(Status)) throw new Error(`the resolver answered with code ${Status}`)
    return records.filter(({ type }) => type === txt).map(({ data }) => unquoted(data))
  } catch (cause) {
    throw new StepFailure('dns_unavailable', `The DNS records of ${name} cannot be read now.`, {
      retryable: true,
      cause,
    })
  }
}

/** A record is one or more strings of at most 255 bytes, each in quotes; they belong together. */
function unquoted(data: string): string {
  const parts = [...data.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part = '']) =>
    part.replaceAll(/\\(.)/g, '$1'),
  )
  return parts.length > 0 ? parts.join('') : data
}
