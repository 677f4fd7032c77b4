import { Hono } from 'hono'
import type { Context } from '#src/actions/context.ts'
import type { Standing } from '#src/cache/limit.ts'
import type { Gate } from './gate.ts'
import type { Trace } from './trace.ts'

/** What the entry (workerd, Deno, a test) knows and the request does not say, or says without proof. */
export type Platform = {
  /** The client's address as the platform saw it. */
  address?: string
  /** Keeps the isolate alive for work that outlives the answer. */
  waitUntil?: (promise: Promise<unknown>) => void
}

/** Filled as the request goes; written once, as the request's line. */
export type RequestLog = { tenantId?: string; actor?: string; reason?: string }

export type ApiEnv = {
  Bindings: Platform
  Variables: {
    gate: Gate
    requestId: string
    trace: Trace
    log: RequestLog
    standing: Standing | undefined
    /** Who is calling; there for every route that is not public. */
    ctx: Context
  }
}

/** A resource's routes, to be chained so that the typed client knows them. */
export const newRoutes = () => new Hono<ApiEnv>()
