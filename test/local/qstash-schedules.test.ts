import { describe, expect, it } from 'vitest'

import { qstashWorld } from './qstash-world.ts'

const minute = 60_000
const day = 24 * 60 * minute

describe('a schedule', () => {
  it('fires at each of its times, with everything that it was made with', async () => {
    const { client, destination, qstash, receiver } = await qstashWorld()
    const url = `${destination.url}/tick`
    const { scheduleId } = await client.schedules.create({
      destination: url,
      cron: '*/5 * * * *',
      body: 'tick',
      headers: { 'X-N': '1' },
      retries: 1,
      label: 'ticks',
    })
    expect(destination.received).toHaveLength(0)
    qstash.control.advance(60 * minute)
    await qstash.control.idle()
    expect(destination.received).toHaveLength(12)
    const [received] = destination.received
    expect(received).toMatchObject({ method: 'POST', body: 'tick' })
    expect(received?.headers).toMatchObject({ 'upstash-schedule-id': scheduleId, 'x-n': '1' })
    await receiver.verify({ signature: String(received?.headers['upstash-signature']), body: 'tick', url })
    const times = (await client.logs({ filter: { scheduleId, state: 'CREATED' } })).logs.map(
      ({ time }) => time,
    )
    for (const time of times) expect(time % (5 * minute)).toBe(0)
    expect(await client.schedules.get(scheduleId)).toMatchObject({
      scheduleId,
      cron: '*/5 * * * *',
      destination: url,
      method: 'POST',
      body: 'tick',
      retries: 1,
      isPaused: false,
      labels: ['ticks'],
      lastScheduleTime: times[0],
      nextScheduleTime: Number(times[0]) + 5 * minute,
      lastScheduleStates: { [String(destination.received[11]?.headers['upstash-message-id'])]: 'SUCCESS' },
    })
  })

  it('keeps the hours of its time zone', async () => {
    const { client, destination } = await qstashWorld()
    const next = async (cron: string) => {
      const { scheduleId } = await client.schedules.create({ destination: destination.url, cron })
      return new Date(Number((await client.schedules.get(scheduleId)).nextScheduleTime))
    }
    const berlin = await next('CRON_TZ=Europe/Berlin 30 4 * * *')
    expect(berlin.toLocaleTimeString('en-GB', { timeZone: 'Europe/Berlin' })).toBe('04:30:00')
    expect((await next('30 4 * * *')).toISOString()).toContain('T04:30:00')
    expect((await next('CRON_TZ=Asia/Kathmandu 0 0 * * *')).toISOString()).toContain('T18:15:00')
  })

  it('is replaced by one with the same id', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const create = (path: string, cron: string) =>
      client.schedules.create({ destination: destination.url + path, cron, scheduleId: 'nightly' })
    expect(await create('/old', '* * * * *')).toEqual({ scheduleId: 'nightly' })
    await create('/new', '0 3 * * *')
    expect(await client.schedules.list()).toMatchObject([{ scheduleId: 'nightly', cron: '0 3 * * *' }])
    qstash.control.advance(day)
    await qstash.control.idle()
    expect(destination.received.map(({ path }) => path)).toEqual(['/new'])
  })

  it('does nothing while it is paused or after it is removed', async () => {
    const { api, client, destination, qstash } = await qstashWorld()
    const { scheduleId: schedule } = await client.schedules.create({
      destination: destination.url,
      cron: '0 * * * *',
    })
    await client.schedules.pause({ schedule })
    expect(await client.schedules.get(schedule)).toMatchObject({ isPaused: true })
    qstash.control.advance(3 * 60 * minute)
    await qstash.control.idle()
    expect(destination.received).toHaveLength(0)
    await client.schedules.resume({ schedule })
    qstash.control.advance(2 * 60 * minute)
    await destination.arrivals(2)
    expect((await api('POST', `/v2/schedules/${schedule}/pause`)).status).toBe(200)
    expect((await api('POST', `/v2/schedules/${schedule}/resume`)).status).toBe(200)
    await client.schedules.delete(schedule)
    await expect(client.schedules.get(schedule)).rejects.toMatchObject({ status: 404 })
    qstash.control.advance(day)
    await qstash.control.idle()
    expect(destination.received).toHaveLength(2)
  })

  it('goes to a group, through a queue, and after a delay', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const endpoints = ['/a', '/b'].map((path) => ({ url: destination.url + path }))
    await client.urlGroups.addEndpoints({ name: 'both', endpoints })
    await client.schedules.create({ destination: 'both', cron: '0 0 * * *', queueName: 'line', delay: 90 })
    qstash.control.advance(day)
    await qstash.control.idle()
    qstash.control.advance(90_000)
    await destination.arrivals(2)
    expect(destination.received.map(({ headers }) => headers['upstash-queue-name'])).toEqual(['line', 'line'])
    expect(await client.queue({ queueName: 'line' }).get()).toMatchObject({ lag: 0 })
  })

  it.each(['* * * *', '61 * * * *', '* * * * * *', 'CRON_TZ=Nowhere/City 0 0 * * *', ''])(
    'is refused with the times %j',
    async (cron) => {
      const { client, destination } = await qstashWorld()
      await expect(client.schedules.create({ destination: destination.url, cron })).rejects.toMatchObject({
        status: 400,
      })
      expect(await client.schedules.list()).toEqual([])
    },
  )
})
