import { describe, expect, it } from 'vitest'

import { gate, qstashWorld } from './qstash-world.ts'

const many = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('a flow-control key', () => {
  it('bounds how many are in flight', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    const flowControl = { key: 'tenant-1', parallelism: 3 }
    await client.batch(many(40).map((n) => ({ url: `${destination.url}/${n}`, flowControl })))
    await destination.arrivals(3)
    expect(qstash.stats()).toMatchObject({ inFlight: 3, waiting: 37 })
    held.open()
    await qstash.control.idle()
    expect(destination.received).toHaveLength(40)
    expect(destination.mostInFlight).toBeLessThanOrEqual(3)
  })

  it('keeps the order in which messages came, and shows what waits', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    const flowControl = { key: 'tenant-1', parallelism: 1 }
    await client.batch(many(5).map((n) => ({ url: `${destination.url}/${n}`, flowControl })))
    await destination.arrivals(1)
    expect(await client.flowControl.get('tenant-1')).toMatchObject({
      flowControlKey: 'tenant-1',
      waitListSize: 4,
      parallelismMax: 1,
      parallelismCount: 1,
      isPaused: false,
    })
    held.open()
    await qstash.control.idle()
    expect(destination.received.map(({ path }) => path)).toEqual(['/0', '/1', '/2', '/3', '/4'])
  })

  it('does not hold up other keys', async () => {
    const { client, destination } = await qstashWorld()
    const held = gate()
    destination.answer = ({ path }) => (path.startsWith('/slow') ? held.opened.then(() => ({})) : undefined)
    const publish = (path: string, key: string) =>
      client.publish({ url: destination.url + path, flowControl: { key, parallelism: 1 } })
    await publish('/slow/1', 'a')
    await publish('/slow/2', 'a')
    await publish('/quick', 'b')
    await destination.arrivals(1, '/quick')
    expect(destination.at('/slow')).toHaveLength(1)
    held.open()
    await destination.arrivals(2, '/slow')
  })

  it('starts no more than its rate in a period', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const flowControl = { key: 'slow', rate: 2, period: '1m' } as const
    await client.batch(many(5).map((n) => ({ url: `${destination.url}/${n}`, flowControl })))
    await destination.arrivals(2)
    expect(await client.flowControl.get('slow')).toMatchObject({
      waitListSize: 3,
      rateMax: 2,
      rateCount: 2,
      ratePeriod: 60,
    })
    qstash.control.advance(60_000)
    await destination.arrivals(4)
    expect(destination.received).toHaveLength(4)
    await client.flowControl.resetRate('slow')
    await destination.arrivals(5)
    await qstash.control.idle()
    expect(destination.received).toHaveLength(5)
  })

  it('can be paused and pinned', async () => {
    const { api, client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    await client.flowControl.pause('tenant-1')
    await client.flowControl.pin('tenant-1', { parallelism: 2, rate: 50, period: 10 })
    const flowControl = { key: 'tenant-1', parallelism: 30 }
    await client.batch(many(20).map((n) => ({ url: `${destination.url}/${n}`, flowControl })))
    await qstash.control.idle()
    expect(destination.received).toHaveLength(0)
    expect(await client.flowControl.get('tenant-1')).toMatchObject({
      waitListSize: 20,
      isPaused: true,
      isPinnedParallelism: true,
      isPinnedRate: true,
      parallelismMax: 2,
      rateMax: 50,
      ratePeriod: 10,
    })
    await client.flowControl.resume('tenant-1')
    await destination.arrivals(2)
    expect(qstash.stats()).toMatchObject({ inFlight: 2, waiting: 18 })
    held.open()
    await qstash.control.idle()
    expect(destination.received).toHaveLength(20)
    expect(destination.mostInFlight).toBeLessThanOrEqual(2)
    await client.flowControl.unpin('tenant-1', { parallelism: true, rate: true })
    expect(await client.flowControl.get('tenant-1')).toMatchObject({
      isPinnedRate: false,
      parallelismMax: 30,
    })
    const found = await (await api('GET', '/v2/flowControl?search=tenant')).json()
    expect(found).toMatchObject([{ flowControlKey: 'tenant-1' }])
    await expect(client.flowControl.get('unknown')).rejects.toMatchObject({ status: 404 })
  })

  it('lets a retry wait in line again, with its slot free meanwhile', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.setBackoff(1)
    destination.answer = ({ headers, path }) => ({
      status: path === '/0' && headers['upstash-retried'] === '0' ? 500 : 200,
    })
    const flowControl = { key: 'tenant-1', parallelism: 1 }
    await client.batch(many(3).map((n) => ({ url: `${destination.url}/${n}`, flowControl })))
    await qstash.control.idle()
    expect(destination.received.filter(({ path }) => path === '/0')).toHaveLength(2)
    expect(destination.mostInFlight).toBe(1)
    expect(qstash.stats()).toMatchObject({ delivered: 3, inFlight: 0, waiting: 0 })
  })
})

