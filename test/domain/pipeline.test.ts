import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePipeline, pipelineJsonSchema, type Definition } from '#src/domain/pipeline.ts'
import { graphOf } from '#src/domain/pipeline-graph.ts'
import { stepKinds } from '#src/domain/step-schema.ts'
import { readSource } from '#src/domain/pipeline-source.ts'
import { cases } from '#test/support/long-form.ts'

const head = 'apiVersion: weir/v1\nkind: Pipeline\nname: p\n'
const parse = (rest: string) => parsePipeline(head + rest, 'yaml')

function definitionOf(rest: string): Definition {
  const parsed = parse(rest)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fields))
  return parsed.definition
}

function problemsOf(rest: string) {
  const parsed = parse(rest)
  return parsed.ok ? [] : parsed.fields
}

describe('a definition', () => {
  it('is read with every default filled in and durations in milliseconds', () => {
    const definition = definitionOf(`
timeout: 2h
retry: { attempts: 5, first: 1m30s }
triggers: [{ cron: '15 6 * * 1-5', timezone: Europe/Berlin }]
parameters: { since: { type: date, default: '2001-01-01' } }
steps:
  - id: read
    extract: { connection: files, stream: a.csv }
    into: raw
    timeout: 10m
  - { id: pause, wait: { for: 5s }, after: [read] }`)
    expect(definition).toEqual({
      name: 'p',
      parameters: { since: { type: 'date', default: '2001-01-01' } },
      triggers: [
        {
          cron: '15 6 * * 1-5',
          timezone: 'Europe/Berlin',
          catchUp: 'last',
          overlap: 'queue',
          jitterMs: 0,
        },
      ],
      priority: 0,
      notify: [],
      timeoutMs: 7_200_000,
      retry: { attempts: 5, backoff: 'exponential', firstMs: 90_000, maxMs: 600_000, jitter: true },
      steps: [
        {
          id: 'read',
          kind: 'extract',
          after: [],
          when: 'all_success',
          timeoutMs: 600_000,
          extract: { connection: 'files', stream: 'a.csv', mode: 'full_refresh' },
          into: 'raw',
        },
        { id: 'pause', kind: 'wait', after: ['read'], when: 'all_success', wait: { for: 5_000 } },
      ],
    })
  })

  it('may have tags, by which its usage is told apart', () => {
    const step = 'steps: [{ id: pause, wait: { for: 5s } }]'
    expect(definitionOf(`tags: { team: finance }\n${step}`).tags).toEqual({ team: 'finance' })
    expect(definitionOf(step)).not.toHaveProperty('tags')
    expect(problemsOf(`tags: [finance]\n${step}`).map(({ path }) => path)).toEqual(['tags'])
    expect(problemsOf(`tags: { team: '' }\n${step}`).map(({ path }) => path)).toEqual(['tags.team'])
    const many = Array.from({ length: 21 }, (_, i) => `t${i}: x`).join(', ')
    expect(problemsOf(`tags: { ${many} }\n${step}`).map(({ path }) => path)).toEqual(['tags'])
  })

  it('means the same in JSON', () => {
    const steps = [{ id: 'a', wait: { for: '0s' } }]
    const inJson = parsePipeline(
      JSON.stringify({ apiVersion: 'weir/v1', kind: 'Pipeline', name: 'p', steps }),
      'json',
    )
    expect(inJson.ok && inJson.definition).toEqual(definitionOf('steps: [{ id: a, wait: { for: 0s } }]'))
  })

  it.each([
    ['steps: []', 'steps', 4, /at least|>=1/i],
    ['name: q\nsteps: [{ id: a, wait: { for: 0s } }]', 'name', 4, /there twice.*line 3/],
    ['steps:\n  - id: a\n    wait: { for: soon }', 'steps[0].wait.for', 6, /duration/],
    ['steps:\n  - id: A-b\n    wait: { for: 1s }', 'steps[0].id', 5, /a-z/],
    ['steps:\n  - id: a\n    wiat: { for: 1s }', 'steps[0]', 5, /exactly one of extract.*found id, wiat/],
    ['steps:\n  - id: a\n    wait: { for: 1s }\n    aftr: [b]', 'steps[0].aftr', 7, /did you mean "after"/],
    [
      'steps:\n  - id: a\n    wait: { for: 1s }\n    sql: select 1\n    into: x',
      'steps[0]',
      5,
      /found sql and wait/,
    ],
    [
      'steps:\n  - id: a\n    from: x\n    into: y\n    transform:\n      - filtre: { column: a, is: null }',
      'steps[0].transform[0]',
      9,
      /did you mean filter/,
    ],
    [
      'steps:\n  - id: a\n    from: x\n    into: y\n    transform:\n      - cast: { delay: int }',
      'steps[0].transform[0].cast.delay',
      9,
      /integer/,
    ],
    [
      'steps:\n  - id: a\n    from: x\n    into: y\n    transform:\n      - filter: { column: a, gt: 1, lt: 2 }',
      'steps[0].transform[0].filter',
      9,
      /exactly one/,
    ],
    [
      'steps:\n  - id: a\n    check: x\n    rules:\n      - { rule: notnull, column: a }',
      'steps[0].rules[0].rule',
      8,
      /not_null/,
    ],
    [
      'steps:\n  - id: a\n    check: x\n    rules:\n      - { rule: row_count, min: 1, onFail: reject }',
      'steps[0].rules[0].onFail',
      8,
      /fail.*warn/,
    ],
    [
      'steps:\n  - id: a\n    load: { from: x, connection: w, table: t, mode: upsert }',
      'steps[0].load.key',
      6,
      /needs a key/,
    ],
    [
      'steps:\n  - id: a\n    extract: { connection: c, stream: s, mode: incremental }\n    into: x',
      'steps[0].extract.cursor',
      6,
      /cursor/,
    ],
    [
      "triggers: [{ cron: '99 * * * *' }]\nsteps: [{ id: a, wait: { for: 0s } }]",
      'triggers[0].cron',
      4,
      /cron/,
    ],
    [
      "triggers: [{ cron: '0 0 31 2 *' }]\nsteps: [{ id: a, wait: { for: 0s } }]",
      'triggers[0].cron',
      4,
      /ever fires/,
    ],
    [
      "triggers: [{ cron: '* * * * *', timezone: Mars/Base }]\nsteps: [{ id: a, wait: { for: 0s } }]",
      'triggers[0].cron',
      4,
      /time zone/,
    ],
    ['concurrency: many\nsteps: [{ id: a, wait: { for: 0s } }]', 'concurrency', 4, /number/],
    ['steps: [{ id: a, wait: { for: 0s } }', '', 4, /YAML/],
    ['steps: &x [*x]', 'steps[0]', 4, /./],
    ['steps: 5', 'steps', 4, /must be a list, found 5/],
    ['', 'steps', 1, /is missing: it must be a list/],
    ['steps:\n  - id: a\n    wait: {}', 'steps[0].wait', 6, /exactly one of for, until, .*; found nothing/],
    ['steps:\n  - id: a\n    wait: { for: 5 }', 'steps[0].wait.for', 6, /must be a text, found 5/],
    [
      'steps:\n  - id: a\n    wait: { for: 1s }\n    when: all_sucess',
      'steps[0].when',
      7,
      /one of all_success, .*found "all_sucess": did you mean all_success/,
    ],
    [
      'steps:\n  - id: a\n    wait: { for: 1s }\n    timeout: 0s',
      'steps[0].timeout',
      7,
      /longer than nothing/,
    ],
    [
      'steps:\n  - { id: a, check: x, rules: [{ rule: in_set, column: c, values: [~] }] }',
      'steps[0].rules[0].values[0]',
      5,
      /a text or a number or true or false, found nothing/,
    ],
    [
      'steps:\n  - { id: a, check: x, rules: [{ rule: unique }] }',
      'steps[0].rules[0].column',
      5,
      /is missing/,
    ],
    [
      'steps:\n  - { id: a, check: x, rules: [{ rule: unique, column: c, mostly: 2 }] }',
      'steps[0].rules[0].mostly',
      5,
      /at most 1, found 2/,
    ],
    [
      'steps:\n  - { id: a, check: x, rules: [{ rule: in_set, column: c, values: ["${params.x}"] }] }',
      'steps[0].rules[0].values[0]',
      5,
      /SQL, in the values of filters and in templates only/,
    ],
    [
      'steps:\n  - { id: a, from: x, into: y, transform: [{ drop: ["' + 'ü'.repeat(32) + '"] }] }',
      'steps[0].transform[0].drop[0]',
      5,
      /63 bytes/,
    ],
    [
      'steps:\n  - { id: a, from: x, into: y, transform: [{ filter: { column: c, eq: "${params.nope}" } }] }',
      'steps[0].transform[0].filter.eq',
      5,
      /no parameter "nope"/,
    ],
    [
      'steps:\n  - { id: a, from: x, into: y, transform: [{ filter: { column: c, eq: "x ${params.nope}" } }] }',
      'steps[0].transform[0].filter.eq',
      5,
      /the whole value/,
    ],
    [
      'parameters:\n  since: { type: date, default: soon }\nsteps: [{ id: a, wait: { for: 0s } }]',
      'parameters.since.default',
      5,
      /a date such as/,
    ],
    [
      'parameters:\n  Since: { type: date }\nsteps: [{ id: a, wait: { for: 0s } }]',
      'parameters.Since',
      5,
      /the key "Since" must be/,
    ],
    ['steps:\n  - id: a\n    id: b\n    wait: { for: 0s }', 'steps[0].id', 6, /there twice.*line 5/],
    ['? [a]\n: 1', '', 4, /plain text/],
    ['---\na: 1', '', 4, /multiple documents/],
    ['x: &base { id: a, wait: { for: nix } }\nsteps: [*base]', 'steps[0].wait.for', 4, /duration/],
  ])('names what is wrong in %j by path and line', (rest, path, line, message) => {
    const fields = problemsOf(rest)
    const found = fields.find((field) => field.path === path)
    expect(found ?? fields).toMatchObject({ path, line, message: expect.stringMatching(message) })
  })

  it.each([
    ['{"apiVersion": "weir/v1",\n  "kind": }', 2, 11],
    ['{"name": "p",\n "name": "q"}', 2, 2],
    ['{"a": 1', 1, 8],
    ['', 1, 1],
    ["{'a': 1}", 1, 2],
  ])('names where JSON goes wrong: %j', (text, line, column) => {
    expect(parsePipeline(text, 'json')).toMatchObject({ ok: false, fields: [{ line, column }] })
  })

  it('reads every JSON as JSON.parse does', () => {
    const indents = fc.constantFrom(undefined, 2, '\t')
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), indents, (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const read = readSource(text, 'json')
        expect(read.ok && JSON.stringify(read.value)).toBe(JSON.stringify(JSON.parse(text)))
      }),
      cases(60),
    )
  })

  it('stops at a hundred problems, and does not take longer the more keys there are', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `key${i}: 1`).join('\n')
    expect(problemsOf(keys)).toHaveLength(100)
    expect(problemsOf(`steps:\n${'- { id: A, zz: 1 }\n'.repeat(8_000)}`)).toHaveLength(100)
  })

  it('tells of every problem at once', () => {
    expect(
      problemsOf('concurrency: 0\nsteps:\n  - { id: a, wait: { for: x } }\n  - { id: b, wait: {} }').length,
    ).toBe(3)
  })

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.json()),
        fc.constantFrom('yaml' as const, 'json' as const),
        (text, format) => {
          const parsed = parsePipeline(text, format)
          expect(parsed.ok || parsed.fields.length > 0).toBe(true)
        },
      ),
      cases(150),
    )
  })

  it('never throws for a definition with one value replaced by anything', () => {
    const whole = {
      apiVersion: 'weir/v1',
      kind: 'Pipeline',
      name: 'p',
      retry: { attempts: 2 },
      steps: [{ id: 'a', check: 'x', rules: [{ rule: 'unique', column: 'c' }] }],
    }
    fc.assert(
      fc.property(
        fc.constantFrom('apiVersion', 'retry', 'steps', 'triggers', 'parameters', 'name'),
        fc.jsonValue(),
        (key, value) => {
          expect(parsePipeline(JSON.stringify({ ...whole, [key]: value }), 'json')).toHaveProperty('ok')
        },
      ),
      cases(150),
    )
  })

  it('is refused when it is an alias bomb, too deep or too long', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((c, i) => `${c}: &${c} [${`*${'abcdefgh'[i]},`.repeat(9)}]`),
    ].join('\n')
    expect(problemsOf(bomb).length).toBeGreaterThan(0)
    expect(problemsOf(`steps: ${'['.repeat(200)}${']'.repeat(200)}`)[0]?.message).toMatch(/nested/)
    expect(problemsOf(`description: ${'x'.repeat(1_100_000)}`)[0]?.message).toMatch(/1 MB/)
  })

  it('has a JSON Schema that names every kind of step', () => {
    const text = JSON.stringify(pipelineJsonSchema())
    for (const kind of [...stepKinds, 'deduplicate', 'row_count', 'approval', 'webhook'])
      expect(text).toContain(`"${kind}"`)
  })
})

