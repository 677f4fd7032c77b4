import { serve } from './server.ts'

/** A resolver that answers over HTTPS what it was told to. */
export type Dns = { url: string; txt: Map<string, string[]>; close(): Promise<void> }

export async function dns(): Promise<Dns> {
  const txt = new Map<string, string[]>()
  const server = await serve(() => (request) => {
    const name = new URL(request.url).searchParams.get('name') ?? ''
    const records = txt.get(name)
    const answer = records
      ? { Status: 0, Answer: records.map((data) => ({ name, type: 16, TTL: 60, data })) }
      : { Status: 3 }
    return Response.json(answer)
  })
  return { url: `${server.url}/dns-query`, txt, close: () => server.close() }
}
