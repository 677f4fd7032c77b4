import { appendFile, mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'

import * as z from 'zod'

import { loopback, portProblem } from './ports.ts'

const mail = z.object({
  from: z.string(),
  to: z.string(),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
})
export type KeptMail = z.output<typeof mail> & { id: string; at: string }

export type LocalMail = {
  url: string
  port: number
  /** The mails that came for an address, oldest first. */
  mails(to: string): KeptMail[]
  stop(): Promise<void>
}

/** How many are held for those who ask; all of them are in the file. */
const mostHeld = 20_000
const mostBytes = 1024 * 1024

/**
 * Takes mails like the HTTP API of a mail service, and delivers none: they are kept in `mails.jsonl` below `dir`, one line
 * each, and shown to whoever asks with the token: `GET /?to=address`.
 */
export async function startMail(options: {
  dir: string
  port?: number
  token: string
  log?: ((line: string) => void) | undefined
}): Promise<LocalMail> {
  await mkdir(options.dir, { recursive: true })
  const file = join(options.dir, 'mails.jsonl')
  const held: KeptMail[] = []
  const mails = (to: string) => held.filter((one) => one.to.toLowerCase() === to.toLowerCase())

  async function take(request: IncomingMessage): Promise<number> {
    const parsed = mail.safeParse(await readJson(request))
    if (!parsed.success) return 422
    const id = String(request.headers['idempotency-key'] ?? crypto.randomUUID())
    if (held.some((one) => one.id === id)) return 200
    const kept = { ...parsed.data, id, at: new Date().toISOString() }
    held.push(kept)
    if (held.length > mostHeld) held.shift()
    await appendFile(file, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
    // Nobody has a mailbox here: whoever tries it out finds the link in the terminal.
    const [link = ''] = /https?:\/\/\S+/.exec(kept.text) ?? []
    options.log?.(`mail to ${kept.to}: ${kept.subject} ${link}`.trimEnd())
    return 200
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization !== `Bearer ${options.token}`) return end(response, 401, {})
    if (request.method === 'POST') return end(response, await take(request), {})
    const { searchParams } = new URL(request.url ?? '/', `http://${loopback}`)
    end(response, 200, { items: mails(searchParams.get('to') ?? '') })
  }

  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    answer(request, response).catch(() => end(response, 400, {}))
  })
  const port = options.port ?? 0
  await new Promise<void>((done, fail) => {
    server.once('error', (cause) => fail(portProblem(port, 'the mail service', cause)))
    server.listen(port, loopback, done)
  })
  const address = server.address()
  const bound = address !== null && typeof address === 'object' ? address.port : port
  return {
    url: `http://${loopback}:${bound}/`,
    port: bound,
    mails,
    async stop() {
      const closed = new Promise((done) => server.close(done))
      server.closeAllConnections()
      await closed
    },
  }
}

function end(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostBytes) throw new Error('the mail is too large')
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
