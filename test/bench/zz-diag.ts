import pg from 'pg'
import { caller, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { allSucceeded } from './shapes.ts'
const idle = (id: string, after: readonly string[] = []): object => ({ id, wait: { for: '0s' }, after })
await withBenchStack({}, async (stack) => {
  const { api, keys } = await caller(stack)
  const m = Array.from({ length: 1000 }, (_, i) => `m${i}`)
  const owner = new pg.Client({ connectionString: stack.ownerUrl })
  await owner.connect()
  await owner.query(`alter system set track_functions = 'all'`)
  await owner.query('select pg_reload_conf()')
  const { rows: [f] } = await owner.query(`select pg_get_functiondef('app.propagate'::regproc) as def`)
  const next = f.def.replace('with counted as (', 'with counted as materialized (').replace('select w.key, w.run_when, w.needs,', 'select w.ctid as at, w.run_when, cardinality(w.needs) as needs,').replace('cardinality(c.needs)', 'c.needs').replace('where t.tenant_id = p_tenant and t.run_id = p_run and t.key = c.key and t.map_index = 0', 'where t.ctid = c.at')
  console.log(next === f.def)
  await owner.query(next)
  for (const [name, steps] of [['with join', [idle('first'), ...m.map((id) => idle(id, ['first'])), idle('last', m)]], ['with join', [idle('first'), ...m.map((id) => idle(id, ['first'])), idle('last', m)]]] as const) {
    const id = await savePipeline(api, steps)
    const c = openClient(1)
    await owner.query('select pg_stat_reset()')
    const t = Date.now()
    await c.ask('POST', `${stack.url}/v1/runs`, keys[0] ?? '', { pipelineId: id })
    console.log(name, (await allSucceeded(owner, id, 1)) - t, 'ms')
    c.close()
    await new Promise((r) => setTimeout(r, 1500))
    const { rows } = await owner.query(`select funcname, calls, round(total_time::numeric) total, round(self_time::numeric) self from pg_stat_user_functions order by self_time desc limit 5`)
    console.table(rows)
  }
  await owner.end()
})
