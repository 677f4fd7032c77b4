import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { parsePipeline, pipelineJsonSchema, type Definition, type Step } from '#src/domain/pipeline.ts'
import { graphOf } from '#src/domain/pipeline-graph.ts'
import { stepKinds } from '#src/domain/step-schema.ts'
import { everyStep } from '#src/domain/step-path.ts'
import { cases, isLongForm } from '#test/support/long-form.ts'

const head = 'apiVersion: weir/v1\nkind: Pipeline\nname: p\n'
const parse = (rest: string) => parsePipeline(head + rest, 'yaml')
const nowhere = { at: () => ({}) }

function definitionOf(rest: string): Definition {
  const parsed = parse(rest)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fields))
  return parsed.definition
}

/** The one step of this text, without what every step has. */
function stepOf(text: string, before = ''): Partial<Step> {
  const [step] = definitionOf(`${before}\nsteps: [{ id: a, ${text} }]`).steps
  const { id: _, after: __, when: ___, ...rest } = step ?? {}
  return rest
}

const problemsOf = (rest: string) => {
  const parsed = parse(rest)
  return parsed.ok ? [] : parsed.fields
}

describe('a step', () => {
  it.each<[string, Partial<Step>]>([
    ['wait: { for: 10m }', { kind: 'wait', wait: { for: 600_000 } }],
    [
      'wait: { until: "2026-12-24T08:00:00Z" }',
      { kind: 'wait', wait: { until: '2026-12-24T08:00:00Z', timezone: 'UTC' } },
    ],
    [
      'wait: { until: "08:00", timezone: Europe/Berlin }',
      { kind: 'wait', wait: { until: '08:00', timezone: 'Europe/Berlin' } },
    ],
    [
      'wait: { object: { connection: bucket, prefix: "in/" }, every: 30s, within: 6h }',
      {
        kind: 'wait',
        wait: { sensor: 'object', connection: 'bucket', prefix: 'in/', everyMs: 30_000 },
        deadlineMs: 21_600_000,
      },
    ],
    [
      'wait: { sql: select true }',
      { kind: 'wait', wait: { sensor: 'sql', sql: 'select true', everyMs: 60_000 } },
    ],
    [
      'wait: { sql: select true, connection: warehouse }',
      { kind: 'wait', wait: { sensor: 'sql', sql: 'select true', connection: 'warehouse', everyMs: 60_000 } },
    ],
    [
      'wait: { dataset: airports, updatedWithin: 1d, every: 5m, within: 2h }',
      {
        kind: 'wait',
        wait: { sensor: 'dataset', dataset: 'airports', withinMs: 86_400_000, everyMs: 300_000 },
        deadlineMs: 7_200_000,
      },
    ],
    [
      'wait: { run: nightly-import, finishedWithin: 1d }',
      {
        kind: 'wait',
        wait: { sensor: 'run', pipeline: 'nightly-import', withinMs: 86_400_000, everyMs: 60_000 },
      },
    ],
    ['wait: { approval: {} }', { kind: 'wait', wait: { approval: { roles: ['owner', 'admin'] } } }],
    [
      'wait: { approval: { message: Sure?, roles: [operator] }, within: 2d }',
      {
        kind: 'wait',
        wait: { approval: { message: 'Sure?', roles: ['operator'] } },
        deadlineMs: 172_800_000,
      },
    ],
    [
      'call: { url: "https://x.example/a" }',
      {
        kind: 'call',
        call: {
          url: 'https://x.example/a',
          method: 'POST',
          headers: {},
          answer: 'response',
          deadlineMs: 3_600_000,
        },
      },
    ],
    [
      'call: { wait: callback, within: 1d }',
      { kind: 'call', call: { method: 'POST', headers: {}, answer: 'callback', deadlineMs: 86_400_000 } },
    ],
    [
      'pipeline: { name: other, parameters: { n: 1 } }',
      { kind: 'pipeline', pipeline: { name: 'other', parameters: { n: 1 }, wait: true } },
    ],
    [
      'script: { from: x, code: "export default (rows) => rows", columns: { n: integer } }, into: y',
      {
        kind: 'script',
        script: {
          from: 'x',
          code: 'export default (rows) => rows',
          memoryMb: 16,
          timeoutMs: 10_000,
          columns: [{ name: 'n', type: 'integer' }],
        },
        into: 'y',
      },
    ],
    [
      'notify: { to: ops, message: Hello }, if: "1 < 2", timeout: 1m',
      {
        kind: 'notify',
        if: { op: '<', left: { op: 'value', value: 1 }, right: { op: 'value', value: 2 } },
        timeoutMs: 60_000,
        notify: { to: 'ops', message: 'Hello' },
      },
    ],
    [
      'map: { over: [1, { b: 2 }], steps: [{ id: b, wait: { for: 0s } }] }',
      {
        kind: 'map',
        map: {
          over: [1, { b: 2 }],
          as: 'item',
          atOnce: 10,
          steps: [{ id: 'b', after: [], when: 'all_success', kind: 'wait', wait: { for: 0 } }],
        },
      },
    ],
  ])('%s is read', (text, expected) => expect(stepOf(text)).toEqual(expected))

  it.each<[string, string, RegExp]>([
    ['wait: { for: 1s, until: "08:00" }', 'wait', /exactly one of for, until.*found for and until/],
    ['wait: { until: tomorrow }', 'wait.until', /a time such as/],
    ['wait: { until: "2026-12-24T08:00:00" }', 'wait.until', /a time such as/],
    ['wait: { until: "08:00", timezone: Mars }', 'wait.timezone', /IANA time zone/],
    ['wait: { dataset: x, every: 5m }', 'wait.updatedWithin', /is missing/],
    ['wait: { sql: select 1, every: 10ms }', 'wait.every', /1s at least/],
    ['wait: { sql: select 1, evry: 1m }', 'wait.evry', /did you mean "every"/],
    ['wait: { approval: { roles: [boss] } }', 'wait.approval.roles[0]', /one of owner, admin/],
    ['call: { url: "ftp://x.example" }', 'call.url', /http:\/\/ or https:\/\//],
    ['call: { url: "https://me:secret@x.example" }', 'call.url', /without a user name/],
    ['call: { url: "file:///${run.id}" }', 'call.url', /http:\/\/ or https:\/\//],
    ['call: {}', 'call.url', /is missing: only what waits for a callback/],
    ['call: { url: "https://x.example", method: GET, body: 1 }', 'call.body', /GET/],
    ['call: { url: "https://x.example", headers: { Host: y } }', 'call.headers.Host', /that a call may set/],
    [
      'call: { url: "https://x.example", headers: { Upstash-Delay: 1s } }',
      'call.headers.Upstash-Delay',
      /may set/,
    ],
    ['call: { url: "https://x.example", headers: { a: "b\\nc" } }', 'call.headers.a', /one line/],
    [
      'call: { url: "https://x.example", headers: { a: "${secrets.key}" } }',
      'call.headers.a',
      /secrets are not supported/,
    ],
    ['call: { url: "https://x.example/${callback.url}" }', 'call.url', /"wait: callback" only/],
    ['call: { url: "https://x.example/${outputs.b.x}" }', 'call.url', /there is no step "b"/],
    ['call: { url: "https://x.example/${outputs.a.x}" }', 'call.url', /own outputs/],
    [
      'call: { url: "https://x.example/${parms.x}" }',
      'call.url',
      /nothing is named "parms".*did you mean "params"/,
    ],
    [
      'call: { url: "https://x.example", body: { b: ["${params.x}"] } }',
      'call.body.b[0]',
      /there is no parameter "x"/,
    ],
    ['call: { url: "https://x.example", body: "${HOME}" }', 'call.body', /\$\$\{/],
    ['notify: { to: ops, message: "${run.name}" }', 'notify.message', /run\.id, run\.scheduledFor/],
    ['notify: { to: ops, message: "${item}" }', 'notify.message', /nothing is named "item"/],
    ['notify: { to: ops, message: hi }, if: "params.x"', 'if', /there is no parameter "x"/],
    ['notify: { to: ops, message: hi }, if: "run.id >"', 'if', /found its end/],
    ['notify: { to: ops, message: hi }, if: "not 5"', 'if', /5 is a number, where/],
    ['pipeline: { name: other, parameters: { x: "${run}" } }', 'pipeline.parameters.x', /run\.id/],
    ['script: { from: x, code: c, columns: { n: int } }, into: y', 'script.columns.n', /integer/],
    ['script: { from: x, code: c, columns: {} }, into: y', 'script.columns', /at least one column/],
    [
      'script: { from: x, code: c, columns: { n: text }, memoryMb: 64 }, into: y',
      'script.memoryMb',
      /at most 32/,
    ],
    [
      'script: { from: x, code: c, columns: { n: text }, timeout: 1m }, into: y',
      'script.timeout',
      /20s at most/,
    ],
    [
      'map: { over: "all of ${run.id}", steps: [{ id: b, wait: { for: 0s } }] }',
      'map.over',
      /the name of a list/,
    ],
    ['map: { over: 5, steps: [{ id: b, wait: { for: 0s } }] }', 'map.over', /must be a text, found 5/],
    ['map: { over: [], steps: [{ id: b, wait: { for: 0s } }] }', 'map.over', /at least 1 item/],
    ['map: { over: [1, .nan], steps: [{ id: b, wait: { for: 0s } }] }', 'map.over[1]', /found NaN/],
    [
      'map: { over: { date: {} }, steps: [{ id: b, wait: { for: 0s } }] }',
      'map.over.date',
      /did you mean "dates"/,
    ],
    [
      'map: { over: { dates: { from: soon, to: "2024-01-01" } }, steps: [{ id: b, wait: { for: 0s } }] }',
      'map.over.dates.from',
      /a date such as/,
    ],
    [
      'map: { over: { dates: { from: "2024-02-01", to: "2024-01-01" } }, steps: [{ id: b, wait: { for: 0s } }] }',
      'map.over.dates.to',
      /not be before from/,
    ],
    ['map: { over: [1], steps: [] }', 'map.steps', /at least 1 item/],
    ['map: { over: [1], atOnce: 1000, steps: [{ id: b, wait: { for: 0s } }] }', 'map.atOnce', /at most 100/],
    [
      'map: { over: [1], as: run, steps: [{ id: b, wait: { for: 0s } }] }',
      'map.as',
      /must be none of params/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, load: { from: x, connection: w, table: t } }] }',
      'map.steps[0].load',
      /inside a map there is wait, call, map, pipeline, notify, and no load/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, map: { over: [1], as: i, steps: [{ id: c, map: { over: [1], steps: [] } }] } }] }',
      'map.steps[0].map.steps[0].map',
      /inside a map once/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, map: { over: [1], steps: [{ id: c, wait: { for: 0s } }] } }] }',
      'map.steps[0].map.as',
      /an item of the map around/,
    ],
    ['map: { over: [1], steps: [{ id: a, wait: { for: 0s } }] }', 'map.steps[0].id', /two steps "a"/],
    [
      'map: { over: [1], steps: [{ id: b, wait: { for: 0s }, when: all_done }] }',
      'map.steps[0].when',
      /each when the one before it has succeeded/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, wait: { for: 0s }, after: [c] }, { id: c, wait: { for: 0s } }] }',
      'map.steps[0].after',
      /no step before this one/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, if: outputs.c.x, wait: { for: 0s } }, { id: c, wait: { for: 0s } }] }',
      'map.steps[0].if',
      /comes after this one/,
    ],
    [
      'map: { over: [1], steps: [{ id: b, notify: { to: o, message: "${outputs.a.items}" } }] }',
      'map.steps[0].notify.message',
      /there is no step "a"/,
    ],
    ['wait: { sql: "select ${run.id}" }', 'wait.sql', /parameters only/],
    ['wait: { sql: "select ${params.x}", connection: w }', 'wait.sql', /sent as it stands/],
    ['extract: { connection: c, stream: "in/${params.x}" }, into: y', 'extract.stream', /in templates only/],
  ])('%s is refused', (text, path, message) => {
    const fields = problemsOf(`steps:\n  - { id: a, ${text} }`)
    const found = fields.find((field) => field.path === `steps[0].${path}`)
    expect(found ?? fields).toMatchObject({ line: 5, message: expect.stringMatching(message) })
    expect(found?.column).toBeGreaterThan(4)
  })

  it('tells the column of what is wrong', () => {
    expect(
      problemsOf('steps:\n  - id: a\n    notify:\n      to: ops\n      message: "${params.x}"'),
    ).toMatchObject([{ path: 'steps[0].notify.message', line: 8, column: 7 }])
  })

  it("inside a map is told from outside that its outputs are the map's", () => {
    expect(
      problemsOf(
        'steps: [{ id: m, map: { over: [1], steps: [{ id: b, wait: { for: 0s } }] } }, { id: n, if: outputs.b.x, wait: { for: 0s } }]',
      ),
    ).toMatchObject([
      { path: 'steps[1].if', message: expect.stringMatching(/inside the map "m".*outputs\.m\.results/) },
    ])
  })

  it('may have the name of a step in another map', () => {
    const map = (id: string) => `{ id: ${id}, map: { over: [1], steps: [{ id: b, wait: { for: 0s } }] } }`
    const { steps } = definitionOf(`steps: [${map('m')}, ${map('n')}]`)
    expect(everyStep(steps).map(({ key }) => key)).toEqual(['m', 'm.b', 'n', 'n.b'])
  })
})

