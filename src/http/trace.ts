import { toHex } from '#src/domain/digest.ts'

/** W3C trace context: the trace that this request belongs to and the span that is this request. */
export type Trace = { readonly traceId: string; readonly traceparent: string }

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const noTrace = '0'.repeat(32)
const noParent = '0'.repeat(16)

/** Continues the caller's trace under a span of our own; a header that is not valid starts a new trace. */
export function continueTrace(header: string | undefined): Trace {
  const random = toHex(crypto.getRandomValues(new Uint8Array(24)))
  const span = random.slice(32)
  const [, version, traceId, parent, flags, rest] = shape.exec(header ?? '') ?? []
  const valid =
    version !== undefined &&
    traceId !== undefined &&
    flags !== undefined &&
    version !== 'ff' &&
    traceId !== noTrace &&
    parent !== noParent &&
    (version !== '00' || rest === undefined)
  if (!valid) return { traceId: random.slice(0, 32), traceparent: `00-${random.slice(0, 32)}-${span}-00` }
  const sampled = Number.parseInt(flags, 16) & 1
  return { traceId, traceparent: `00-${traceId}-${span}-0${sampled}` }
}