it('gives back the slot of a message that is cancelled while it waits for the plan', async () => {
  const { client, destination, qstash } = await qstashWorld({ globalParallelism: 1 })
  const held = gate()
  destination.answer = ({ path }) => (path === '/first' ? held.opened.then(() => ({})) : undefined)
  const flowControl = { key: 'tenant-1', parallelism: 1 }
  await client.publish({ url: `${destination.url}/first` })
  await destination.arrivals(1)
  const { messageId } = await client.publish({ url: `${destination.url}/cancelled`, flowControl })
  await client.publish({ url: `${destination.url}/last`, flowControl })
  expect(await client.flowControl.get('tenant-1')).toMatchObject({ parallelismCount: 1, waitListSize: 1 })
  await client.messages.cancel(messageId)
  held.open()
  await qstash.control.idle()
  expect(destination.received.map(({ path }) => path)).toEqual(['/first', '/last'])
  expect(qstash.stats()).toMatchObject({ inFlight: 0, waiting: 0, pending: 0 })
})

it('never has more in flight than the plan allows', async () => {
  const { client, destination, qstash } = await qstashWorld({ globalParallelism: 4 })
  const held = gate()
  destination.answer = () => held.opened.then(() => ({}))
  await client.batch(many(50).map((n) => ({ url: `${destination.url}/${n}` })))
  await destination.arrivals(4)
  expect(await client.flowControl.getGlobalParallelism()).toEqual({ parallelismMax: 4, parallelismCount: 4 })
  held.open()
  await qstash.control.idle()
  expect(destination.received).toHaveLength(50)
  expect(destination.mostInFlight).toBe(4)
})

describe('a queue', () => {
  it('delivers one after another, and the next only when the one before is finished, retries included', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.setBackoff(2)
    destination.answer = ({ headers, path }) => ({
      status: path === '/1' && headers['upstash-retried'] !== '2' ? 500 : 200,
    })
    const queue = client.queue({ queueName: 'line' })
    for (const n of many(3)) await queue.enqueueJSON({ url: `${destination.url}/${n}`, body: { n } })
    await qstash.control.idle()
    expect(destination.received.map(({ path }) => path)).toEqual(['/0', '/1', '/1', '/1', '/2'])
    expect(destination.received[0]?.headers['upstash-queue-name']).toBe('line')
    expect(await queue.get()).toMatchObject({ name: 'line', parallelism: 1, lag: 0, paused: false })
  })

  it('has a parallelism that can be changed while it works', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    const queue = client.queue({ queueName: 'line' })
    await queue.upsert({ parallelism: 2 })
    for (const n of many(10)) await queue.enqueue({ url: `${destination.url}/${n}` })
    await destination.arrivals(2)
    expect(destination.inFlight).toBe(2)
    await queue.upsert({ parallelism: 5 })
    await destination.arrivals(5)
    expect(await queue.get()).toMatchObject({ parallelism: 5, lag: 10 })
    held.open()
    await qstash.control.idle()
    expect(destination.mostInFlight).toBe(5)
  })

  it('can be paused, resumed, listed and removed with what waits in it', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const queue = client.queue({ queueName: 'line' })
    await queue.upsert({ parallelism: 1 })
    await queue.pause()
    await queue.enqueue({ url: `${destination.url}/a` })
    await qstash.control.idle()
    expect(await queue.get()).toMatchObject({ paused: true, lag: 1 })
    expect(destination.received).toHaveLength(0)
    await queue.resume()
    await destination.arrivals(1)
    await queue.pause()
    await queue.enqueue({ url: `${destination.url}/b` })
    expect((await queue.list()).map(({ name }) => name)).toEqual(['line'])
    await queue.delete()
    await expect(queue.get()).rejects.toMatchObject({ status: 404 })
    await qstash.control.idle()
    expect(destination.received).toHaveLength(1)
    expect(qstash.stats()).toMatchObject({ pending: 0, cancelled: 1 })
  })
})
