import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { startQstash, type Qstash } from '#local/qstash.ts'
import { Journal } from '#local/qstash/journal.ts'

import { apiOf, clientOf, gate, keys, qstashWorld, token } from './qstash-world.ts'

async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-qstash-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function startAgain(dir: string): Promise<Qstash> {
  const qstash = await startQstash({ token, ...keys, dir })
  onTestFinished(() => qstash.stop())
  return qstash
}

describe('after a restart', () => {
  it('every message that was pending is delivered, and delivered once', async () => {
    const dir = await temporaryDir()
    const { client, destination, qstash } = await qstashWorld({ dir })
    await client.flowControl.pause('held')
    await client.batch(
      Array.from({ length: 30 }, (_, n) => ({
        url: `${destination.url}/delayed/${n}`,
        body: `${n}`,
        delay: 60,
      })),
    )
    await client.batch(
      Array.from({ length: 30 }, (_, n) => ({
        url: `${destination.url}/held/${n}`,
        body: Buffer.from([0xff, n]).toString('latin1'),
        flowControl: { key: 'held', parallelism: 2 },
      })),
    )
    await client.publish({ url: `${destination.url}/done` })
    await qstash.control.idle()
    await qstash.stop()

    const again = await startAgain(dir)
    expect(again.stats()).toMatchObject({ pending: 60 })
    await clientOf(again).flowControl.resume('held')
    again.control.advance(60_000)
    await again.control.idle()
    expect(destination.at('/delayed')).toHaveLength(30)
    expect(destination.at('/held')).toHaveLength(30)
    expect(new Set(destination.received.map(({ path }) => path)).size).toBe(61)
    for (const { path, body } of destination.at('/delayed')) expect(path).toBe(`/delayed/${body}`)

    await again.stop()
    const third = await startAgain(dir)
    third.control.advance(86_400_000)
    await third.control.idle()
    expect(destination.received).toHaveLength(61)
  })

  it('nothing that was answered is lost when the process is killed', async () => {
    const dir = await temporaryDir()
    const { client, destination, qstash } = await qstashWorld({ dir })
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    const published = await Promise.all(
      Array.from({ length: 50 }, (_, n) => client.publish({ url: `${destination.url}/${n}`, body: 'x' })),
    )
    await qstash.kill()
    held.open()
    const again = await startAgain(dir)
    await again.control.idle()
    const delivered = new Set(again.control.deliveries().map(({ messageId }) => messageId))
    expect(delivered).toEqual(new Set(published.map(({ messageId }) => messageId)))
  })

  it('a retry goes on counting, and waits what was left', async () => {
    const dir = await temporaryDir()
    const { client, destination, qstash } = await qstashWorld({ dir })
    destination.answer = () => ({ status: 500 })
    await client.publish({ url: destination.url, retries: 3 })
    await qstash.control.idle()
    await qstash.stop()
    const again = await startAgain(dir)
    again.control.advance(10_000)
    await again.control.idle({ withinMs: 0 })
    expect(destination.received).toHaveLength(1)
    again.control.advance(2_000)
    await destination.arrivals(2)
    expect(destination.received[1]?.headers['upstash-retried']).toBe('1')
  })

  it('queues, groups, schedules, dead letters, duplicates, pins and keys are as they were', async () => {
    const dir = await temporaryDir()
    const { client, destination, qstash } = await qstashWorld({ dir })
    await client.queue({ queueName: 'line' }).upsert({ parallelism: 7, paused: true })
    await client.urlGroups.addEndpoints({ name: 'both', endpoints: [{ name: 'a', url: destination.url }] })
    await client.schedules.create({
      destination: destination.url,
      cron: '0 3 * * *',
      scheduleId: 'kept',
      body: 'b',
    })
    await client.schedules.create({ destination: destination.url, cron: '0 3 * * *', scheduleId: 'gone' })
    await client.schedules.delete('gone')
    await client.schedules.pause({ schedule: 'kept' })
    destination.answer = () => ({ status: 500, body: 'why' })
    const first = await client.publish({
      url: destination.url,
      body: 'dead',
      retries: 0,
      deduplicationId: 'one',
    })
    await client.flowControl.pin('k', { parallelism: 4 })
    const rotated = qstash.control.rotateKeys()
    await qstash.control.idle()
    await qstash.kill()

    const again = clientOf(await startAgain(dir))
    expect(await again.queue({ queueName: 'line' }).get()).toMatchObject({ parallelism: 7, paused: true })
    expect(await again.urlGroups.get('both')).toMatchObject({
      endpoints: [{ name: 'a', url: destination.url }],
    })
    expect(await again.schedules.list()).toMatchObject([{ scheduleId: 'kept', body: 'b', isPaused: true }])
    expect((await again.dlq.listMessages()).messages).toMatchObject([
      { messageId: first.messageId, body: 'dead', responseStatus: 500, responseBody: 'why' },
    ])
    expect(await again.publish({ url: destination.url, body: 'x', deduplicationId: 'one' })).toEqual({
      messageId: first.messageId,
      deduplicated: true,
    })
    expect(await again.flowControl.get('k')).toMatchObject({ isPinnedParallelism: true, parallelismMax: 4 })
    const restarted = await startQstash({ token, ...keys, dir })
    expect(await (await apiOf(restarted)('GET', '/v2/keys')).json()).toEqual(rotated)
    await restarted.stop()
    const other = await startQstash({ token, currentSigningKey: 'a', nextSigningKey: 'b', dir })
    expect(await (await apiOf(other)('GET', '/v2/keys')).json()).toEqual({ current: 'a', next: 'b' })
    await other.stop()
  })
})

describe('the journal', () => {
  it('forgets a line that was cut off, and holds only what lives after a start', async () => {
    const dir = await temporaryDir()
    const path = join(dir, 'qstash.journal')
    const journal = new Journal(dir)
    journal.open()
    for (let n = 0; n < 100; n++) journal.put('thing', String(n % 10), { n })
    journal.delete('thing', '3')
    await new Promise<void>((done) => journal.committed(done))
    journal.close()
    await appendFile(path, '["thing","9",{"n":')

    const next = new Journal(dir)
    const things = next.read<{ n: number }>('thing')
    expect(things.map(([key]) => key)).toEqual(['0', '1', '2', '4', '5', '6', '7', '8', '9'])
    expect(things.at(-1)).toEqual(['9', { n: 99 }])
    next.keep('thing', () => things)
    next.open()
    next.close()
    expect((await readFile(path, 'utf8')).trim().split('\n')).toHaveLength(9)
  })

  it('is written anew when it has grown, without losing what comes after', async () => {
    const dir = await temporaryDir()
    const journal = new Journal(dir)
    const living = new Map<string, unknown>()
    journal.keep('thing', () => living)
    journal.open()
    const big = 'x'.repeat(1024 * 1024)
    for (let n = 0; n < 40; n++) {
      living.set('one', { n, big })
      journal.put('thing', 'one', { n, big })
    }
    await new Promise<void>((done) => journal.committed(done))
    living.set('two', 2)
    journal.put('thing', 'two', 2)
    journal.close()
    expect((await readFile(join(dir, 'qstash.journal'))).length).toBeLessThan(3 * 1024 * 1024)
    expect(new Journal(dir).read<{ n: number }>('thing')).toEqual([
      ['one', { n: 39, big }],
      ['two', 2],
    ])
  })
})
