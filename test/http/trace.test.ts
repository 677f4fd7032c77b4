import { describe, expect, it } from 'vitest'
import { continueTrace } from '#src/http/trace.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

describe('trace context', () => {
  it('continues the trace under a span of its own', () => {
    const trace = continueTrace(`00-${traceId}-${parent}-01`)
    expect(trace.traceId).toBe(traceId)
    expect(trace.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    expect(trace.traceparent).not.toContain(parent)
  })

  it('reads a later version by its first parts and keeps only the flag it knows', () => {
    expect(continueTrace(`42-${traceId}-${parent}-ff-more`).traceparent).toMatch(/-01$/)
    expect(continueTrace(`42-${traceId}-${parent}-02`).traceId).toBe(traceId)
  })

  it.each([
    undefined,
    '',
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `ff-${traceId}-${parent}-01`,
    `00-${traceId.toUpperCase()}-${parent}-01`,
    `00-${traceId}-${parent}-01-more`,
    `00-${traceId}-${parent}-01x`,
    `42-${traceId}-${parent}-01x`,
    `00-${traceId.slice(1)}-${parent}-01`,
  ])('starts a new trace for %j', (header) => {
    const trace = continueTrace(header)
    expect(trace.traceId).toMatch(/^[0-9a-f]{32}$/)
    expect(trace.traceId).not.toBe(traceId)
    expect(trace.traceparent).toMatch(new RegExp(`^00-${trace.traceId}-[0-9a-f]{16}-00$`))
  })
})
