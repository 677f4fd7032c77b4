import { createServer } from 'node:net'

export const loopback = '127.0.0.1'

/** A port that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return tryPort(0)
}

/** Refuses with words for the terminal when something listens on `port` already. */
export async function claimPort(port: number, what: string): Promise<number> {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error(`${port} is no port for ${what}: it must be between 1 and 65535.`)
  try {
    return await tryPort(port)
  } catch (cause) {
    throw portProblem(port, what, cause)
  }
}

/** The port used last time when it is still free, so that addresses survive a restart; else another. */
export async function preferPort(last: number | undefined): Promise<number> {
  if (last === undefined) return freePort()
  return tryPort(last).catch(freePort)
}

/** Turns Node's listening errors into what to do about them. */
export function portProblem(port: number, what: string, cause: unknown): Error {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EADDRINUSE')
    return new Error(
      `Port ${port} is in use, and ${what} needs it: stop what listens there, or choose another port.`,
      { cause },
    )
  if (code === 'EACCES')
    return new Error(`Port ${port} may not be used by this account (${what}): choose one above 1023.`, {
      cause,
    })
  return cause instanceof Error ? cause : new Error(String(cause))
}

function tryPort(port: number): Promise<number> {
  const probe = createServer()
  return new Promise((done, fail) => {
    probe.once('error', fail)
    probe.listen(port, loopback, () => {
      const address = probe.address()
      const found = address !== null && typeof address === 'object' ? address.port : 0
      probe.close(() => done(found))
    })
  })
}
