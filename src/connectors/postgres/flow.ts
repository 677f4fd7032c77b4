import type { Client } from 'pg'

type NodeSocket = { pause(): void; resume(): void }
/** The driver's socket in Workers: it reads without end into memory, and has no `pause`. */
type WorkerSocket = { _cfReader: { read: () => Promise<unknown> } }

export type Flow = { pause(): void; resume(): void }

/** Holds the server back while what it sent is not yet used; at most one more read of the socket gets through. */
export function flowOf(client: Client): Flow {
  const stream: unknown = client.connection.stream
  return isWorkerSocket(stream) ? gate(stream) : (stream as NodeSocket)
}

const isWorkerSocket = (stream: unknown): stream is WorkerSocket =>
  typeof stream === 'object' && stream !== null && '_cfReader' in stream

const gates = new WeakMap<object, Flow>()

function gate({ _cfReader: reader }: WorkerSocket): Flow {
  const known = gates.get(reader)
  if (known) return known
  const read = reader.read.bind(reader)
  let closed: Promise<void> | undefined
  let open: () => void = () => undefined
  reader.read = async () => {
    if (closed) await closed
    return read()
  }
  const flow = {
    pause() {
      closed ??= new Promise((resolve) => (open = resolve))
    },
    resume() {
      closed = undefined
      open()
    },
  }
  gates.set(reader, flow)
  return flow
}
