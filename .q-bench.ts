import { fork } from 'node:child_process'
import { Client } from '@upstash/qstash'
const one = (c: any) => new Promise<any>((d) => c.once('message', d))
const server = fork('/work/main/.q-server.ts'), target = fork('/work/main/.q-target.ts')
const [{ url }, { port }] = await Promise.all([one(server), one(target)])
const client = new Client({ baseUrl: url, token: 'tok', enableTelemetry: false })
const dest = `http://127.0.0.1:${port}/api/jobs`
const N = 1000, b = { job: 'run.execute', tenantId: 'tnt_xxxxxxxxxxxx', runId: 'run_yyyyyyyyyyyyyy' }
async function round(name: string, f: () => Promise<void>) {
  target.send(N); const done = one(target); const t = performance.now()
  await f(); const p = performance.now() - t; await done; const e = performance.now() - t
  console.log(name, 'published', (N / p * 1000) | 0, '/s delivered', (N / e * 1000) | 0, '/s')
}
for (let r = 0; r < 5; r++) {
  await round('single', async () => { let n = 0; await Promise.all(Array.from({ length: 32 }, async () => { while (n++ < N) await client.publishJSON({ url: dest, body: b }) })) })
  await round('batch ', async () => { for (let n = 0; n < N; n += 100) await client.batchJSON(Array.from({ length: 100 }, () => ({ url: dest, body: { ...b } }))) })
}
const lat: number[] = []
for (let i = 0; i < 500; i++) { target.send(1); const d = one(target); await new Promise((x) => setTimeout(x, 1)); const t = performance.now(); client.publishJSON({ url: dest, body: b }); await d; lat.push(performance.now() - t) }
lat.sort((a, b) => a - b); console.log('publish→received (incl. IPC back) p50', lat[250].toFixed(2), 'p95', lat[475].toFixed(2))
server.disconnect(); target.disconnect()
