import { serve } from './server.ts'

/** A resolver that answers over HTTPS what it was told to. */
export type Dns = {
  url: string
  txt: Map<string, string[]>
  /** Names that are not answered: with the code of DNS that stands for why, or over 599 with no answer of HTTP's. */
  failing: Map<string, number>
  /** Every name that was asked for. */
  asked: string[]
  close(): Promise<void>
}

export async function dns(): Promise<Dns> {
  const txt = new Map<string, string[]>()
  const failing = new Map<string, number>()
  const asked: string[] = []
  const server = await serve(() => (request) => {
    const name = new URL(request.url).searchParams.get('name') ?? ''
    asked.push(name)
    const failure = failing.get(name)
    if (failure !== undefined && failure > 599) return new Response('away', { status: 503 })
    if (failure !== undefined) return Response.json({ Status: failure })
    const records = txt.get(name)
    const answer = records
      ? { Status: 0, Answer: records.map((data) => ({ name, type: 16, TTL: 60, data })) }
      : { Status: 3 }
    return Response.json(answer)
  })
  return { url: `${server.url}/dns-query`, txt, failing, asked, close: () => server.close() }
}