describe('triggers and what else there is', () => {
  const step = 'steps: [{ id: a, wait: { for: 0s } }]'

  it('are read with their defaults', () => {
    const definition = definitionOf(`
triggers:
  - { cron: '0 6 * * *' }
  - { cron: '0 7 * * *', calendar: de-holidays, catchUp: all, overlap: cancel, jitter: 30s, parameters: { n: 1 } }
  - { datasets: [airports] }
  - { webhook: true }
  - { pipeline: nightly, on: [failed, finished] }
  - { pipeline: nightly }
parameters: { n: { type: integer, default: 2, min: 1, max: 9, enum: [1, 2], description: How often. } }
priority: -3
concurrency: 2
sla: { within: 45m }
notify: [{ on: [failed, late], to: ops-channel }]
${step}`)
    expect(definition).toMatchObject({
      parameters: {
        n: { type: 'integer', default: 2, min: 1, max: 9, enum: [1, 2], description: 'How often.' },
      },
      triggers: [
        { cron: '0 6 * * *', timezone: 'UTC', catchUp: 'last', overlap: 'queue', jitterMs: 0 },
        {
          cron: '0 7 * * *',
          timezone: 'UTC',
          calendar: 'de-holidays',
          catchUp: 'all',
          overlap: 'cancel',
          jitterMs: 30_000,
          parameters: { n: 1 },
        },
        { datasets: ['airports'], when: 'any' },
        { webhook: true },
        { pipeline: 'nightly', on: ['failed', 'finished'] },
        { pipeline: 'nightly', on: ['succeeded'] },
      ],
      priority: -3,
      concurrency: 2,
      sla: { withinMs: 2_700_000 },
      notify: [{ on: ['failed', 'late'], to: 'ops-channel' }],
    })
  })

  it.each<[string, string, RegExp]>([
    ['triggers: [{ webhook: false }]', 'triggers[0].webhook', /must be true/],
    ['triggers: [{ datasets: [] }]', 'triggers[0].datasets', /at least 1/],
    ['triggers: [{ pipeline: x, on: [late] }]', 'triggers[0].on[0]', /one of succeeded/],
    ['triggers: [{ crn: x }]', 'triggers[0]', /exactly one of cron, datasets, webhook, pipeline; found crn/],
    ['triggers: [{ cron: "0 6 * * *", catchup: all }]', 'triggers[0].catchup', /did you mean "catchUp"/],
    ['triggers: [{ cron: "0 6 * * *", jitter: 2d }]', 'triggers[0].jitter', /a day at most/],
    ['priority: 11', 'priority', /at most 10/],
    ['sla: { within: 0s }', 'sla.within', /longer than nothing/],
    ['notify: [{ on: [broken], to: ops }]', 'notify[0].on[0]', /one of failed, late/],
    ['parameters: { n: { type: integer, enum: [1, x] } }', 'parameters.n.enum[1]', /a whole number/],
    ['parameters: { n: { type: text, min: 1 } }', 'parameters.n.min', /goes with integer/],
    ['parameters: { n: { type: integer, min: 5, max: 1 } }', 'parameters.n.max', /less than min/],
    ['parameters: { n: { type: integer, max: 1.5 } }', 'parameters.n.max', /a whole number/],
    ['parameters: { n: { type: integer, max: 5, default: 6 } }', 'parameters.n.default', /5 at most/],
    [
      'parameters: { n: { type: text, enum: [full, delta], default: fall } }',
      'parameters.n.default',
      /one of full, delta: did you mean full\?/,
    ],
  ])('%s is refused', (text, path, message) => {
    const fields = problemsOf(`${text}\n${step}`)
    const found = fields.find((field) => field.path === path)
    expect(found ?? fields).toMatchObject({ line: 4, message: expect.stringMatching(message) })
  })
})

