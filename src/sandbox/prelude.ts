/** Characters of what a script logs that are kept. */
export const mostLogged = 64 * 1024

/**
 * What stands in the sandbox before the script: a console that keeps what it is told, a clock that stands still and a
 * Math.random with a seed, so that a batch that is done again comes out the same. It holds on to what it needs of the
 * language, for the script may change every global.
 */
export const prelude = `(now, seed) => {
  'use strict'
  const { parse, stringify } = JSON
  const { isArray } = Array
  const { construct } = Reflect
  const { imul } = Math
  const text = String
  const RealDate = Date
  const RealError = Error
  const RealPromise = Promise

  globalThis.Date = new Proxy(RealDate, {
    apply: () => text(new RealDate(now)),
    construct: (target, values, made) => construct(target, values.length > 0 ? values : [now], made),
  })
  RealDate.now = () => now
  RealDate.prototype.constructor = globalThis.Date

  let state = seed | 0
  Math.random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  let logged = ''
  const show = (value) => {
    if (typeof value === 'string') return value
    try {
      return (typeof value === 'object' && !(value instanceof RealError) && stringify(value)) || text(value)
    } catch {
      return typeof value
    }
  }
  const log = (...values) => {
    for (let i = 0; i < values.length && logged.length <= ${mostLogged}; i++) logged += (i > 0 ? ' ' : '') + show(values[i])
    if (logged.length <= ${mostLogged}) logged += '\\n'
  }
  globalThis.console = { log, debug: log, info: log, warn: log, error: log }

  const kindOf = (value) => {
    if (value instanceof RealPromise) return 'a promise'
    return value === null || value === undefined ? text(value) : 'a value of type ' + typeof value
  }
  return {
    apply(script, rows, context) {
      const made = script(parse(rows), parse(context))
      return isArray(made) ? stringify(made) : '!' + kindOf(made)
    },
    logged: () => stringify(logged),
    describe(thrown) {
      const part = (name) => {
        try {
          return stringify(text(thrown[name] ?? ''))
        } catch {
          return '""'
        }
      }
      if (thrown === null) return ''
      if (!(thrown instanceof RealError)) return '["", ' + stringify(show(thrown)) + ', ""]'
      return '[' + part('name') + ', ' + part('message') + ', ' + part('stack') + ']'
    },
  }
}`
