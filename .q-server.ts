import { startQstash } from '/work/main/local/qstash.ts'
import { mkdtempSync } from 'node:fs'
const q = await startQstash({ ...(process.env.DIR ? { dir: mkdtempSync('/tmp/qb-') } : {}), token: 'tok', currentSigningKey: 'a', nextSigningKey: 'b' })
process.on('message', () => process.send!({ cpu: process.cpuUsage(), stats: q.stats(), mem: process.memoryUsage().rss }))
process.send!({ url: q.url })
process.on('disconnect', () => process.exit())