describe('the order of steps', () => {
  const made = (rest: string, sqlReads = new Map()) => graphOf(definitionOf(rest), sqlReads, nowhere)
  const needsOf = (rest: string, sqlReads = new Map()) => {
    const graph = made(rest, sqlReads)
    if (!graph.ok) throw new Error(JSON.stringify(graph.fields))
    return Object.fromEntries(graph.needs)
  }

  it('follows the outputs that templates, conditions and inner steps name', () => {
    expect(
      needsOf(`
steps:
  - { id: told, notify: { to: o, message: '\${outputs.all.items}' } }
  - { id: all, map: { over: '\${outputs.asked.body}', steps: [
      { id: one, if: outputs.ready.value, call: { url: 'https://x.example/\${item}' } },
      { id: two, notify: { to: o, message: '\${outputs.one.body} \${outputs.first.bytes}' } } ] } }
  - { id: asked, call: { url: 'https://x.example' }, if: 'outputs.first.bytes > 0' }
  - { id: ready, wait: { for: 1s } }
  - { id: first, wait: { object: { connection: c } } }`),
    ).toEqual({ told: ['all'], all: ['asked', 'ready', 'first'], asked: ['first'], ready: [], first: [] })
  })

  it('follows data through scripts and the SQL of sensors', () => {
    const rest = `
steps:
  - { id: seen, wait: { sql: select count(*) > 0 from tidy } }
  - { id: tidied, script: { from: raw, code: c, columns: { n: text } }, into: tidy }
  - { id: read, extract: { connection: c, stream: s }, into: raw }
  - { id: each, map: { over: [1], steps: [{ id: look, wait: { sql: select true from raw } }] } }`
    const reads = new Map([
      ['seen', { tables: ['tidy'], parameters: [] }],
      ['each.look', { tables: ['raw'], parameters: [] }],
    ])
    expect(needsOf(rest, reads)).toEqual({ seen: ['tidied'], tidied: ['read'], read: [], each: ['read'] })
  })

  it('has no cycle through outputs', () => {
    expect(
      made(
        'steps: [{ id: a, if: outputs.b.x, wait: { for: 0s } }, { id: b, if: outputs.a.x, wait: { for: 0s } }]',
      ),
    ).toMatchObject({ ok: false, fields: [{ message: expect.stringMatching(/wait for each other/) }] })
  })

  it('warns of parameters that no template, condition, sensor or script uses', () => {
    const rest = `
parameters: { a: &p { type: text, default: x }, b: *p, c: *p, d: *p, e: *p, f: *p, g: *p }
steps:
  - { id: x, notify: { to: o, message: '\${params.a}' }, if: 'params.b == "y"' }
  - { id: m, map: { over: ['\${params.c}'], steps: [{ id: n, notify: { to: o, message: '\${params.d}' } }] } }
  - { id: s, script: { from: t, code: 'export default (rows, { params }) => rows.filter(() => params.e)', columns: { n: text } }, into: u }
  - { id: w, wait: { sql: 'select \${params.f} = 1', every: 1m } }`
    expect(made(rest)).toMatchObject({ ok: true, warnings: [{ path: 'parameters.g' }] })
  })

  it('warns of a call that tells nobody where to answer', () => {
    const call = (body: string) =>
      made(`steps: [{ id: a, call: { url: 'https://x.example', wait: callback, body: '${body}' } }]`)
    expect(call('x')).toMatchObject({ ok: true, warnings: [{ path: 'steps[0].call' }] })
    expect(call('${callback.url}')).toMatchObject({ ok: true, warnings: [] })
  })
})