describe('the order of steps', () => {
  const noSql = new Map()
  const nowhere = { at: () => ({}) }
  const graph = (rest: string, sqlReads = noSql) => graphOf(definitionOf(rest), sqlReads, nowhere)
  const needsOf = (rest: string, sqlReads = noSql) => {
    const made = graph(rest, sqlReads)
    if (!made.ok) throw new Error(JSON.stringify(made.fields))
    return Object.fromEntries([...made.needs].map(([id, needs]) => [id, [...needs].sort()]))
  }
  const flow = `
steps:
  - { id: publish, load: { from: flights, connection: w, table: t } }
  - { id: checked, check: flights, rules: [{ rule: row_count, min: 1 }] }
  - { id: clean, from: raw, transform: [{ drop: [a] }], into: flights }
  - { id: read, extract: { connection: c, stream: s }, into: raw }
  - { id: by_origin, sql: select 1, into: delays }`

  it('follows data, whatever the order in which they are written', () => {
    expect(
      needsOf(flow, new Map([['by_origin', { tables: ['flights', 'airports'], parameters: [] }]])),
    ).toEqual({
      publish: ['checked', 'clean'],
      checked: ['clean'],
      clean: ['read'],
      read: [],
      by_origin: ['checked', 'clean'],
    })
  })

  it('names the datasets that come from elsewhere', () => {
    const made = graph(flow, new Map([['by_origin', { tables: ['flights', 'airports'], parameters: [] }]]))
    expect(made).toMatchObject({ ok: true, reads: ['airports'] })
  })

  it('lets a check come after a step that reads the same dataset, when it says so', () => {
    expect(
      needsOf(`
steps:
  - { id: read, extract: { connection: c, stream: s }, into: x }
  - { id: use, from: x, transform: [{ drop: [a] }], into: y }
  - { id: later, check: x, rules: [{ rule: row_count, min: 1 }], after: [use] }`),
    ).toMatchObject({ use: ['read'], later: ['read', 'use'] })
  })

  it.each([
    [
      'two steps of one name',
      'steps: [{ id: a, wait: { for: 0s } }, { id: a, wait: { for: 0s } }]',
      /two steps "a"/,
    ],
    [
      'two makers of one dataset',
      'steps: [{ id: a, extract: { connection: c, stream: s }, into: x }, { id: b, sql: select 1, into: x }]',
      /made by step "a" already/,
    ],
    [
      'an unknown step in after',
      'steps: [{ id: first, wait: { for: 0s } }, { id: b, wait: { for: 0s }, after: [frist] }]',
      /did you mean "first"/,
    ],
    ['a step after itself', 'steps: [{ id: a, wait: { for: 0s }, after: [a] }]', /after itself/],
    [
      'a cycle through after',
      'steps: [{ id: a, wait: { for: 0s }, after: [b] }, { id: b, wait: { for: 0s }, after: [a] }]',
      /a → b → a|b → a → b/,
    ],
    [
      'a cycle through data',
      'steps: [{ id: a, from: y, transform: [{ drop: [c] }], into: x }, { id: b, from: x, transform: [{ drop: [c] }], into: y }]',
      /wait for each other/,
    ],
  ])('refuses %s', (_, rest, message) => {
    expect(graph(rest)).toMatchObject({ ok: false, fields: [{ message: expect.stringMatching(message) }] })
  })

  it('takes what a step reads and makes anew for what was there before', () => {
    const made = graph(
      'steps: [{ id: a, from: x, transform: [{ drop: [c] }], into: x }, { id: b, from: x, transform: [{ drop: [d] }], into: y }]',
    )
    expect(made).toMatchObject({ ok: true, reads: ['x'] })
    expect(made.ok && Object.fromEntries(made.needs)).toEqual({ a: [], b: ['a'] })
  })

  it('puts the checks of one dataset one after the other', () => {
    const check = (id: string) => `{ id: ${id}, check: x, rules: [{ rule: row_count, min: 1 }] }`
    expect(
      needsOf(
        `steps: [${check('a')}, ${check('b')}, { id: use, from: x, transform: [{ drop: [c] }], into: y }, ${check('c')}]`,
      ),
    ).toEqual({
      a: [],
      b: ['a'],
      c: ['b'],
      use: ['a', 'b', 'c'],
    })
  })

  it('warns of a step that can never run', () => {
    const made = graph(
      'steps: [{ id: a, wait: { for: 0s }, when: one_failed }, { id: b, wait: { for: 0s }, when: all_failed, after: [a] }]',
    )
    expect(made).toMatchObject({
      ok: true,
      warnings: [{ path: 'steps[0].when', message: expect.stringMatching(/never runs/) }],
    })
  })

  it('of any steps has no cycle, unless it is refused', () => {
    const names = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const step = fc.record({
      from: names,
      into: names,
      after: fc.array(fc.nat(4), { maxLength: 2 }),
      checks: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (drawn) => {
        const steps = drawn.map(({ from, into, after, checks }, i) => ({
          id: `s${i}`,
          after: [...new Set(after)].map((n) => `s${n % drawn.length}`),
          ...(checks
            ? { check: from, rules: [{ rule: 'row_count', min: 1 }] }
            : { from, into, transform: [{ drop: ['c'] }] }),
        }))
        const made = graph(`steps: ${JSON.stringify(steps)}`)
        if (!made.ok) return
        const done = new Set<string>()
        for (let i = 0; i < steps.length; i++) {
          const next = [...made.needs].find(
            ([id, needs]) => !done.has(id) && needs.every((need) => done.has(need)),
          )
          if (next) done.add(next[0])
        }
        expect(done.size).toBe(steps.length)
      }),
    )
  })

  it('warns of a parameter that nothing uses', () => {
    const rest = `
parameters: { a: { type: integer }, b: { type: integer }, c: { type: integer } }
steps:
  - { id: x, sql: select 1, into: d }
  - { id: y, from: d, transform: [{ filter: { column: n, gt: '\${params.b}' } }], into: e }`
    expect(graph(rest, new Map([['x', { tables: [], parameters: ['a'] }]]))).toMatchObject({
      ok: true,
      warnings: [{ path: 'parameters.c' }],
    })
  })
})
