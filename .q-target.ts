import { createServer } from 'node:http'
let n = 0, want = 0
const s = createServer((q, r) => { q.resume(); q.on('end', () => { r.end(); if (++n === want) process.send!('done') }) })
s.keepAliveTimeout = 60000
s.listen(0, '127.0.0.1', () => process.send!({ port: (s.address() as any).port }))
process.on('message', (m: any) => { want = m; n = 0 })
process.on('disconnect', () => process.exit())