/** Where there is anything in a value. */
function pathsTo(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, item]) => pathsTo(item, [...path, key]))]
}

function replaced(whole: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined || typeof whole !== 'object' || whole === null) return value
  const copy: Record<string, unknown> | unknown[] = Array.isArray(whole)
    ? [...(whole as unknown[])]
    : { ...whole }
  Reflect.set(copy, key, replaced(Reflect.get(whole, key), rest, value))
  return copy
}

describe('the examples', () => {
  const folder = fileURLToPath(new URL('../../examples/', import.meta.url))
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
  const read = (file: string) => parsePipeline(readFileSync(folder + file, 'utf8'), 'yaml')

  it.each(files)('%s can be saved', (file) => {
    const parsed = read(file)
    expect(parsed).toMatchObject({ ok: true })
    if (parsed.ok) expect(graphOf(parsed.definition, new Map(), parsed.source)).toMatchObject({ ok: true })
  })

  it('are read or refused, with any one part of them made anything else', () => {
    const wholes = files.map((file) => parseYaml(readFileSync(folder + file, 'utf8')) as object)
    const odd = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(
        '${',
        '${params.x}',
        '${outputs.read.x}',
        '${item}',
        'not',
        '08:00',
        '1m',
        'https://x.example',
      ),
    )
    let saved = 0
    fc.assert(
      fc.property(fc.constantFrom(...wholes), fc.nat(), odd, (whole, place, value) => {
        const paths = pathsTo(whole)
        const text = JSON.stringify(replaced(whole, paths[place % paths.length] ?? [], value))
        const parsed = parsePipeline(text, 'json')
        expect(parsed.ok || parsed.fields.every(({ message, line }) => message !== '' && line === 1)).toBe(
          true,
        )
        if (!parsed.ok) return
        saved++
        expect(graphOf(parsed.definition, new Map(), parsed.source)).toHaveProperty('ok')
        expect(JSON.parse(JSON.stringify(parsed.definition))).toEqual(parsed.definition)
      }),
      cases(400),
    )
    expect(saved).toBeGreaterThan(isLongForm ? 10 : 0)
  })

  it('show every kind of step, wait and trigger', () => {
    const definitions = files.flatMap((file) => {
      const parsed = read(file)
      return parsed.ok ? [parsed.definition] : []
    })
    const steps = definitions.flatMap((definition) => everyStep(definition.steps).map(({ step }) => step))
    const waits = steps.flatMap((step) => (step.kind === 'wait' ? Object.keys(step.wait).slice(0, 1) : []))
    const sensors = steps.flatMap((step) =>
      step.kind === 'wait' && 'sensor' in step.wait ? [step.wait.sensor] : [],
    )
    const triggers = definitions.flatMap(({ triggers: those }) =>
      those.map((trigger) => Object.keys(trigger)[0]),
    )
    expect(new Set(steps.map(({ kind }) => kind))).toEqual(new Set(stepKinds))
    expect(new Set(waits)).toEqual(new Set(['for', 'until', 'approval', 'sensor']))
    expect(new Set(sensors)).toEqual(new Set(['object', 'sql', 'dataset', 'run']))
    expect(new Set(triggers)).toEqual(new Set(['cron', 'datasets', 'webhook', 'pipeline']))
  })
})

describe('the JSON Schema', () => {
  it('lets maps hold maps once, and nothing that makes data', () => {
    const text = JSON.stringify(pipelineJsonSchema())
    expect(text.split('"atOnce":{').length - 1).toBe(2)
    expect(text.split('"memoryMb":{').length - 1).toBe(1)
    expect(text.length).toBeLessThan(150_000)
  })
})
